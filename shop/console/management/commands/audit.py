"""``manage.py audit``: the invariants, over all databases."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from shop.console.audit import Report, audit
from shop.console.audit.running import INVARIANTS, Result
from shop.messaging.models import named
from shop.reaching import LOST, unreachable

COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())


class Command(BaseCommand):
    help = (
        "Checks the invariants over all databases, exactly, also while orders are under way. "
        "Exits with 1 and the offending rows when one is broken."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = _audit_with_progress()
        except LOST as error:
            reasons = unreachable(broker=False) or [str(error)]
            raise CommandError("Cannot audit. " + "\n".join(reasons), returncode=2) from error
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json(), default=str, indent=2, ensure_ascii=False))
        else:
            self._write(report)
        if report.broken:
            sys.exit(1)

    def _write(self, report: Report) -> None:
        for result in report.results:
            self._write_result(result)
        for letter in report.letters:
            fate = "waits"
            if letter["discarded_at"]:
                fate = (
                    f"given up by {letter['discarded_by'] or 'somebody'} at {letter['discarded_at']:%Y-%m-%d %H:%M:%S}"
                )
            self.stdout.write(
                f"{'given up' if letter['discarded_at'] else 'left out'}  {letter['type']} #{letter['position']} "
                f"of {letter['source']}, key {letter['key']}, {fate} at {letter['consumer']}: {letter['error']}"
            )
        for lane in report.stopped:
            self.stdout.write(
                f"stopped   {lane['consumer']} on {lane['source']}, lane {lane['lane']}: {lane['stopped']}"
            )
        for row in report.stopped_subscriptions:
            self.stdout.write(
                f"stopped   {row['source']}'s subscription of {named(row['consumer'], row['generation'])}, "
                f"lane {row['lane']}: {row['stopped']}"
            )
        broken = len(report.broken)
        self.stdout.write(f"{broken} of {len(report.results)} invariants broken" if broken else "audit ok")

    def _write_result(self, result: Result) -> None:
        style = {"ok": self.style.SUCCESS, "broken": self.style.ERROR, "waiting": self.style.WARNING}[result.state]
        line = f"{style(f'{result.state:8}')}  {result.invariant.name:20} {result.invariant.says}"
        if result.waiting:
            line += f" Not at rest: {result.waiting}."
        self.stdout.write(line)
        for row in result.rows:
            self.stdout.write("            " + ", ".join(f"{name}={value}" for name, value in row.items()))
        if result.count > len(result.rows):
            self.stdout.write(f"            and {result.count - len(result.rows):,} more")


def _audit_with_progress() -> Report:
    """Audit, with a progress bar if stderr is a terminal."""
    console = Console(stderr=True)
    with Progress(*COLUMNS, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("reading", total=len(INVARIANTS))
        done = iter(range(len(INVARIANTS)))
        return audit(
            before_each=lambda invariant: progress.update(bar, description=invariant.name, completed=next(done))
        )
