"""The configurations that are searched: small plans, each disturbed by a few kinds of faults together."""

from tests.model.protocol import Configuration
from tests.model.states import Budget, Planned, Release

A, B = Planned("k", "A"), Planned("m", "B")
OTHER = Planned("m", "A")

CONFIGURATIONS = {
    configuration.name: configuration
    for configuration in (
        Configuration("broker", (A, B, A), Budget(crash=1, copy=1, slow=1), page=2),
        Configuration("lanes", (A, Planned("m", "A", lane=1)), Budget(lose=1, slow=1)),
        Configuration("letters", (A, A, OTHER), Budget(crash=1, copy=1, slow=1), page=3, poison=frozenset({0})),
        Configuration(
            "consumer restored", (A, B, A), Budget(lose=1, slow=1, back_up_consumer=1, restore_consumer=1), page=1
        ),
        Configuration(
            "producer restored", (A, A), Budget(crash=1, slow=1, back_up_producer=1, restore_producer=1), page=1
        ),
        Configuration(
            "both restored",
            (A, A),
            Budget(back_up_producer=1, restore_producer=1, back_up_consumer=1, restore_consumer=1),
            page=2,
        ),
        Configuration(
            "claims are new",
            (B, A, B),
            Budget(copy=1),
            old=Release("A", versed=False),
            old_receiver=Release("A"),
            new=Release("AB"),
            page=1,
        ),
        Configuration(
            "claims are new, consumer restored",
            (A, B, A),
            Budget(back_up_consumer=1, restore_consumer=1),
            old=Release("A", versed=False),
            old_receiver=Release("A"),
            new=Release("AB"),
            page=1,
        ),
        Configuration("a type is new", (B, A, B), Budget(copy=1), old=Release("A"), new=Release("AB"), page=1),
        Configuration(
            "a type is new, consumer restored",
            (B, A, B),
            Budget(back_up_consumer=1, restore_consumer=1),
            old=Release("A"),
            new=Release("AB"),
            page=1,
        ),
        Configuration("foreign deployment", (A, OTHER), Budget(crash=1, foreign_batch=1, foreign_worker=2), page=1),
        Configuration("generations", (A, A), Budget(copy=1, rebuild=1, abandon=1), asks=True),
        Configuration(
            "unnoticed restore", (A, A, B, A), Budget(back_up_producer=1, restore_producer=1), page=2, unnoticed=True
        ),
    )
}
