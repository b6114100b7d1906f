"""Signatures: who can write to the broker, and has no key, can neither forge a message nor alter one.

A signature covers the task's name, which stands for the recipient, the deployment's ``QUEUE_PREFIX``, and every
field of the message, those that this release does not know too. It is computed from the fields in a canonical form,
as they were sent and as they came, and not from the body's bytes: whoever carries a message may write its JSON anew.

The form is MessagePack with sorted keys, in which values that differ differ: in JSON, ``NaN`` would pass for
``null``. What it cannot hold (an integer beyond 64 bits, half a surrogate pair) is written as JSON by the standard
library. The fields are hashed once, and only the hash is signed, so that a second key costs nothing.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import msgspec
from django.conf import settings

from shop.line_limits import LineLimit
from shop.logs import get_logger

log = get_logger(__name__)

SIGNATURE = "signature"
"""The field of a message that holds its signature."""

VERSION = "1:"
"""What a signature begins with: it tells how the rest was computed."""

REMINDER = 60  # seconds between two log lines on messages that come unsigned

refusals = LineLimit(lines=10, seconds=60)
"""Of the log lines on refused messages, each process for itself: whoever can send messages could fill the disk."""

_encoder = msgspec.msgpack.Encoder(order="sorted")
_reminded: dict[str, float] = {}


def signature_of(task: str, message: Mapping[str, Any]) -> dict[str, str]:
    """Return the field that signs a message to a task, by the first key; nothing if there is no key."""
    if not settings.MESSAGE_KEYS:
        return {}
    return {SIGNATURE: _sign(settings.MESSAGE_KEYS[0], _digest(task, message))}


def is_trusted(task: str, message: Mapping[str, Any]) -> bool:
    """Return whether a message to a task is to be read. If not, it was logged, and is to be left alone.

    Without keys every message is. With keys a wrong signature never is, and a missing one only while none is required.
    """
    if not settings.MESSAGE_KEYS:
        return True
    if message.get(SIGNATURE) is not None:
        return _is_signed(task, message) or _refuse(task, message, "its signature is wrong")
    if settings.MESSAGE_SIGNATURES == "require":
        return _refuse(task, message, "it is not signed")
    _remind(task)
    return True


def _is_signed(task: str, message: Mapping[str, Any]) -> bool:
    """Return whether one of the keys has signed the message."""
    try:
        signature = message[SIGNATURE].encode()
        digest = _digest(task, message)
    except (AttributeError, TypeError, ValueError, RecursionError):  # nobody can have signed this
        return False
    return any(hmac.compare_digest(_sign(key, digest).encode(), signature) for key in settings.MESSAGE_KEYS)


def _digest(task: str, message: Mapping[str, Any]) -> bytes:
    fields = {name: value for name, value in message.items() if name != SIGNATURE}
    return hashlib.sha256(_canonical([settings.QUEUE_PREFIX, task, fields])).digest()


def _sign(key: str, digest: bytes) -> str:
    return VERSION + hmac.digest(key.encode(), VERSION.encode() + digest, "sha256").hex()


def _canonical(value: Any) -> bytes:
    try:
        return _encoder.encode(value)
    except (OverflowError, UnicodeError):
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _refuse(task: str, message: Mapping[str, Any], reason: str) -> bool:
    """Log that a message is left alone. What it says of itself is a claim, and shortened."""
    if (left_out := refusals.left_out(task, reason)) is None:
        return False
    claims = {
        name: str(message[name])[:100] for name in ("source", "consumer", "lane", "id", "batch") if name in message
    }
    log.error("message refused", task=task, reason=reason, left_out=left_out, **claims)
    return False


def _remind(task: str) -> None:
    """Log, once in a while, that unsigned messages still come: until they end, signatures cannot be required."""
    now = time.monotonic()
    if now >= _reminded.get(task, now):
        _reminded[task] = now + REMINDER
        log.warning("unsigned messages come", task=task)
