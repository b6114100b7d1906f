"""Logs: one line for each thing that happened, with fields that machines can filter by.

>>> log = get_logger(__name__)
>>> log.warning("parked", context="inventory", source="orders", lane=2, position=4711, key=order_id)

The event is a few plain words and never holds a value; values are fields. Everything goes through the standard
logging, so that what Django, Celery and libraries log has the same form. ``LOG_FORMAT=json`` writes one JSON
object for each line, tracebacks included; ``console`` writes for people.
"""

import json
import logging
import re
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from structlog.stdlib import BoundLogger, ProcessorFormatter

FORMATS = ("console", "json")

CHATTER = ("celery.worker.strategy", "celery.app.trace", "celery.beat")
"""Loggers with a line at INFO for each task that is sent, received and done: thousands a minute."""

_fields = (
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    structlog.processors.UnicodeDecoder(),
)

structlog.configure(
    processors=[structlog.stdlib.filter_by_level, *_fields, ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=BoundLogger,
)


def get_logger(name: str) -> BoundLogger:
    """Return the logger of a module: ``get_logger(__name__)``. Its methods take the event, then fields."""
    logger: BoundLogger = structlog.stdlib.get_logger(name)
    return logger


class Refusals(logging.Filter):
    """What Django logs about answers below 500 is no fault of ours: no traceback, and no line beside the access log's.

    Signs of an attack (``django.security``) stay, as a warning of one line.
    """

    def __init__(self, *, access: bool) -> None:
        super().__init__()
        self.access = access

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "status_code", 500) >= 500:
            return True
        if record.name == "django.request" and self.access:
            return False
        record.exc_info = record.exc_text = None
        if record.levelno > logging.WARNING:
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


class FieldsFormatter(logging.Formatter):
    """Formats records whose one argument is their fields as the others are, at a quarter of the cost.

    For what is logged hundreds of times a second: it knows no tracebacks.
    """

    def __init__(self, *, format: str) -> None:
        super().__init__()
        self._json = format == "json"

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
        fields: Any = record.args
        if self._json:
            more = {"event": record.msg, "logger": record.name, "level": record.levelname.lower(), "timestamp": time}
            return _encode(fields | more).decode()
        text = " ".join(
            [f"{name}={value if _plain(str(value)) else _escaped(value)}" for name, value in fields.items()]
        )
        return f"{time} {record.levelname} {record.name}: {record.msg} {text}"


_encode = msgspec.json.Encoder().encode
_plain = re.compile(r"[!#-<>-~]*").fullmatch  # ASCII without spaces, quotes and equals signs


def _escaped(value: object) -> str:
    return json.dumps(str(value))


def configuration(*, level: str, format: str, access: bool) -> dict[str, Any]:
    """Return Django's ``LOGGING``: all to stderr, in one format, from ``level`` upwards.

    :param access: whether each request is a line anyway (:mod:`shop.access`).
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": ProcessorFormatter,
                "foreign_pre_chain": _fields,
                "processors": [ProcessorFormatter.remove_processors_meta, _json if format == "json" else _console],
            },
            "fields": {"()": FieldsFormatter, "format": format},
        },
        "filters": {"refusals": {"()": Refusals, "access": access}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["refusals"]},
            "access": {"class": "logging.StreamHandler", "formatter": "fields"},
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "shop.access": {"handlers": ["access"], "propagate": False},
            # Django gives these handlers and a format of their own.
            "django": {"handlers": [], "propagate": True},
            "django.server": {"handlers": [], "propagate": True},
            **{name: {"level": level if level == "DEBUG" else "WARNING"} for name in CHATTER},
        },
    }


def _json(logger: object, method: str, event: MutableMapping[str, Any]) -> str:
    return json.dumps(dict(event), default=str)


_logfmt = structlog.processors.LogfmtRenderer(bool_as_flag=False)


def _console(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
    time, level, name, text = (event.pop(field) for field in ("timestamp", "level", "logger", "event"))
    trace = event.pop("exception", None)
    line = f"{time} {level.upper()} {name}: {text} {_logfmt(logger, method, event)}".rstrip()
    return f"{line}\n{trace}" if trace else line
