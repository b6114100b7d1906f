"""Dead letters as rows: whatever an event or an error contains, its letter can be written and read back.

PostgreSQL keeps neither U+0000 nor half a surrogate pair, and columns have an end. Texts are written with such
characters escaped. An event with one of them is kept whole, as a text of its JSON, so that a retry applies
what came and nothing else.
"""

import json
from hashlib import sha256
from typing import Any

from shop.messaging import models
from shop.messaging.batches import CloudEvent, position_of
from shop.messaging.contexts import ContextConfig

AS_TEXT = "as_text"
"""The only field of an event that is kept as a text."""

KEY_LENGTH = 100  # characters of a key or a type, as the columns have them
ERROR_LENGTH = 10_000  # characters of an error, and of a line of its traceback
TRACEBACK_LENGTH = 100_000  # characters, counted from its end

DIGEST = 16  # characters that keep two long keys apart


def storable(text: str, length: int = ERROR_LENGTH) -> str:
    """Escape a text so that PostgreSQL can store it, and cut it if it is too long."""
    escaped = text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
    escaped = escaped.replace("\0", "\\x00")
    return escaped if len(escaped) <= length else f"{escaped[: length - 1]}…"


def storable_trace(trace: str) -> str:
    """Escape a traceback, and cut it at its beginning if it is too long: its end says most."""
    kept = "\n".join(storable(line) for line in trace.split("\n"))
    return kept if len(kept) <= TRACEBACK_LENGTH else f"…{kept[1 - TRACEBACK_LENGTH :]}"


def described(error: BaseException) -> str:
    """Describe an error in one line, even if its ``repr`` fails."""
    try:
        return repr(error)
    except Exception:
        return f"{type(error).__name__} (its repr fails)"


def key_of(event: CloudEvent) -> str:
    """Return an event's key as its letter stores it; long keys that differ stay different."""
    key = str(event.get("subject", ""))
    kept = storable(key, KEY_LENGTH + 1)
    if len(kept) <= KEY_LENGTH:
        return kept
    digest = sha256(key.encode("utf-8", "backslashreplace")).hexdigest()[:DIGEST]
    return f"{kept[: KEY_LENGTH - DIGEST - 1]}…{digest}"


def write_letter(
    app: ContextConfig, lane: dict[str, Any], event: CloudEvent, error: str, trace: str = "", *, attempts: int
) -> None:
    """Park an event, in the caller's transaction."""
    app.table(models.DeadLetter).objects.create(
        **lane,
        position=position_of(event),
        type=storable(str(event["type"]), KEY_LENGTH),
        key=key_of(event),
        event=_kept(event),
        error=storable(error),
        traceback=storable_trace(trace),
        attempts=attempts,
    )


def event_of(letter: models.DeadLetter) -> CloudEvent:
    """Return the event of a letter, as it came."""
    kept = letter.event
    event: CloudEvent = json.loads(kept[AS_TEXT]) if kept.keys() == {AS_TEXT} else kept
    return event


def _kept(event: CloudEvent) -> CloudEvent:
    try:
        text = json.dumps(event, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:  # half a surrogate pair, or a number that JSON has no form for
        return {AS_TEXT: json.dumps(event)}
    return {AS_TEXT: json.dumps(event)} if b"\\u0000" in text else event
