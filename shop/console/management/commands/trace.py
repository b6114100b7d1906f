"""``manage.py trace ORDER``: every context's events of one order, in time."""

import json
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from rich import box
from rich.console import Console
from rich.table import Table

from shop.console.traces import Traced, trace_everywhere

WIDE = 200  # columns at least: a terminal that has fewer wraps the lines, but nothing is cut off


class Command(BaseCommand):
    help = (
        "Shows every context's events of one order in the order of time: what happened, where, how long after the "
        "event before, and in reaction to what. Exits with 1 when no context knows the order."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("order", help="its id")
        parser.add_argument("--json", action="store_true", help="print the events as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            order_id = str(UUID(options["order"]))
        except ValueError:
            raise CommandError(f"{options['order']!r} is not the id of an order: a UUID is expected.") from None
        try:
            events = trace_everywhere(order_id)
        except DatabaseError as error:
            raise CommandError(
                f"A database does not answer, so the trace would have gaps: {error}", returncode=2
            ) from error
        if not events:
            raise CommandError(f"No context has an event of order {order_id}.")
        if options["json"]:
            self.stdout.write(
                json.dumps({"order": order_id, "events": [event.as_json() for event in events]}, indent=2)
            )
        else:
            self._show(order_id, events)

    def _show(self, order_id: str, events: list[Traced]) -> None:
        """Print a table, in colours on a terminal."""
        console = Console()
        console.width = max(console.width, WIDE)
        with console.capture() as capture:
            console.print(_table(order_id, events))
        self.stdout.write(capture.get(), ending="")


def _table(order_id: str, events: list[Traced]) -> Table:
    seconds = (events[-1].at - events[0].at).total_seconds()
    table = Table(
        title=f"order {order_id}",
        caption=f"{len(events)} events in {seconds:,.3f} s; times are UTC, by the clocks of the contexts' databases",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("time")
    table.add_column("gap ms", justify="right", style="yellow")
    table.add_column("event", style="bold")
    table.add_column("in")
    table.add_column("lane", justify="right")
    table.add_column("reaction to")
    for event in events:
        time = f"{event.at:%H:%M:%S.%f}"[:-3]
        gap = "" if event.gap is None else f"{event.gap:+,.1f}"
        name = event.type.removeprefix(f"{event.context}.")
        cause = f"{event.cause[0]} #{event.cause[1]}" if event.cause else ""
        table.add_row(time, gap, name, f"{event.context} #{event.position}", str(event.lane), cause)
    return table
