"""The configurations that are searched: small plans, each disturbed by a few kinds of faults together."""

from dataclasses import replace

from tests.model.protocol import Configuration
from tests.model.states import Budget, Planned, Release

A, B = Planned("k", "A"), Planned("m", "B")
OTHER_KEY, OTHER_LANE = Planned("m", "A"), Planned("m", "A", lane=1)

PRODUCER_RESTORED = Budget(back_up_producer=1, restore_producer=1)
CONSUMER_RESTORED = Budget(back_up_consumer=1, restore_consumer=1)
BOTH_RESTORED = Budget(back_up_producer=1, restore_producer=1, back_up_consumer=1, restore_consumer=1)

# An upgrade adds a type that is wanted. The first one brings claims too: relays knew nothing of them before.
FIRST = {"old": Release("A", versed=False), "old_receiver": Release("A"), "new": Release("AB"), "page": 1}
LATER = {"old": Release("A"), "new": Release("AB"), "page": 1}

CONFIGURATIONS = {
    configuration.name: configuration
    for configuration in (
        Configuration("broker", (A, B, A), Budget(crash=1, lose=1, copy=1, slow=1)),
        Configuration("hasty", (A, B, A), Budget(), page=1, hasty=True),
        Configuration("lanes", (A, OTHER_LANE, A), Budget(crash=1, slow=1)),
        Configuration("letters", (A, A, OTHER_KEY), Budget(crash=1, copy=1, slow=1), page=3, poison=frozenset({0})),
        Configuration("consumer restored", (A, B, A), CONSUMER_RESTORED._replace(lose=1, copy=1, slow=1), page=1),
        Configuration("producer restored", (A, A), PRODUCER_RESTORED._replace(crash=1, slow=1), page=1),
        Configuration("both restored", (A, A), BOTH_RESTORED),
        Configuration("unnoticed restore", (A, A, B, A), PRODUCER_RESTORED, unnoticed=True),
        Configuration("claims are new", (A, B), Budget(copy=1), **FIRST),
        Configuration("claims are new, consumer restored", (A, B), CONSUMER_RESTORED, **FIRST),
        Configuration("a type is new", (B, A, B), Budget(copy=1), **LATER),
        Configuration("a type is new, consumer restored", (B, A, B), CONSUMER_RESTORED, **LATER),
        Configuration("foreign deployment", (A, OTHER_KEY), Budget(crash=1, foreign_batch=1, foreign_worker=2), page=1),
        Configuration("generations", (A, A), Budget(copy=1, rebuild=1, abandon=1), asks=True),
        Configuration("generations, producer restored", (A,), PRODUCER_RESTORED._replace(copy=1), asks=True),
        Configuration("generations, consumer restored", (A,), CONSUMER_RESTORED._replace(rebuild=1), asks=True),
    )
}

# Not a configuration that holds: workers from before claims do not look at the types of the cursor.
UNVERSED_WORKERS = replace(CONFIGURATIONS["a type is new"], name="unversed workers", old=Release("A", versed=False))


def deep(configuration: Configuration) -> Configuration:
    """The same with one more of each fault that it has, a message and an event more."""
    budget = Budget(*(left + 1 if left else 0 for left in configuration.budget))
    plan = (*configuration.plan, configuration.plan[0])
    return replace(configuration, budget=budget, plan=plan, room=configuration.room + 1)
