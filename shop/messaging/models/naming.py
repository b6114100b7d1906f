"""How consumers are called on pages and in logs."""


def named(consumer: str, generation: int) -> str:
    """Return a consumer's name for people; the first generation is not mentioned."""
    return consumer if generation == 1 else f"{consumer}, generation {generation}"
