#!/usr/bin/env python
"""Django's commands. Those that may need a database first start the embedded servers, if settings refer to them."""

import os
import signal
import sys

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from environs import EnvError

#: They work without servers, or look after them themselves.
WITHOUT_SERVERS = {
    "check",
    "demo",
    "diffsettings",
    "flashsale",
    "help",
    "makemessages",
    "makemigrations",
    "runserver",
    "spectacular",
    "up",
    "version",
}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
    try:
        _run()
    except SystemExit as end:
        if end.code:
            _hush_make()
        raise


def _run() -> None:
    """:raises SystemExit: with a sentence, when a setting is wrong or a server cannot be used."""
    try:
        settings.INSTALLED_APPS  # noqa: B018
    except (ImproperlyConfigured, EnvError, ValueError) as error:
        sys.exit(str(error))
    words = set(sys.argv[1:])
    if words and not words & {"-h", "--help", "--version"} and sys.argv[1] not in WITHOUT_SERVERS:
        from shop.local.servers.autostart import ensure_needed_servers
        from shop.local.servers.lifecycle import ServerError

        try:
            ensure_needed_servers()
        except ServerError as error:
            sys.exit(str(error))
    from shop.reaching import LOST, unreachable

    try:
        execute_from_command_line(sys.argv)
    except LOST:
        if not (sentences := unreachable()):
            raise
        sys.exit(f"{sys.argv[1]} failed. " + "\n".join(sentences))


def _hush_make() -> None:
    """End a ``make up`` or ``make demo`` by SIGPIPE: it dies silently, instead of adding "Error 1" to our message."""
    if os.environ.get("HUSH_MAKE") == str(os.getppid()):
        sys.stdout.flush()
        os.kill(os.getppid(), signal.SIGPIPE)


if __name__ == "__main__":
    main()
