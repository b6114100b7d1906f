"""``manage.py demo``: a whole shop, a flash sale in it while it breaks, its audit, and a report; then it stops."""

import asyncio
import json
import os
import random
import shlex
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from shop import flashsale
from shop.console.audit import audit, wait_until_at_rest
from shop.flashsale.management.commands.flashsale import CONCURRENCY, TIMEOUT, at_least, hold
from shop.flashsale.screen import show, watched
from shop.local.chaos import Fault, Kind, breaking, plan
from shop.local.servers.addresses import CHECKOUT
from shop.local.servers.binaries import ServerError
from shop.local.servers.postgres import Postgres
from shop.local.stack.child import stack_as_child
from shop.local.stack.interrupts import Interrupts
from shop.messaging.contexts import contexts

RESULT = CHECKOUT / "var" / "demo.json"

REST_LIMIT = 120  # seconds after the sale until everything must have been heard of by everyone

BUYERS_PER_SECOND = 100  # arrive while things break
AT_LEAST = 6.0  # seconds that things break for, however few the buyers are

#: Of the stack while things break: what was lost is sent again sooner than by default, so that you wait less.
QUICKER = {"RELAY_RESEND_AFTER": "2", "RELAY_RESEND_LIMIT": "4"}  # seconds

INTERRUPTED = 130  # exit status, as after Ctrl-C in a shell


@dataclass(frozen=True)
class Report:
    """What a demo came to."""

    figures: flashsale.Figures
    faults: dict[str, int]
    """How many there were, by kind."""
    mix: flashsale.MixFigures | None
    mix_faults: dict[str, int]
    audit: Any
    """``ok``, or the names of what is broken."""
    problems: list[str]
    """What is wrong, in words."""


class Command(BaseCommand):
    help = (
        "Starts a shop of its own, holds a flash sale in it over HTTP, then a mixed trade, while workers are killed, "
        "the broker is wiped and PostgreSQL restarts, audits all databases, reports, and stops what it started. Exits "
        "with 0 only if everything was sold or is left, nothing twice, and the audit holds. A file takes the figures."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--buyers", type=at_least(1), default=2000, help="default: %(default)s")
        parser.add_argument("--stock", type=at_least(0), default=100, help="pieces (default: %(default)s)")
        parser.add_argument(
            "--concurrency", type=at_least(1), default=CONCURRENCY, help="buyers at once (default: %(default)s)"
        )
        parser.add_argument(
            "--seed", type=at_least(0), help="of the faults: which, and when (default: another each time)"
        )
        parser.add_argument("--no-chaos", action="store_true", help="break nothing")
        parser.add_argument("--no-mix", action="store_true", help="leave out the mixed trade after the sale")
        parser.add_argument("--result", type=Path, default=RESULT, help="takes the figures (default: %(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        _ensure_own_instance()
        options["result"].unlink(missing_ok=True)
        chaos = not options["no_chaos"]
        seed = (random.randrange(10_000) if options["seed"] is None else options["seed"]) if chaos else None
        console = Console()
        interrupts = Interrupts()
        try:
            say = lambda line: console.print(line, style="dim", markup=False, highlight=False, soft_wrap=True)  # noqa: E731
            with stack_as_child(say=say, interrupts=interrupts, environment=QUICKER if chaos else {}) as stack:
                report = _demonstrate(console, stack, options, seed)
                _write(report, seed, options["result"])
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        except (ServerError, flashsale.ShopError, psycopg.OperationalError) as error:
            raise CommandError(str(error)) from error
        _point_onwards(console, report.figures.slowest)
        for problem in report.problems:
            self.stderr.write(self.style.ERROR(problem))
        if report.problems:
            sys.exit(1)


def _ensure_own_instance() -> None:
    """Begin again under a name of its own, unless one is given: a stack under development is left alone."""
    if "SHOP_INSTANCE" not in os.environ:
        os.environ["SHOP_INSTANCE"] = "demo"
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606


def _demonstrate(console: Console, stack: dict[str, Any], options: dict[str, Any], seed: int | None) -> Report:
    """Hold the sale and the mixed trade, break the stack meanwhile, audit.

    :param seed: None breaks nothing.
    """
    figures, faults = _sell(console, stack, options, seed, flashsale.hold_sale)
    mix: flashsale.MixFigures | None = None
    mix_faults: dict[str, int] = {}
    if not options["no_mix"]:
        fewer = options | {"buyers": max(1, options["buyers"] // 2)}
        mix, mix_faults = _sell(console, stack, fewer, None if seed is None else seed + 1, flashsale.hold_mix)
    under_way = wait_until_at_rest(limit=REST_LIMIT)
    audited = audit()
    console.print("audit: " + ("ok" if not audited.broken else f"broken: {', '.join(audited.broken)}"))
    unheard = [f"not at rest: {events} events are under way, {pair}" for pair, events in under_way.items()]
    broken = [
        f"audit: {result.invariant.name}: {result.invariant.says} {row}"
        for result in audited.results
        for row in result.rows
    ]
    mixed = [f"mix: {problem}" for problem in mix.problems] if mix else []
    problems = [*figures.problems, *mixed, *unheard, *broken]
    return Report(figures, faults, mix, mix_faults, audited.broken or "ok", problems)


def _sell(
    console: Console, stack: dict[str, Any], options: dict[str, Any], seed: int | None, sell: Callable[..., Any]
) -> tuple[Any, dict[str, int]]:
    """Hold one sale and break the stack meanwhile; return its figures, and how often what broke."""
    shop = {name: stack[name] for name in ("base_url", "staff_token", "member_tokens")}
    wanted = {name: options[name] for name in ("buyers", "stock", "concurrency")}
    seconds = 0.0
    faults: list[Fault] = []
    if seed is not None:
        seconds = max(AT_LEAST, options["buyers"] / BUYERS_PER_SECOND)
        faults = _faults(stack, seed, seconds)
        _announce(console, faults, seed, seconds)
    with (
        watched(console, wanted["buyers"]) as listener,
        breaking(settings.INSTANCE, faults, say=lambda line: console.print(line, style="yellow")) as chaos,
    ):
        listener.opened = chaos.begin
        figures = asyncio.run(hold(shop, {**wanted, "timeout": TIMEOUT, "arrive_over": seconds}, listener, sell=sell))
    caused = {str(kind): chaos.caused[kind] for kind in Kind if chaos.caused[kind]}
    show(console, figures, listener, faults=caused)
    return figures, caused


def _faults(stack: dict[str, Any], seed: int, seconds: float) -> list[Fault]:
    """Plan the faults: of the consumers' workers, beat, and those servers that belong to the stack."""
    impossible = set()
    if "valkey" not in stack["servers"]:
        impossible.add(Kind.BROKER_WIPED)
    if "postgres" not in stack["servers"] or not Postgres(settings.INSTANCE).durable:
        impossible.add(Kind.POSTGRES_RESTARTED)
    consumers = [app.label for app in contexts() if app.consumes]
    return plan(seed, seconds=seconds, contexts=consumers, kinds=set(Kind) - impossible)


def _announce(console: Console, faults: list[Fault], seed: int, seconds: float) -> None:
    first, last = settings.RELAY_RESEND_AFTER.total_seconds(), settings.RELAY_RESEND_LIMIT.total_seconds()
    console.print(
        f"{len(faults)} faults within {seconds:.0f} s, while the buyers order. SEED={seed} repeats them, CHAOS=0 "
        f"leaves them out.\nA batch that is not acknowledged is sent again after {QUICKER['RELAY_RESEND_AFTER']} to "
        f"{QUICKER['RELAY_RESEND_LIMIT']} s, instead of {first:g} to {last:g} s.",
        highlight=False,
        soft_wrap=True,
    )


def _write(report: Report, seed: int | None, path: Path) -> None:
    """Readers find all of it or nothing."""
    result = {**asdict(report.figures), "seed": seed, "faults": report.faults, "audit": report.audit}
    if report.mix is not None:
        result["mix"] = {**asdict(report.mix), "faults": report.mix_faults}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(json.dumps(result, indent=2) + "\n")
    unfinished.replace(path)


def _point_onwards(console: Console, order_id: str | None) -> None:
    """Say what to do next."""
    console.print(
        "Next:\n  make up\n    leaves such a shop running, and prints its addresses and logins", highlight=False
    )
    if order_id:
        python = shlex.quote(os.path.relpath(sys.executable))
        console.print(
            f"  SHOP_INSTANCE={settings.INSTANCE} {python} manage.py trace {order_id}\n"
            "    follows the order that waited longest through every context",
            highlight=False,
            soft_wrap=True,
        )
