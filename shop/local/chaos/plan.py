"""Which faults come when: a pure function of a seed."""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import cycle, islice

ONE_IN = 2.5  # seconds of a plan for one fault …
MOST = 12  # … and this many faults at most: each costs the sale a second or two


class Kind(StrEnum):
    """What breaks. The values are part of ``var/demo.json``."""

    WORKER_KILLED = "worker_killed"
    WORKER_FROZEN = "worker_frozen"
    BROKER_WIPED = "broker_wiped"
    BEAT_KILLED = "beat_killed"
    POSTGRES_RESTARTED = "postgres_restarted"


#: They meet one context's worker.
OF_A_WORKER = (Kind.WORKER_KILLED, Kind.WORKER_FROZEN)


@dataclass(frozen=True)
class Fault:
    """One fault: when, in seconds from the start; what; and whose worker, where it is a worker's."""

    second: float
    kind: Kind
    context: str = ""


def plan(seed: int, *, seconds: float, contexts: Sequence[str], kinds: Collection[Kind] = tuple(Kind)) -> list[Fault]:
    """Spread faults over so many seconds: each kind once, then in turn more of those that do not stop the whole shop.

    How many there are of each kind depends on the length alone; their order, times and victims on the seed. The
    same arguments give the same plan.

    :param contexts: whose workers may be met; they are met in turn.
    :param kinds: which faults there may be.
    """
    chance = random.Random(seed)
    wanted = [kind for kind in Kind if kind in kinds]
    cheap = [kind for kind in wanted if kind is not Kind.POSTGRES_RESTARTED]
    count = min(max(len(wanted), int(seconds / ONE_IN)), MOST)
    chosen = wanted + list(islice(cycle(cheap), count - len(wanted)))
    chance.shuffle(chosen)
    victims = chance.sample(contexts, len(contexts))
    faults = []
    for number, kind in enumerate(chosen):
        second = round(seconds * (number + chance.uniform(0.3, 0.9)) / (len(chosen) + 1), 1)
        context = ""
        if kind in OF_A_WORKER:
            context = victims.pop(0)
            victims.append(context)
        faults.append(Fault(second, kind, context))
    return faults
