"""``manage.py flashsale``: many buyers, over HTTP, against a running shop."""

import asyncio
import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from shop import flashsale
from shop.flashsale.screen import show, watched
from shop.local.stack.file import SHARED, StackFile, read

CONCURRENCY = 64  # buyers at once
TIMEOUT = 300  # seconds without any decision until the rest counts as undecided


class Command(BaseCommand):
    help = (
        "Sells a product of which there is too little to many buyers, over HTTP against a running shop. Each orders "
        "one piece; --mix has them do whatever can be done with an order. Exits with 1 and the reasons when anything "
        "is oversold, undecided or duplicated."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--buyers", type=at_least(1), default=2000, help="default: %(default)s")
        parser.add_argument("--stock", type=at_least(0), default=100, help="pieces (default: %(default)s)")
        parser.add_argument(
            "--concurrency", type=at_least(1), default=CONCURRENCY, help="buyers at once (default: %(default)s)"
        )
        parser.add_argument(
            "--timeout",
            type=float,
            default=TIMEOUT,
            help="seconds without any decision until the rest counts as undecided (default: %(default)s)",
        )
        parser.add_argument(
            "--mix",
            action="store_true",
            help="carts of four products, with --stock pieces each, members with too little credit, cancellations, "
            "shipping and returns",
        )
        parser.add_argument("--stack", type=Path, help="a stack.json (default: that of the running stack)")
        parser.add_argument("--base-url", help="default: the stack's")
        parser.add_argument("--staff-token", help="default: the stack's")
        parser.add_argument("--member-token", action="append", help="may be given many times; default: the stack's")
        parser.add_argument("--json", action="store_true", help="print the figures as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        console = Console(stderr=options["json"])
        shop = access(options)
        wanted = {name: options[name] for name in ("buyers", "stock", "concurrency", "timeout")}
        try:
            with watched(console, options["buyers"]) as listener:
                figures = asyncio.run(hold(shop, wanted, listener, sell=SALES[options["mix"]]))
        except flashsale.ShopError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(asdict(figures), indent=2))
        else:
            show(console, figures, listener)
        for problem in figures.problems:
            self.stderr.write(self.style.ERROR(problem))
        if figures.problems:
            sys.exit(1)


def at_least(least: int) -> Callable[[str], int]:
    """The type of an argument that is a whole number from ``least`` on."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise ArgumentTypeError(f"{text!r} is not a whole number from {least} on")
        return int(text)

    return number


def access(options: dict[str, Any]) -> dict[str, Any]:
    """Address and tokens, of the stack unless given.

    :raises CommandError: when no stack runs and not all of them are given.
    """
    found = read(options["stack"]) if options["stack"] else read(StackFile(settings.INSTANCE).own) or read(SHARED)
    given = {
        "base_url": options["base_url"],
        "staff_token": options["staff_token"],
        "member_tokens": options["member_token"],
    }
    shop = {name: value or (found or {}).get(name) for name, value in given.items()}
    if missing := [name.replace("_", " ") for name, value in shop.items() if not value]:
        raise CommandError(
            f"No {', '.join(missing)}: start the shop with `manage.py up`, or give --stack, or all of --base-url, "
            "--staff-token and --member-token."
        )
    return shop


SALES: Mapping[bool, Callable[..., Any]] = {False: flashsale.hold_sale, True: flashsale.hold_mix}
"""By whether it is the mixed one."""


async def hold(
    shop: dict[str, Any], wanted: dict[str, Any], listener: flashsale.Listener, *, sell: Callable[..., Any]
) -> Any:
    """The sale, in a shop that is reached like that."""
    async with flashsale.Client.opened(**shop, connections=wanted["concurrency"]) as opened:
        return await sell(opened, **wanted, listener=listener)
