#!/usr/bin/env python
"""Django's commands. Those that may need a database first start the embedded servers, if settings refer to them."""

import os
import sys

from django.core.management import execute_from_command_line

#: They work without servers, or look after them themselves.
WITHOUT_SERVERS = {
    "check",
    "demo",
    "diffsettings",
    "flashsale",
    "help",
    "makemessages",
    "makemigrations",
    "spectacular",
    "up",
    "version",
}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
    words = set(sys.argv[1:])
    if words and not words & {"-h", "--help", "--version"} and sys.argv[1] not in WITHOUT_SERVERS:
        from shop.local.servers.autostart import ensure_needed_servers
        from shop.local.servers.lifecycle import ServerError

        try:
            ensure_needed_servers()
        except ServerError as error:
            sys.exit(str(error))
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
