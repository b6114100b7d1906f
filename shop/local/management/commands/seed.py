"""``manage.py seed``: sample data and logins."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from shop.local.seed import seed, shown


class Command(BaseCommand):
    help = "Creates sample products with stock, members and logins; leaves what exists as it is."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the logins as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        logins = seed()
        if options["json"]:
            self.stdout.write(json.dumps(logins, indent=2))
            return
        admin = logins["admin"]
        known = "everybody knows it: `manage.py changepassword admin` before others can reach the shop"
        self.stdout.write(
            f"admin   {admin['username']}, password {shown(admin)}{f' ({known})' if admin['password'] else ''}\n"
            f"staff   token {logins['staff_token']}\n"
            f"members {len(logins['member_tokens'])} tokens, the first {logins['member_tokens'][0]} (all: --json)"
        )
