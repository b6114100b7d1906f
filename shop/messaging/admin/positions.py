"""The admin of outboxes, subscriptions and cursors.

All are read-only: what an operator may do is an action, one call to :mod:`shop.messaging.consumer.deadletters` each.
"""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from shop.admin.pages import ReadOnlyPage
from shop.admin.shown import NOTHING, Panel, age, badge, counted, moment, pretty
from shop.messaging import models as messaging
from shop.messaging.admin.timeline import cause_link, states, timeline
from shop.messaging.consumer import deadletters
from shop.messaging.contexts import context
from shop.messaging.producer.progress import LAG_CAP, Progress, lags


class LaneFilter(admin.SimpleListFilter):
    """One lane of the outbox, through the index on (lane, position)."""

    title = "lane"
    parameter_name = "lane"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        outbox = context(model_admin.opts.app_label).table(messaging.Outbox).objects
        lanes: int = outbox.values_list("lanes", flat=True).first() or 0
        return [(str(lane), f"Lane {lane}") for lane in range(lanes)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset.filter(lane=value) if value and value.isdecimal() else queryset


class OutboxEventPage(ReadOnlyPage):
    """The log: what was recorded, and how far each consumer is with it."""

    list_display = ("position", "type", "key", "lane", "recorded", "consumers")
    list_filter = (LaneFilter,)
    search_fields = ("position", "key")
    search_help_text = "Position or key, exactly"
    empty = "No event has been recorded yet."
    lookups = ("key",)
    ordering = ("-position",)
    fields = (("position", "lane"), ("type", "recorded"), ("key", "cause"), "consumers")

    def complete(self, request: HttpRequest, rows: Sequence[Any]) -> None:
        progress = Progress(self.opts.app_label)
        for row in rows:
            row.states = progress.of(row)

    def panels(self, request: HttpRequest, row: Any) -> list[Panel]:
        return [
            Panel(title="Data", text=pretty(row.data)),
            Panel(title="Headers", text=pretty(row.headers)),
            timeline(self.opts.app_label, row.key, title="All events of this key"),
        ]

    @admin.display(description="recorded at (UTC)")
    def recorded(self, row: Any) -> str:
        return moment(row.recorded_at)

    @admin.display(description="reaction to")
    def cause(self, row: Any) -> str:
        return cause_link(row.headers)

    @admin.display
    def consumers(self, row: Any) -> str:
        return states(row)


class SubscriptionPage(ReadOnlyPage):
    """How far each consumer of this outbox has come, as the producer knows it."""

    list_display = ("__str__", "acknowledged", "scanned", "head", "behind", "oldest", "flight", "tries", "due")
    fields = (
        ("consumer", "lane"),
        ("acknowledged", "scanned"),
        ("head", "behind"),
        ("oldest", "due"),
        ("flight", "tries"),
        "batch",
    )
    empty = "No subscriptions yet: the first scan creates them."
    ordering = ("consumer", "lane")
    list_per_page = 200

    def complete(self, request: HttpRequest, rows: Sequence[Any]) -> None:
        found = lags(self.opts.app_label)
        for row in rows:
            row.lag = found.get((row.consumer, row.lane))

    @admin.display(description="lane's head")
    def head(self, row: Any) -> object:
        return row.lag.head if row.lag else NOTHING

    @admin.display(description="events behind (+: at least)")
    def behind(self, row: Any) -> str | SafeString:
        if row.lag is None:
            return badge("no consumer of this name", "danger")
        if row.lag.more:
            return badge(f"{min(row.lag.events, LAG_CAP)}+", "danger")
        return badge(str(row.lag.events), "warning") if row.lag.events else badge("none", "success")

    @admin.display(description="oldest has waited")
    def oldest(self, row: Any) -> str:
        return age(row.lag.oldest) if row.lag else NOTHING

    @admin.display(description="in flight")
    def flight(self, row: Any) -> str:
        return NOTHING if row.batch is None else f"{row.after} to {row.through}, sent {age(row.sent_at)} ago"

    @admin.display(description="next send (UTC)")
    def due(self, row: Any) -> str:
        return moment(row.due_at)


class CursorPage(ReadOnlyPage):
    """How far this context has come in each lane of its sources: the truth about it."""

    list_display = ("__str__", "position", "fresh", "state", "attempts", "poisonous")
    empty = "No cursors yet: the first batch of each lane creates one."
    ordering = ("consumer", "source", "lane")
    list_per_page = 200
    actions = ("resume",)

    @admin.display(description="fresh as of (UTC)")
    def fresh(self, row: Any) -> str:
        return moment(row.fresh_at)

    @admin.display
    def state(self, row: Any) -> str:
        return (
            format_html("{} {}", badge("stopped", "danger"), row.stopped) if row.stopped else badge("runs", "success")
        )

    @admin.action(permissions=["operate"], description="Resume stopped lanes (fix the cause first)")
    def resume(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        resumed = 0
        for cursor in queryset:
            if deadletters.resume(self.opts.app_label, source=cursor.source, lane=cursor.lane):
                self.log_change(request, cursor, f"Resumed; it had stopped: {cursor.stopped}")
                resumed += 1
        said = (
            f"{counted(resumed, 'lane')} resumed; each continues with its next batch."
            if resumed
            else "None of them was stopped."
        )
        self.message_user(request, said, messages.SUCCESS if resumed else messages.WARNING)
