"""Dead letters in the admin: what could not be applied and why; retry and discard."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from kombu.exceptions import OperationalError as BrokerAway

from shop.admin.dialogs import Dialog, dialog
from shop.admin.pages import Page, ReadOnlyPage, confirmed
from shop.admin.shown import Panel, badge, counted, moment, page_link, pretty
from shop.messaging.consumer import deadletters
from shop.messaging.consumer.transient import is_transient
from shop.messaging.consumers import consumers_of
from shop.messaging.contexts import context, publishers
from shop.messaging.producer.relay import wake


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
        text="Its event will never take effect here, and it no longer blocks its key. This cannot be undone.",
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
        if deadletters.retry(label, source=letter.source, key=letter.key) and context(label).publishes:
            wake(label)
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
    """Return the contexts whose events a context consumes."""
    return [app.label for app in publishers() if label in consumers_of(app.label)]
