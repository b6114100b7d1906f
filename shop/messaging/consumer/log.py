"""One line for each thing that happens to an event or a lane outside the ordinary."""

import logging
from typing import Any

logger = logging.getLogger(__name__)


def note(action: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Log ``action`` (past tense) with its fields: context, consumer, source, lane, position, key."""
    logger.log(level, "%s: %s", action, " ".join(f"{name}={value}" for name, value in fields.items()), extra=fields)
