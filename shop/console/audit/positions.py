"""The messaging: what producers believe of their consumers, where these are, and where the logs end."""

from collections.abc import Iterator
from zlib import crc32

from django.conf import settings

from shop.console.audit.evidence import EVERYONE, Evidence, Needs
from shop.console.audit.invariants import Family, invariant
from shop.console.audit.snapshots import Row
from shop.messaging.consumers import consumers_of

SKIPPED = """
SELECT position, type, key FROM {label}_outboxevent
WHERE lane = %(lane)s AND position > %(acknowledged)s AND position <= %(scanned)s AND type = ANY(%(types)s)
ORDER BY position
"""

KEYS = "SELECT key, min(lane) AS lane, max(lane) AS other_lane FROM {label}_outboxevent GROUP BY key"


@invariant("messaging.positions", "Of each subscription: acknowledged ≤ cursor ≤ the end of the lane.")
def positions(evidence: Evidence) -> Iterator[Row]:
    for source, heads in evidence.heads.items():
        subscriptions = {(row["consumer"], row["lane"]): row for row in evidence.subscriptions[source]}
        for consumer in consumers_of(source):
            cursors = evidence.positions.get((consumer, source), {})
            for lane in sorted({*heads, *cursors}):
                subscription = subscriptions.get((consumer, lane), {"acknowledged": 0, "scanned": 0, "through": None})
                row = {
                    "consumer": consumer,
                    "source": source,
                    "lane": lane,
                    "acknowledged": subscription["acknowledged"],
                    "scanned": subscription["scanned"],
                    "cursor": cursors.get(lane, 0),
                    "end": heads.get(lane, 0),
                }
                reached = max(row["cursor"], row["scanned"], subscription["through"] or 0)
                if not (row["acknowledged"] <= row["cursor"] and row["acknowledged"] <= row["scanned"]):
                    yield row | {"fault": "more is acknowledged than was applied"}
                elif reached > row["end"]:
                    yield row | {"fault": "beyond the end of the log: was the producer restored?"}


@invariant("messaging.skipped", "Nothing that a consumer wants lies between what it acknowledged and what was scanned.")
def skipped(evidence: Evidence) -> Iterator[Row]:
    for source, subscriptions in evidence.subscriptions.items():
        consumers = consumers_of(source)
        for row in subscriptions:
            if row["consumer"] in consumers and row["scanned"] > row["acknowledged"]:
                wanted = {"types": list(consumers[row["consumer"]].types)}
                for event in evidence.log[source].stream(SKIPPED.format(label=source), row | wanted):
                    yield {"consumer": row["consumer"], "source": source, "lane": row["lane"], **event}


@invariant("messaging.lanes", "All events of an aggregate are in the lane of its key.")
def lanes(evidence: Evidence) -> Iterator[Row]:
    for source, log in evidence.log.items():
        count = len(evidence.heads[source])
        for row in log.stream(KEYS.format(label=source)):
            expected = crc32(row["key"].encode()) % count if count else None
            if not row["lane"] == row["other_lane"] == expected:
                yield {"source": source, **row, "expected": expected}


@invariant("messaging.in_time", "No batch is older than its time-out.")
def in_time(evidence: Evidence) -> Iterator[Row]:
    grace = settings.RELAY_RESEND_AFTER
    for source, subscriptions in evidence.subscriptions.items():
        for row in subscriptions:
            if row["batch"] is not None and row["due_at"] + grace < row["read_at"]:
                names = ("consumer", "lane", "batch", "after", "through", "sent_at", "tries", "due_at")
                yield {"source": source, **{name: row[name] for name in names}}


FAMILIES = (
    Family("positions", Needs(beliefs=True, state=EVERYONE, log=EVERYONE), (positions, skipped, in_time)),
    Family("lanes", Needs(log=EVERYONE), (lanes,)),
)
