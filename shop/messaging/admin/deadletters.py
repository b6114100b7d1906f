"""Dead letters in the admin: what could not be applied and why; retry and discard."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html

from shop.admin.dialogs import Dialog, dialog
from shop.admin.pages import Page, ReadOnlyPage, confirmed
from shop.admin.shown import Panel, badge, counted, moment, page_link, pretty
from shop.messaging.admin.retries import retries_of, state_of, unfinished
from shop.messaging.consumer import deadletters, retries
from shop.messaging.consumer.letters import event_of
from shop.messaging.consumers import consumers_of
from shop.messaging.contexts import publishers


class SourceFilter(admin.SimpleListFilter):
    """Letters of one source; the sources are those that the context consumes."""

    title = "source"
    parameter_name = "source"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in sources_of(model_admin.opts.app_label)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(source=self.value()) if self.value() else queryset


class OpenFilter(admin.SimpleListFilter):
    """Open letters, which block their key; discarded ones on request."""

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
    empty = "There are no open dead letters: every received event was applied."
    ordering = ("consumer", "source", "position")
    actions = ("retry", "retry_groups", "discard")
    actions_detail = ("retry_key", "discard_letter")
    fields = (("type", "state"), ("source", "origin"), ("key", "lane"), ("attempts", "parked"))

    def complete(self, request: HttpRequest, rows: Sequence[Any]) -> None:
        asked = unfinished(self.opts.app_label)
        for row in rows:
            row.retry = None if row.discarded_at else asked.get((row.consumer, row.source, row.key))

    def panels(self, request: HttpRequest, row: Any) -> list[Panel]:
        return [
            Panel(title="Error", text=row.error),
            Panel(title="Traceback", text=row.traceback, empty="None: it was not tried, or killed its worker."),
            Panel(title="Event", text=pretty(event_of(row))),
            retries_of(self.opts.app_label, consumer=row.consumer, source=row.source, key=row.key),
        ]

    @admin.display(description="error")
    def why(self, row: Any) -> str:
        return row.error if len(row.error) <= 80 else f"{row.error[:79]}…"

    @admin.display(description="parked at (UTC)")
    def parked(self, row: Any) -> str:
        return moment(row.parked_at)

    @admin.display
    def state(self, row: Any) -> str:
        if row.discarded_at:
            return badge("discarded")
        return format_html("retry {}", state_of(row.retry)) if row.retry else badge("open", "danger")

    @admin.display(description="event in its source's outbox")
    def origin(self, row: Any) -> str:
        return page_link(f"{row.source}_outboxevent", row.position)

    @admin.action(permissions=["operate"], description="Retry the letters' keys, each in order")
    def retry(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        letters = {(row.consumer, row.source, row.key): row for row in queryset.filter(discarded_at=None)}
        self._request(request, [(letter, [letter.key]) for letter in letters.values()])

    @admin.action(
        permissions=["operate"],
        description="Retry all letters like these (source, type, error): one key, then 2, 5, 10, …",
    )
    def retry_groups(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._request(request, groups_of(self.model, queryset.filter(discarded_at=None)))

    def _request(self, request: HttpRequest, asked: Sequence[tuple[Any, Sequence[str]]]) -> None:
        for letter, keys in asked:
            level, said = request_retry(self, request, letter, keys)
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
        text="A worker applies the open letters of this key in order, and stops at the first that fails again.",
        submit="Retry",
        icon="replay",
        to_list=True,
    )
    def retry_key(self, request: HttpRequest, form: Dialog, object_id: str) -> tuple[int, str]:
        letter = self.model._default_manager.get(pk=object_id)
        return request_retry(self, request, letter, [letter.key])

    @dialog(
        "Discard",
        text="Its event will never take effect here, and it no longer blocks its key. This cannot be undone.",
        submit="Discard it",
        icon="delete",
        danger=True,
        to_list=True,
    )
    def discard_letter(self, request: HttpRequest, form: Dialog, object_id: str) -> str:
        letter = self.model._default_manager.get(pk=object_id)
        return "1 letter discarded." if discard(self, request, letter) else "It was not open any more."


def request_retry(page: Page, request: HttpRequest, letter: Any, keys: Sequence[str]) -> tuple[int, str]:
    """Ask a worker to retry some keys of a letter's source; the level and the words for the operator."""
    label, name = page.opts.app_label, f"key {keys[0]} of {letter.source}"
    if len(keys) > 1:
        name = f"{len(keys)} keys of {letter.source}, from {keys[0]} on"
    retries.request(label, source=letter.source, keys=keys, by=request.user.get_username(), consumer=letter.consumer)
    page.log_change(request, letter, f"Asked for a retry of {name}.")
    if retries.call_worker(label, source=letter.source, consumer=letter.consumer):
        return messages.SUCCESS, f"A worker will retry {name}. What comes of it is in the list of retries."
    return messages.WARNING, (
        f"The retry of {name} is noted, but the broker is away: a worker takes it up once the broker is back."
    )


def groups_of(model: type[Any], chosen: QuerySet[Any]) -> list[tuple[Any, list[str]]]:
    """For each kind of failure among the chosen keys, its first letter, and the keys of all open letters of that kind.

    A kind is (consumer, source, type, error) of the letter that holds up a key, which is the key's first.
    """
    letters = model._default_manager.filter(discarded_at=None).order_by("position")
    kinds: dict[tuple[str, ...], Any] = {}
    for consumer, source, key in dict.fromkeys(chosen.order_by("position").values_list("consumer", "source", "key")):
        if first := letters.filter(consumer=consumer, source=source, key=key).first():
            kinds.setdefault((consumer, source, first.type, first.error), first)
    groups = []
    for (consumer, source, kind, error), first in kinds.items():
        alike = letters.filter(consumer=consumer, source=source, type=kind, error=error)
        groups.append((first, list(dict.fromkeys(alike.values_list("key", flat=True)))))
    return groups


def discard(page: Page, request: HttpRequest, letter: Any) -> bool:
    """Discard a letter, and log it; whether it was open."""
    who = request.user.get_username()
    discarded = deadletters.discard(
        page.opts.app_label, position=letter.position, source=letter.source, consumer=letter.consumer, by=who
    )
    if discarded:
        page.log_change(request, letter, "Discarded.")
    return discarded


def sources_of(label: str) -> list[str]:
    """Return the contexts whose events a context consumes."""
    return [app.label for app in publishers() if label in consumers_of(app.label)]
