"""An invariant: a name, a sentence, and how to find what breaks it; families of them share their evidence."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from shop.console.audit.evidence import Evidence, Finding, Needs

Check = Callable[[Evidence], Iterator[Finding]]


class NotAtRest(Exception):
    """The invariant is about a system at rest, and this one is moving."""


@dataclass(frozen=True)
class Invariant:
    """``check`` yields the offending rows, with the values that show what is wrong; none when it holds."""

    name: str
    says: str
    check: Check


def invariant(name: str, says: str) -> Callable[[Check], Invariant]:
    """Make a check an invariant. ``says`` is the sentence that holds."""
    return lambda check: Invariant(name, says, check)


@dataclass(frozen=True)
class Family:
    """Invariants that are checked against the same snapshots, which are open only as long as that takes."""

    name: str
    needs: Needs
    invariants: tuple[Invariant, ...]
