"""``manage.py replay CONTEXT SOURCE --from POSITION``: send a consumer events again."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from shop.console.operators import operator
from shop.messaging.consumer.replay import SetBack, UnableToReplay, replay
from shop.messaging.consumers import Consumer, consumer_of, consumers


class Command(BaseCommand):
    help = (
        "Sends a context's reaction to a source every event after a position again, by setting its cursors back to "
        "it. Reactions have no effect twice, so what was applied stays as it is; a type that was wanted only from "
        "some position on gets its past. Until the consumer has caught up, what it copies of others may be older than "
        "it was. Dead letters stay what they are, and stopped lanes stopped. Only the consumer's database is needed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("context", help="the context that is sent them")
        parser.add_argument("source", help="the context whose events they are")
        parser.add_argument("--consumer", help="of a reaction with a name, such as inventory.fraud")
        parser.add_argument("--lane", type=int, help="only this lane (default: all)")
        parser.add_argument(
            "--from", type=int, required=True, dest="position", help="events after this position; 0: all that there are"
        )
        parser.add_argument("--reason", default="by hand", help="for the log (default: %(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        consumer = _consumer(options["context"], options["source"], options["consumer"])
        try:
            lanes = replay(
                consumer, position=options["position"], lane=options["lane"], reason=options["reason"], by=operator()
            )
        except UnableToReplay as refusal:
            raise CommandError(f"{refusal}.") from refusal
        except DatabaseError as error:
            raise CommandError(f"Nothing was set back: {error}") from error
        for lane in lanes:
            self._write(consumer, lane, options["position"])

    def _write(self, consumer: Consumer, lane: SetBack, position: int) -> None:
        self.stdout.write(
            f"{consumer.name} on {consumer.source}, lane {lane.lane}: set back from {lane.was} to {position}"
        )
        if lane.stopped:
            self.stdout.write(self.style.WARNING(f"  it is stopped, and goes on when resumed: {lane.stopped}"))


def _consumer(label: str, source: str, name: str | None) -> Consumer:
    """:raises CommandError: if the context has no such reaction."""
    try:
        consumer = consumer_of(name or label, source)
    except LookupError as error:
        known = sorted(f"{each.name} {each.source}" for each in consumers() if each.context == label)
        raise CommandError(f"{error}. Consumers of {label}: {', '.join(known) or 'none'}.") from error
    if consumer.context != label:
        raise CommandError(f"{consumer.name} is a consumer of {consumer.context}, not of {label}.")
    return consumer
