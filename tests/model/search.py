"""Searching every state that a configuration can reach: breadth first, so that a trace is as short as can be."""

import gc
from collections import deque
from dataclasses import dataclass, field

from tests.model.protocol import Configuration
from tests.model.rules import Harm
from tests.model.states import State, Step

Edges = list[list[tuple[int, str]]]

ROUND = 12  # lines of a trace that show what goes on where nothing is completed


@dataclass
class Result:
    """What a search found."""

    states: int = 0
    harm: Harm | None = None
    trace: list[str] = field(default_factory=list)
    """How the harm comes about: what happened, from the start on."""
    steps: set[Step] = field(default_factory=set)
    complete: bool = True

    def __str__(self) -> str:
        return "\n".join([f"{self.harm}:", *(f"{number:3}. {line}" for number, line in enumerate(self.trace, 1))])


def search(configuration: Configuration, *, limit: int | None = None) -> Result:
    """Look for a state that is harmful, or from which the work may never be completed.

    :param limit: states to visit at most; beyond it the result is not ``complete``, and nothing is said on being stuck.
    """
    gc.disable()  # there are no cycles among the states, and looking for them takes a third of the time
    try:
        return _search(configuration, limit)
    finally:
        gc.enable()


def _search(configuration: Configuration, limit: int | None) -> Result:
    result = Result()
    start = configuration.start()
    numbers: dict[State, int] = {start: 0}
    origins: list[tuple[int, str]] = [(0, "")]
    fair: Edges = [[]]
    done: list[bool] = [configuration.done(start)]
    queue = deque([start])
    while queue:
        state = queue.popleft()
        here = numbers[state]
        for name, after, is_fair in configuration.moves(state, result.steps):
            number = numbers.setdefault(after, len(origins))
            if number == len(origins):
                origins.append((here, name))
                fair.append([])
                done.append(configuration.done(after))
                queue.append(after)
                if harm := configuration.harm(after):
                    result.harm, result.trace = harm, _trace(origins, number)
                    result.states = len(origins)
                    return result
            if is_fair and number != here:
                fair[here].append((number, name))
        if limit and len(origins) > limit:
            result.complete = False
            break
    result.states = len(origins)
    if result.complete and not configuration.unnoticed and (stuck := _stuck(fair, done)) is not None:
        result.harm, result.trace = Harm.STUCK, _trace(origins, stuck) + _round(fair, stuck)
    return result


def _trace(origins: list[tuple[int, str]], number: int) -> list[str]:
    lines = []
    while number:
        number, name = origins[number]
        lines.append(name)
    return lines[::-1]


def _round(fair: Edges, number: int) -> list[str]:
    """What goes on in a state that is stuck, until nothing new comes of it."""
    lines, seen = ["(stuck from here on, for example:)"], {number}
    while len(lines) < ROUND and (edges := [edge for edge in fair[number] if edge[0] not in seen]):
        number, name = edges[0]
        seen.add(number)
        lines.append(name)
    return lines


def _stuck(fair: Edges, done: list[bool]) -> int | None:
    """The first state from which no moves that are bound to happen lead to a state where all is done."""
    backwards: list[list[int]] = [[] for _ in fair]
    for number, edges in enumerate(fair):
        for target, _ in edges:
            backwards[target].append(number)
    safe = list(done)
    reached = [number for number, is_done in enumerate(done) if is_done]
    while reached:
        for number in backwards[reached.pop()]:
            if not safe[number]:
                safe[number] = True
                reached.append(number)
    return next((number for number, is_safe in enumerate(safe) if not is_safe), None)
