"""``manage.py fence``: make a producer's positions unique again after a restore that nobody else can notice."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from shop.messaging.contexts import publishers
from shop.messaging.producer.fence import fence


class Command(BaseCommand):
    help = (
        "Moves the sequence of a context's outbox beyond every position that any branch of its history can have given "
        "out, so that consumers take what is written from now on for new. Run it after a restore that keeps the "
        "server's identity (pg_restore, a copied folder, a snapshot of the machine), before anything writes. After "
        "other restores and after a failover it happens by itself. Harmless when it was not needed. Subscriptions "
        "that were stopped for want of it go on; lanes of consumers that were are resumed in the admin."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        labels = [app.label for app in publishers()]
        parser.add_argument("context", nargs="+", choices=labels, help="the restored contexts")
        parser.add_argument("--reason", default="by hand", help="kept beside the fence (default: %(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        for label in options["context"]:
            first = fence(label, reason=options["reason"] or "by hand")
            self.stdout.write(f"{label}: fenced; positions go on at {first}")
