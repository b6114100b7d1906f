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
WHERE lane = %(lane)s AND position > %(from)s AND position <= %(to)s AND type = ANY(%(types)s) ORDER BY position
"""

UNWANTED_THEN = """
SELECT count(*) AS events, min(position) AS first FROM {label}_outboxevent
WHERE lane = %(lane)s AND type = %(type)s AND position <= %(since)s
"""

KEYS = "SELECT key, min(lane) AS lane, max(lane) AS other_lane FROM {label}_outboxevent GROUP BY key"


@invariant("messaging.positions", "Of each subscription: acknowledged ≤ cursor ≤ the end of the lane.")
def positions(evidence: Evidence) -> Iterator[Row]:
    for source, heads in evidence.heads.items():
        rows = (row for row in evidence.subscriptions[source] if row["generation"] == 1)
        subscriptions = {(row["consumer"], row["lane"]): row for row in rows}
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
                elif reached > row["end"] and not _is_explained(reached, row["end"], evidence.fences[source]):
                    yield row | {"fault": "beyond the end of the log: was the producer restored?"}


def _is_explained(reached: int, end: int, fences: list[Row]) -> bool:
    """Return whether a fence shows that a position was reached in a history that a restore undid."""
    return any(end <= fence["last_kept"] < reached < fence["first"] for fence in fences)


@invariant("messaging.identity", "Each cursor follows the outbox of its source, in an epoch that the source knows.")
def identity(evidence: Evidence) -> Iterator[Row]:
    for cursor in evidence.cursor_rows:
        outbox = evidence.outboxes.get(cursor["source"])
        if outbox is None or cursor["outbox"] is None:
            continue  # nothing was recorded yet, or nothing heard
        row = {name: cursor[name] for name in ("consumer", "source", "lane", "outbox", "epoch")}
        row |= {"outbox_of_source": outbox["identity"], "epoch_of_source": outbox["epoch"]}
        if cursor["outbox"] != outbox["identity"]:
            yield row | {"fault": "follows another outbox: another deployment's, or the source was made anew"}
        elif (cursor["epoch"] or 0) > outbox["epoch"]:
            yield row | {"fault": "has heard of a fence that its source has lost: run `manage.py fence`"}


@invariant("messaging.skipped", "No event of the types that a claim names lies where it says that there is none.")
def skipped(evidence: Evidence) -> Iterator[Row]:
    """Without a claim that counts, a relay reads again from what is acknowledged: nothing can be skipped."""
    for source, subscriptions in evidence.subscriptions.items():
        for row in subscriptions:
            claimed = row["claim_types"] is not None and row["claim_from"] <= row["acknowledged"] < row["scanned"]
            if claimed and row["scanned"] <= row["claim_to"]:
                claim = {"types": row["claim_types"], "from": row["acknowledged"], "to": row["scanned"]}
                for event in evidence.log[source].stream(SKIPPED.format(label=source), row | claim):
                    yield {"consumer": row["consumer"], "source": source, "lane": row["lane"], **event}


@invariant("messaging.wanted", "A consumer was sent every event of the types that it wants.")
def wanted(evidence: Evidence) -> Iterator[Row]:
    """Find events of a type that were passed over before a consumer wanted that type."""
    for cursor in evidence.cursor_rows:
        source = cursor["source"]
        for name, since in cursor["types"].items():
            if since > 0 and source in evidence.log:
                bounds = {"lane": cursor["lane"], "type": name, "since": since}
                (passed,) = evidence.log[source].rows(UNWANTED_THEN.format(label=source), bounds)
                if passed["events"]:
                    names = ("consumer", "source", "lane")
                    yield {**{n: cursor[n] for n in names}, "type": name, "wanted_after": since, **passed}


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
            if row["consumer"] not in consumers_of(source):
                continue  # it was removed from the code: nobody sends it anything again
            if row["batch"] is not None and row["due_at"] + grace < row["read_at"]:
                names = ("consumer", "lane", "batch", "after", "through", "sent_at", "tries", "due_at")
                yield {"source": source, **{name: row[name] for name in names}}


def stopped_subscriptions(evidence: Evidence) -> Iterator[Row]:
    """Find the subscriptions that are sent nothing until an operator resumes them."""
    for source, subscriptions in evidence.subscriptions.items():
        for row in subscriptions:
            if row["stopped"]:
                yield {"source": source, **{name: row[name] for name in ("consumer", "generation", "lane", "stopped")}}


FAMILIES = (
    Family(
        "positions",
        Needs(beliefs=True, state=EVERYONE, log=EVERYONE),
        (positions, identity, skipped, wanted, in_time),
    ),
    Family("lanes", Needs(log=EVERYONE), (lanes,)),
)
