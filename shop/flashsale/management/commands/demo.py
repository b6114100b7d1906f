"""``manage.py demo``: a whole shop, a flash sale in it, its audit, and a report; then nothing is left running."""

import asyncio
import json
import os
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from shop import flashsale
from shop.console.audit import audit, wait_until_at_rest
from shop.flashsale.management.commands.flashsale import CONCURRENCY, TIMEOUT, at_least, hold
from shop.flashsale.screen import show, watched
from shop.local.servers.addresses import CHECKOUT
from shop.local.servers.binaries import ServerError
from shop.local.stack.child import stack_as_child
from shop.local.stack.interrupts import Interrupts

RESULT = CHECKOUT / "var" / "demo.json"

REST_LIMIT = 120  # seconds after the sale until everything must have been heard of by everyone

INTERRUPTED = 130  # exit status, as after Ctrl-C in a shell


class Command(BaseCommand):
    help = (
        "Starts a shop of its own, holds a flash sale in it over HTTP, audits all databases, reports, and stops what "
        "it started. Exits with 0 only if everything was sold or is left, nothing twice, and the audit holds. "
        "The figures are left in a file."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--buyers", type=at_least(1), default=2000, help="default: %(default)s")
        parser.add_argument("--stock", type=at_least(0), default=100, help="pieces (default: %(default)s)")
        parser.add_argument(
            "--concurrency", type=at_least(1), default=CONCURRENCY, help="buyers at once (default: %(default)s)"
        )
        parser.add_argument("--result", type=Path, default=RESULT, help="takes the figures (default: %(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        _have_an_instance_of_its_own()
        options["result"].unlink(missing_ok=True)
        wanted = {name: options[name] for name in ("buyers", "stock", "concurrency")}
        console = Console()
        interrupts = Interrupts()
        try:
            say = lambda line: console.print(line, style="dim", markup=False, highlight=False, soft_wrap=True)  # noqa: E731
            with stack_as_child(say=say, interrupts=interrupts) as stack:
                result, faults = _demonstrate(console, stack, wanted)
                _leave(result, options["result"])
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        except (ServerError, flashsale.ShopError, psycopg.OperationalError) as error:
            raise CommandError(str(error)) from error
        for fault in faults:
            self.stderr.write(self.style.ERROR(fault))
        if faults:
            sys.exit(1)


def _have_an_instance_of_its_own() -> None:
    """Begin again under a name of its own, unless one is given: a stack under development is left alone."""
    if "SHOP_INSTANCE" not in os.environ:
        os.environ["SHOP_INSTANCE"] = "demo"
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606


def _demonstrate(console: Console, stack: dict[str, Any], wanted: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Sale, audit, report: the figures, and what is wrong, in words."""
    shop = {name: stack[name] for name in ("base_url", "staff_token", "member_tokens")}
    with watched(console, wanted["buyers"]) as listener:
        figures = asyncio.run(hold(shop, {**wanted, "timeout": TIMEOUT}, listener))
    show(console, figures, listener)
    under_way = wait_until_at_rest(limit=REST_LIMIT)
    report = audit()
    console.print("audit: " + ("ok" if not report.broken else f"broken: {', '.join(report.broken)}"))
    unheard = [f"not at rest: {events} events are under way, {pair}" for pair, events in under_way.items()]
    broken = [
        f"audit: {result.invariant.name}: {result.invariant.says} {row}"
        for result in report.results
        for row in result.rows
    ]
    result = {**asdict(figures), "audit": report.broken or "ok"}
    return result, [*figures.faults, *unheard, *broken]


def _leave(result: dict[str, Any], path: Path) -> None:
    """Readers find all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(json.dumps(result, indent=2) + "\n")
    unfinished.replace(path)
