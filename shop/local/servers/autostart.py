"""Starts the embedded servers that Django's settings refer to."""

import sys
from collections.abc import Iterable

from django.conf import settings

from shop.local.servers import lifecycle


def ensure_needed_servers(aliases: Iterable[str] | None = None) -> list[str]:
    """Start the embedded servers that the settings refer to, and name them on stderr.

    :param aliases: the databases that this process will use (default: all of them); a worker of one context
        on a machine of its own needs no others.
    :raises ServerError: when one does not start.
    """
    used = settings.DATABASES if aliases is None else aliases
    needed = lifecycle.needed_by([settings.DATABASES[alias] for alias in used], settings.BROKER_URL, settings.INSTANCE)
    started = lifecycle.ensure_running(settings.INSTANCE, needed)
    if started:
        print(
            f"started {' and '.join(started)} of instance {settings.INSTANCE!r}; "
            f"to stop: python -m shop.local stop --instance {settings.INSTANCE}",
            file=sys.stderr,
        )
    return started
