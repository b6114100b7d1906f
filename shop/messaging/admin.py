"""The admin of the messaging tables, abstract; each context registers them for its own::

    admin.site.register(OutboxEvent, OutboxEventPage)

All are read-only: what an operator may do is an action, one call to :mod:`shop.messaging.deadletters` each.
"""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from kombu.exceptions import OperationalError as BrokerAway

from shop.console.dialogs import Dialog, dialog
from shop.console.pages import Page, ReadOnlyPage, confirmed
from shop.console.shown import NOTHING, Panel, age, badge, counted, link, list_url, moment, page_link, pretty
from shop.messaging import deadletters
from shop.messaging.consumers import consumers_of
from shop.messaging.contexts import context, publishers
from shop.messaging.failures import is_transient
from shop.messaging.progress import LAG_CAP, Progress, State, lags, trace

COLOURS = {State.WAITING: "warning", State.SENT: "info", State.ACKNOWLEDGED: "success", State.NOT_WANTED: ""}


def states(row: Any) -> str:
    """An event's state for each consumer, as badges."""
    parts = [f"{name} {badge(str(state), COLOURS[state])}" for name, state in row.states.items()]
    return mark_safe("<br>".join(parts)) if parts else NOTHING  # noqa: S308 (names and badges are our own)


def cause_link(headers: dict[str, str]) -> str:
    """The event that an event reacts to, as a link to its own page."""
    source, _, position = headers.get("causation", "").partition("/")
    return page_link(f"{source}_outboxevent", position, f"{source} #{position}") if position else NOTHING


def timeline(label: str, key: str, *, title: str = "Events", moments: Sequence[tuple[str, Any]] = ()) -> Panel:
    """What happened to an aggregate, in time: the ``moments`` (words, when) given, and its events, with their states.

    :param label: the context whose outbox has the key's events.
    """
    progress = Progress(label)
    rows = [(at, 0, [moment(at), badge(text, "primary"), "", "", "", "", ""]) for text, at in moments]
    for event in trace(label, key):
        event.states = progress.of(event)
        position = page_link(f"{label}_outboxevent", event.pk)
        cells = [moment(event.recorded_at), event.type, position, event.lane, cause_link(event.headers)]
        traceparent = event.headers.get("traceparent", "")
        rows.append((event.recorded_at, event.pk, [*cells, traceparent[3:35] or NOTHING, states(event)]))
    return Panel(
        title=title,
        headers=("Time (UTC)", "What", "Position", "Lane", "Reaction to", "Trace", "Consumers"),
        rows=[cells for _, _, cells in sorted(rows, key=lambda row: row[:2])],
        empty="No event of this key is in the outbox.",
    )


class LaneFilter(admin.SimpleListFilter):
    """One lane of the outbox, through the index on (lane, position)."""

    title = "lane"
    parameter_name = "lane"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        outbox = context(model_admin.opts.app_label).table("Outbox").objects
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
    empty = "No event was recorded yet."
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
    empty = "No consumer was served yet: the first scan makes the subscriptions."
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

    @admin.display(description="oldest waits for")
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
    empty = "No batch has come yet: the first one of each lane makes its cursor."
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

    @admin.action(permissions=["operate"], description="Resume stopped lanes (mend the cause first)")
    def resume(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        resumed = 0
        for cursor in queryset:
            if deadletters.resume(self.opts.app_label, source=cursor.source, lane=cursor.lane):
                self.log_change(request, cursor, f"Resumed; it had stopped: {cursor.stopped}")
                resumed += 1
        said = (
            f"{counted(resumed, 'lane')} resumed, to go on with the next batch."
            if resumed
            else "None of them was stopped."
        )
        self.message_user(request, said, messages.SUCCESS if resumed else messages.WARNING)


class SourceFilter(admin.SimpleListFilter):
    """Letters of one source; the sources are those that the context consumes."""

    title = "source"
    parameter_name = "source"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in sources_of(model_admin.opts.app_label)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(source=self.value()) if self.value() else queryset


class OpenFilter(admin.SimpleListFilter):
    """Letters that still hold up their key, unless the discarded ones are asked for."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("discarded", "Discarded"), ("all", "All")]

    def choices(self, changelist: Any) -> Any:
        first, *rest = super().choices(changelist)
        return [{**first, "display": "Open"}, *rest]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "all":
            return queryset
        return queryset.filter(discarded_at__isnull=self.value() != "discarded")


class DeadLetterPage(ReadOnlyPage):
    """Events that could not be applied, and those that wait behind them."""

    list_display = ("__str__", "key", "lane", "why", "attempts", "parked", "state")
    list_filter = (OpenFilter, SourceFilter)
    search_fields = ("key", "position")
    search_help_text = "Key or position, exactly"
    empty = "There are no open dead letters: every event that came was applied."
    ordering = ("consumer", "source", "position")
    actions = ("retry", "discard")
    actions_detail = ("retry_key", "discard_letter")
    fields = (("type", "state"), ("source", "origin"), ("key", "lane"), ("attempts", "parked"))

    def panels(self, request: HttpRequest, row: Any) -> list[Panel]:
        return [
            Panel(title="Error", text=row.error),
            Panel(title="Traceback", text=row.traceback, empty="None: it was not tried, or killed its worker."),
            Panel(title="Event", text=pretty(row.event)),
        ]

    @admin.display(description="error")
    def why(self, row: Any) -> str:
        return row.error if len(row.error) <= 80 else f"{row.error[:79]}…"

    @admin.display(description="parked at (UTC)")
    def parked(self, row: Any) -> str:
        return moment(row.parked_at)

    @admin.display
    def state(self, row: Any) -> str:
        return badge("discarded") if row.discarded_at else badge("open", "danger")

    @admin.display(description="event in its source's outbox")
    def origin(self, row: Any) -> str:
        return page_link(f"{row.source}_outboxevent", row.position)

    @admin.action(permissions=["operate"], description="Retry the letters' keys, each in order")
    def retry(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for letter in {(row.source, row.key): row for row in queryset.filter(discarded_at=None)}.values():
            level, said = retry_key(self, request, letter)
            self.message_user(request, said, level)

    @admin.action(permissions=["operate"], description="Discard the letters: their events never take effect here")
    def discard(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        letters = list(queryset.filter(discarded_at=None))
        asked = confirmed(
            self,
            request,
            letters,
            action="discard",
            title=f"Discard {counted(len(letters), 'letter')}",
            text="These events will never take effect here. This cannot be undone.",
        )
        if asked is None:
            discarded = sum(discard(self, request, letter) for letter in letters)
            self.message_user(request, f"{discarded} of {counted(len(letters), 'letter')} discarded.", messages.SUCCESS)
        return asked

    @dialog(
        "Retry this key",
        text="Applies the open letters of this letter's key in order, and stops at the first that fails again.",
        submit="Retry",
        icon="replay",
        to_list=True,
    )
    def retry_key(self, request: HttpRequest, form: Dialog, object_id: str) -> tuple[int, str]:
        return retry_key(self, request, self.model._default_manager.get(pk=object_id))

    @dialog(
        "Discard",
        text="Its event will never take effect here, and no longer holds up its key. This cannot be undone.",
        submit="Discard it",
        icon="delete",
        danger=True,
        to_list=True,
    )
    def discard_letter(self, request: HttpRequest, form: Dialog, object_id: str) -> str:
        letter = self.model._default_manager.get(pk=object_id)
        return "1 letter discarded." if discard(self, request, letter) else "It was not open any more."


def retry_key(page: Page, request: HttpRequest, letter: Any) -> tuple[int, str]:
    """Retry a letter's key; the level and the words of what came of it."""
    label, name = page.opts.app_label, f"key {letter.key} of {letter.source}"
    open_letters = page.model._default_manager.filter(source=letter.source, key=letter.key, discarded_at=None)
    before, failure = open_letters.count(), ""
    try:
        deadletters.retry(label, source=letter.source, key=letter.key)
    except BrokerAway:
        pass  # they are applied; what they caused goes out with the next scan
    except Exception as error:
        if not is_transient(error):
            raise
        failure = f" The database refused for the moment: {error} Try again later; the letters are kept."
    left = open_letters.count()
    page.log_change(request, letter, f"Retried {name}: {before - left} applied, {left} left.")
    applied = f"{counted(before - left, 'event')} of {name} applied"
    if failure:
        return messages.ERROR, f"{applied}.{failure}"
    if left:
        return messages.WARNING, f"{applied}, {left} left: the first of them failed again, and says why."
    return messages.SUCCESS, f"{applied}, none left."


def discard(page: Page, request: HttpRequest, letter: Any) -> bool:
    """Discard a letter, and log it; whether it was open."""
    discarded = deadletters.discard(page.opts.app_label, position=letter.position, source=letter.source)
    if discarded:
        page.log_change(request, letter, "Discarded.")
    return discarded


def sources_of(label: str) -> list[str]:
    """The contexts whose events a context consumes."""
    return [app.label for app in publishers() if label in consumers_of(app.label)]


def events_of_key(label: str, key: str, text: str = "Its events in the outbox") -> SafeString:
    """A link to a key's events in a context's outbox."""
    return link(list_url(f"{label}_outboxevent", f"?key={key}"), text)
