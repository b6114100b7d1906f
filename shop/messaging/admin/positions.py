"""The admin of outboxes, subscriptions, fences and cursors.

All are read-only: what an operator may do is an action, one call to the messaging each.
"""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from shop.admin.dialogs import Dialog, dialog
from shop.admin.pages import ReadOnlyPage
from shop.admin.shown import NOTHING, Panel, age, badge, counted, moment, pretty
from shop.messaging import models as messaging
from shop.messaging.admin.timeline import cause_link, states, timeline
from shop.messaging.consumer import deadletters
from shop.messaging.contexts import context
from shop.messaging.producer import relay
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


class ResumablePage(ReadOnlyPage):
    """Lanes that may be stopped, each for a reason, and resumed."""

    list_per_page = 200
    actions = ("resume",)
    actions_detail = ("resume_lane",)

    def let_go_on(self, row: Any) -> bool:
        """Resume a row; return ``False`` if it was not stopped."""
        raise NotImplementedError

    @admin.display
    def state(self, row: Any) -> SafeString:
        return badge("stopped", "danger") if row.stopped else badge("runs", "success")

    @admin.display(description="why it is stopped")
    def why(self, row: Any) -> str:
        return row.stopped or NOTHING

    @admin.action(permissions=["operate"], description="Resume stopped lanes (fix the cause first)")
    def resume(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        level, said = self._resume(request, list(queryset))
        self.message_user(request, said, level)

    @dialog(
        "Resume",
        text="The lane goes on where it stopped. Fix the cause first, or it stops again.",
        submit="Resume",
        icon="play_arrow",
    )
    def resume_lane(self, request: HttpRequest, form: Dialog, object_id: str) -> tuple[int, str]:
        return self._resume(request, [self.model._default_manager.get(pk=object_id)])

    def _resume(self, request: HttpRequest, rows: Sequence[Any]) -> tuple[int, str]:
        resumed = [row for row in rows if self.let_go_on(row)]
        for row in resumed:
            self.log_change(request, row, f"Resumed; it had stopped: {row.stopped}")
        if not resumed:
            return messages.WARNING, "None of them was stopped." if len(rows) > 1 else "It was not stopped."
        return messages.SUCCESS, f"{counted(len(resumed), 'lane')} resumed; each continues with its next batch."


class SubscriptionPage(ResumablePage):
    """How far each consumer of this outbox has come, as the producer knows it."""

    list_display = ("__str__", "acknowledged", "head", "behind", "oldest", "flight", "tries", "due", "state", "why")
    fields = (
        ("consumer", "generation", "lane"),
        ("state", "why"),
        ("acknowledged", "scanned", "claim"),
        ("head", "behind", "oldest"),
        ("flight", "tries", "due"),
        ("batch", "furthest"),
    )
    empty = "No subscriptions yet: the first scan creates them."
    ordering = ("consumer", "generation", "lane")

    def complete(self, request: HttpRequest, rows: Sequence[Any]) -> None:
        behind = lags(self.opts.app_label)
        for row in rows:
            row.lag = behind.get(row.pk)

    def let_go_on(self, row: Any) -> bool:
        return relay.resume(self.opts.app_label, row.pk)

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

    @admin.display(description="no row of these types")
    def claim(self, row: Any) -> str:
        if row.claim_types is None:
            return NOTHING
        return f"after {row.claim_from} up to {row.claim_to}: {', '.join(row.claim_types)}"

    @admin.display(description="next send (UTC)")
    def due(self, row: Any) -> str:
        return moment(row.due_at)


class FencePage(ReadOnlyPage):
    """The jumps of this outbox's positions, and why: the first begins it, each further one stands for a restore."""

    list_display = ("first", "last_kept", "reason", "fenced")
    fields = (("first", "last_kept"), "reason", "fenced")
    empty = "No fences yet: the first event makes one."
    ordering = ("-first",)

    @admin.display(description="at (UTC)")
    def fenced(self, row: Any) -> str:
        return moment(row.at)


class CursorPage(ResumablePage):
    """How far this context has come in each lane of its sources: the truth about it."""

    list_display = ("__str__", "position", "fresh", "follows", "attempts", "poisonous", "state", "why")
    fields = (
        ("consumer", "generation"),
        ("source", "lane"),
        ("state", "why"),
        ("position", "fresh"),
        ("outbox", "epoch"),
        ("attempts", "poisonous"),
        ("alone", "alone_attempts"),
        "left_alone",
    )
    empty = "No cursors yet: the first batch of each lane creates one."
    ordering = ("consumer", "generation", "source", "lane")

    def panels(self, request: HttpRequest, row: Any) -> list[Panel]:
        return [
            Panel(
                title="Types, each with the position from which on it is wanted",
                headers=("Type", "Wanted after"),
                rows=sorted(row.types.items()),
                empty="None yet: it has not moved.",
            ),
            Panel(title="Last event seen", text=pretty(row.last_event) if row.last_event else NOTHING),
        ]

    def let_go_on(self, row: Any) -> bool:
        return deadletters.resume(
            self.opts.app_label, source=row.source, lane=row.lane, consumer=row.consumer, generation=row.generation
        )

    @admin.display(description="fresh as of (UTC)")
    def fresh(self, row: Any) -> str:
        return moment(row.fresh_at)

    @admin.display(description="outbox and epoch")
    def follows(self, row: Any) -> str:
        if row.outbox is None:
            return NOTHING
        return f"{str(row.outbox)[:8]}, {NOTHING if row.epoch is None else row.epoch}"
