"""``manage.py announce CONTEXT [KEY…]``: an owner says its present state again."""

import json
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from shop.console.announcing import (
    Keys,
    UnableToAnnounce,
    announce_all,
    announce_keys,
    announced_by,
    keys_of,
    paced,
)
from shop.console.operators import operator
from shop.logs import get_logger
from shop.messaging.contexts import contexts

log = get_logger(__name__)

RATE = 2000  # rows per second: consumers keep up with it, so that news of the context does not wait behind


class Command(BaseCommand):
    help = (
        "Has a context announce the present state of its products, members or stock items again: consumers that have "
        "a wrong copy correct it, and for all others nothing changes. It may run while the rows change, and be "
        "repeated. Only the context's own database is needed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("context", choices=[app.label for app in contexts()], help="the owner")
        parser.add_argument("key", nargs="*", help="a SKU, or a member's id; all rows without")
        parser.add_argument("--after", metavar="KEY", help="all rows after this key: goes on with what was interrupted")
        parser.add_argument(
            "--rate", type=_rate, default=RATE, help="rows per second, at most; 0: no limit (default: %(default)s)"
        )
        parser.add_argument("--reason", default="by hand", help="for the log (default: %(default)s)")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        label, last = options["context"], None
        count = 0
        try:
            pages, total = _pages(label, options["key"], options["after"])
            with _progress() as progress:
                bar = progress.add_task(label, total=total)
                for page in paced(pages, rate=options["rate"]):
                    count, last = count + len(page), page[-1]
                    progress.update(bar, completed=count)
        except UnableToAnnounce as refusal:
            raise CommandError(f"{refusal}.") from refusal
        except (DatabaseError, KeyboardInterrupt) as end:
            raise CommandError(_ended_early(end, count, last, all_rows=not options["key"])) from end
        finally:
            if count:
                log.info("announced", context=label, rows=count, reason=options["reason"], by=operator())
        if options["json"]:
            self.stdout.write(json.dumps({"context": label, "announced": count}))
        else:
            self.stdout.write(f"{label}: {count:,} of its rows announced")


def _pages(label: str, keys: list[str], after: str | None) -> tuple[Iterable[Keys], int]:
    """Return what is to be announced, page by page, and how many rows that is. :raises UnableToAnnounce:"""
    model = announced_by(label)
    if keys and after is not None:
        raise UnableToAnnounce("--after is for all rows: name no keys beside it")
    if keys:
        wanted = keys_of(model, keys)
        return announce_keys(model, wanted), len(wanted)
    if after is None:
        return announce_all(model), model.objects.count()
    (key,) = keys_of(model, [after])
    return announce_all(model, after=key), model.objects.filter(pk__gt=key).count()


def _progress() -> Progress:
    """Return a progress bar, which shows if stderr is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal)


def _ended_early(end: BaseException, count: int, last: Any, *, all_rows: bool) -> str:
    why = "Interrupted" if isinstance(end, KeyboardInterrupt) else str(end).strip()
    rest = f" Go on with --after {last}" if all_rows and last is not None else ""
    return f"{why}: {count:,} rows were announced.{rest}"


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1
    if not 0 <= rate < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a number of rows per second")
    return rate
