"""``manage.py up``: the whole shop, until Ctrl-C or SIGTERM."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from shop.local.seed import shown
from shop.local.servers.binaries import ServerError
from shop.local.stack import ports
from shop.local.stack.interrupts import Interrupts
from shop.local.stack.running import Stack, running_stack
from shop.reaching import Unreachable


class Command(BaseCommand):
    help = (
        "Runs the whole shop on this machine: migrates, seeds, starts web, a worker for each context, and beat; "
        "starts again what dies. Ctrl-C or SIGTERM stops everything that it started."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
        parser.add_argument("--port", type=ports.port, help=f"default: {ports.DEFAULT}, or the next free one")
        parser.add_argument("--web-workers", type=int, default=2, help="web processes (default: %(default)s)")
        parser.add_argument(
            "--concurrency", type=int, default=2, help="processes of each context's worker (default: %(default)s)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        interrupts = Interrupts()
        wanted = {name: options[name] for name in ("host", "port", "web_workers", "concurrency")}
        try:
            with running_stack(**wanted, say=self._say, interrupts=interrupts) as stack, interrupts.held():
                self._introduce(stack)
                while not interrupts.asked:
                    stack.watch(0.5)
        except KeyboardInterrupt:
            pass
        except (ServerError, Unreachable) as error:
            raise CommandError(str(error)) from None

    def _say(self, line: str) -> None:
        self.stdout.write(f"{timezone.now():%H:%M:%S} {line}")
        self.stdout.flush()

    def _introduce(self, stack: Stack) -> None:
        admin = stack.logins["admin"]
        self.stdout.write(
            f"\nready\n"
            f"  shop   {stack.base_url}/\n"
            f"  API    {stack.base_url}/api/docs/\n"
            f"  admin  {stack.base_url}/admin/  as {admin['username']}, password {shown(admin)}\n"
            f"  token  {stack.logins['staff_token']} (staff), {stack.logins['member_tokens'][0]} (a member)\n"
            f"  more   {stack.file.own}\n"
            f"  logs   {stack.folder / 'log'}/\n"
            f"Ctrl-C stops it, a second one kills it.\n\n"
        )
        self.stdout.flush()
