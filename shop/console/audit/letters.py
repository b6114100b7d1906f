"""Dead letters that an operator discarded. The other invariants find what they left unbalanced.

A discarded letter that left nothing unbalanced breaks nothing; it is listed with all other letters.
"""

from collections.abc import Iterator

from shop.console.audit.evidence import EVERYONE, Evidence, GivenUp, Needs
from shop.console.audit.invariants import Invariant, invariant
from shop.console.audit.snapshots import Row

NEEDS = Needs(beliefs=True, state=EVERYONE)

OF_LETTER = ("consumer", "source", "position", "type", "key", "discarded_at", "discarded_by")


@invariant("letters.discarded", "No event that was discarded left anything unbalanced.")
def discarded(evidence: Evidence) -> Iterator[Row]:
    """Find nothing by itself: see :func:`of_letter`."""
    return iter(())


def of_letter(finding: GivenUp, broken: Invariant) -> Row:
    """Return another invariant's finding, with the letter that it is put down to."""
    letter = {name: finding.letter[name] for name in OF_LETTER}
    return {**letter, "invariant": broken.name, **{name: value for name, value in finding.row.items() if name != "key"}}
