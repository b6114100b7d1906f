"""Logs: one line for each thing that happened, with fields that machines can filter by.

>>> log = get_logger(__name__)
>>> log.warning("parked", context="inventory", source="orders", lane=2, position=4711, key=order_id)

The event is a few plain words and never holds a value; values are fields. Everything goes through the standard
logging, so that what Django, Celery and libraries log has the same form. ``LOG_FORMAT=json`` writes one JSON
object for each line, tracebacks included; ``console`` writes for people.
"""

import json
from collections.abc import MutableMapping
from typing import Any

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


def configuration(*, level: str, format: str) -> dict[str, Any]:
    """Return Django's ``LOGGING``: all to stderr, in one format, from ``level`` upwards."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": ProcessorFormatter,
                "foreign_pre_chain": _fields,
                "processors": [ProcessorFormatter.remove_processors_meta, _json if format == "json" else _console],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
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
