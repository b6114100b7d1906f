"""Dead letters that an operator discarded: what they left unbalanced is theirs, and found by the other invariants.

A discarded letter that left nothing unbalanced breaks nothing; it is listed with all other letters.
"""

from collections.abc import Iterator

from shop.console.audit.evidence import EVERYONE, Evidence, GivenUp, Needs
from shop.console.audit.invariants import Invariant, invariant
from shop.console.audit.snapshots import Row

NEEDS = Needs(state=EVERYONE)

OF_LETTER = ("consumer", "source", "position", "type", "key", "discarded_at", "discarded_by")


@invariant("letters.discarded", "No event that was given up left anything unbalanced.")
def discarded(evidence: Evidence) -> Iterator[Row]:
    """Nothing by itself: see :func:`of_letter`."""
    return iter(())


def of_letter(finding: GivenUp, broken: Invariant) -> Row:
    """What the other invariant would have said of the key, with the letter that it is put down to."""
    letter = {name: finding.letter[name] for name in OF_LETTER}
    return {**letter, "invariant": broken.name, **{name: value for name, value in finding.row.items() if name != "key"}}
