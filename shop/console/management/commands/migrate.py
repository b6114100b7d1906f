"""Django's ``migrate``, for all databases at once."""

from typing import Any

from django.core.management.base import CommandParser
from django.core.management.commands import migrate
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder

from shop.console.databases import create_missing
from shop.console.introduction import introduce
from shop.members.services import open_accounts


class Command(migrate.Command):
    help = "Creates missing databases and migrates all of them; with --database, only that one."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(database=None)

    def get_check_kwargs(self, options: dict[str, Any]) -> dict[str | None, Any]:
        return {"databases": [options["database"]] if options["database"] else list(connections)}

    def handle(self, *args: Any, **options: Any) -> None:
        aliases = [options["database"]] if options["database"] else list(connections)
        for alias in aliases:
            created = create_missing([alias])
            before = MigrationRecorder(connections[alias]).applied_migrations()
            # Django's report of one database is too long to print for all of them.
            super().handle(*args, **{**options, "database": alias, "verbosity": max(options["verbosity"] - 1, 0)})
            changed = before.keys() ^ MigrationRecorder(connections[alias]).applied_migrations().keys()
            if options["verbosity"] >= 1 and not (options["plan"] or options["check_unapplied"]):
                name = connections[alias].settings_dict["NAME"]
                state = f"{len(changed)} migrations" if changed else "up to date"
                self.stdout.write(f"{alias}: database {name} {'created, ' if created else ''}{state}")
        if not (options["plan"] or options["check_unapplied"]):
            introduce(aliases)
            if "default" in aliases and not options["app_label"]:  # all of its tables are there
                self._open_credit_accounts(options["verbosity"])

    def _open_credit_accounts(self, verbosity: int) -> None:
        """Members who joined before there were credit accounts, or through an older web process, get theirs."""
        opened = open_accounts()
        if opened and verbosity >= 1:
            self.stdout.write(f"default: {opened:,} credit accounts opened")
