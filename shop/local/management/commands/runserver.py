"""Django's ``runserver``, which first looks at its port and starts the embedded servers."""

import os
from argparse import ArgumentTypeError
from typing import Any

from django.contrib.staticfiles.management.commands import runserver
from django.core.management.base import CommandError
from django.utils.autoreload import DJANGO_AUTORELOAD_ENV

from shop.local.servers.autostart import ensure_needed_servers
from shop.local.servers.binaries import ServerError
from shop.local.stack import ports
from shop.reaching import unreachable


class Command(runserver.Command):
    """See the module. A port that is taken, or a database that is away, is a sentence before anything has started."""

    addr: str
    port: str

    def run(self, **options: Any) -> None:
        if DJANGO_AUTORELOAD_ENV not in os.environ:  # set in the child that serves
            self._prepare()
        super().run(**options)

    def _prepare(self) -> None:
        try:
            ports.reserve(self.addr, ports.port(self.port), or_next=False).close()
            ensure_needed_servers()
        except (ServerError, ArgumentTypeError) as error:
            raise CommandError(str(error)) from None
        if sentences := unreachable(["default"], broker=False):  # Django looks for migrations there
            raise CommandError("\n".join(sentences))
