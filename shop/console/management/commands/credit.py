"""``manage.py credit ACCOUNT``: fold a credit account anew, and compare."""

import json
from argparse import ArgumentParser
from typing import Any

import msgspec
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from shop.console.credit import Line, balance, lines_of, stored
from shop.members.credit.account import Account, WrongVersion
from shop.values import format_amount

AMOUNTS = "".join(f"{name:>16}" for name in ("amount", "reserved", "spent", "available"))
HEADER = f"{'version':>9}  {'time (UTC)':<23}  {'event':<14}{AMOUNTS}  order"


class Command(BaseCommand):
    help = (
        "Folds a member's credit account from version 0, line by line, and compares the result with what the snapshot "
        "and the events after it give. Exits with 1 when they differ, or there is no such account."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("account", type=int, help="the member's id")
        parser.add_argument("--json", action="store_true", help="print the account and its lines as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        member_id, as_json = options["account"], options["json"]
        expected: Account | str | None
        try:
            expected = stored(member_id)
        except DatabaseError as error:
            raise CommandError(f"The database of the members does not answer: {error}", returncode=2) from error
        except WrongVersion as error:
            expected = str(error)
        if expected is None:
            raise CommandError(f"There is no credit account {member_id}: give the id of a member who has one.")
        folded, fault = Account(member_id=member_id), ""
        lines: list[dict[str, Any]] = []
        if not as_json:
            self.stdout.write(HEADER)
        try:
            for line in lines_of(member_id, through=expected.version if isinstance(expected, Account) else None):
                folded = line.after
                if as_json:
                    lines.append(line.as_json())
                else:
                    self.stdout.write(_shown(line))
        except WrongVersion as error:
            fault = str(error)
        if not fault and (isinstance(expected, str) or balance(folded) != balance(expected)):
            fault = f"Snapshot and tail give {_words(expected)}; the fold of the stream gives {_words(folded)}."
        if as_json:
            result = {"account": balance(folded), "same": not fault, "fault": fault, "lines": lines}
            self.stdout.write(json.dumps(msgspec.to_builtins(result), indent=2))
        if fault:
            raise CommandError(fault)
        if not as_json:
            self.stdout.write(f"{_words(folded)}; snapshot and tail give the same")


def _shown(line: Line) -> str:
    amounts = (line.amount, line.after.reserved, line.after.spent, line.after.available)
    columns = "".join(f"{format_amount(amount, settings.CURRENCY):>16}" for amount in amounts)
    at = f"{line.at:%Y-%m-%d %H:%M:%S.%f}"[:-3]
    return f"{line.after.version:>9}  {at:<23}  {line.kind:<14}{columns}  {line.order_id or ''}"


def _words(account: Account | str) -> str:
    if isinstance(account, str):
        return account
    numbers = list(balance(account).items())[1:]
    amounts = (f"{name} {format_amount(amount, settings.CURRENCY)}" for name, amount in numbers)
    return f"version {account.version}: {', '.join(amounts)} {settings.CURRENCY}"
