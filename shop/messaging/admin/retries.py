"""Retries of dead letters in the admin: what was asked for, by whom, how far it is, and what came of it."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from django.contrib import admin
from django.utils.safestring import SafeString

from shop.admin.pages import ReadOnlyPage
from shop.admin.shown import NOTHING, Panel, age, badge, counted, list_link, moment, page_link
from shop.messaging import models
from shop.messaging.contexts import context

SHOWN = 100  # keys on a page; retries in a panel


class LetterRetryPage(ReadOnlyPage):
    """Requests to retry dead letters."""

    list_display = ("__str__", "requested", "requested_by", "state", "outcome")
    fields = (("source", "state"), ("requested", "requested_by"), ("began", "ended"), ("outcome", "letter"))
    empty = "Nobody has asked for a retry yet."
    ordering = ("-id",)

    def panels(self, request: Any, row: Any) -> Sequence[Panel]:
        letters = f"{self.opts.app_label}_deadletter"
        keys = [[list_link(letters, f"?q={quote(key)}&state=all", key)] for key in row.keys[:SHOWN]]
        said = f"The first {SHOWN} of {len(row.keys)} keys" if len(row.keys) > SHOWN else "Keys"
        return [
            Panel(title="Why it ended early", text=row.error, empty="It did not."),
            Panel(title=f"{said}, in the order of their retry", headers=("Key",), rows=keys),
        ]

    @admin.display(description="requested at (UTC)")
    def requested(self, row: Any) -> str:
        return moment(row.requested_at)

    @admin.display(description="began last at (UTC)")
    def began(self, row: Any) -> str:
        return moment(row.began_at)

    @admin.display(description="ended at (UTC)")
    def ended(self, row: Any) -> str:
        return moment(row.ended_at)

    @admin.display(description="letter begun last")
    def letter(self, row: Any) -> str:
        return NOTHING if row.position is None else page_link(f"{row.source}_outboxevent", row.position)

    @admin.display
    def state(self, row: Any) -> SafeString:
        return state_of(row)

    @admin.display
    def outcome(self, row: Any) -> str:
        return outcome_of(row)


def state_of(row: Any) -> SafeString:
    """Whether it is pending, under way or ended, and how."""
    if row.ended_at is not None:
        return badge("failed again", "danger") if row.error else badge("done", "success")
    return badge("pending", "warning") if row.began_at is None else badge("begun, not finished", "danger")


def outcome_of(row: Any) -> str:
    """What came of it so far, in words."""
    applied = f"{counted(row.applied, 'letter')} applied"
    if row.ended_at is not None:
        return f"{applied}, {row.left} left." + (f" {row.error}" if row.error else "")
    if row.began_at is not None:
        with_letter = "" if row.position is None else f" with #{row.position}"
        return (
            f"Begun {age(row.began_at)} ago{with_letter}: a worker is at it, or was killed by it. It is not repeated."
        )
    progress = f" {applied} so far, {row.done} of {counted(len(row.keys), 'key')} done." if row.done else ""
    return f"Waits for a worker.{progress}"


def unfinished(label: str) -> dict[tuple[str, str, str], Any]:
    """The requests that have not ended, by (consumer, source, key): the latest of each."""
    rows = context(label).table(models.LetterRetry).objects.filter(ended_at=None).order_by("id")
    return {(row.consumer, row.source, key): row for row in rows for key in row.keys[row.done :]}


def retries_of(label: str, *, consumer: str, source: str, key: str) -> Panel:
    """The latest requests for a key."""
    rows = (
        context(label).table(models.LetterRetry).objects.filter(consumer=consumer, source=source, keys__contains=[key])
    )
    return Panel(
        title="Retries",
        headers=("Requested at (UTC)", "By", "State", "Outcome"),
        rows=[
            [
                page_link(f"{label}_letterretry", row.pk, moment(row.requested_at)),
                row.requested_by,
                state_of(row),
                outcome_of(row),
            ]
            for row in rows.order_by("-id")[:SHOWN]
        ],
        empty="Nobody has asked for one.",
    )
