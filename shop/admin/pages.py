"""What every admin page of the shop is made of.

Lists are read by :mod:`shop.admin.lists`. If a database does not answer, only its own context's pages say so.
An act is logged once it is committed. Nothing is deleted.
"""

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import ValidationError
from django.db import Error, models, router, transaction
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern
from unfold.admin import ModelAdmin

from shop.admin.lists import KeysetChangeList, exactly
from shop.admin.shown import Panel, answering, counted
from shop.databases import RETRY_AFTER, is_unavailable
from shop.errors import DomainError

View = Callable[..., HttpResponseBase]


class Page(ModelAdmin):
    """The base of every page."""

    ordering: Sequence[str]
    search_fields: Sequence[str] = ()
    """Indexed fields; a search compares them with exactly what was typed."""
    lookups: Sequence[str] = ()
    """Query parameters, beside those of its filters, that a link may filter the list by."""

    empty = "Nothing is here yet."
    """The text of a list without rows."""

    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    compressed_fields = True
    change_list_template = "console/list.html"
    change_form_outer_after_template = "console/panels.html"

    def complete(self, request: HttpRequest, rows: Sequence[Any]) -> None:
        """Add to the rows what their columns show beside their fields, in one or two queries for all."""

    def panels(self, request: HttpRequest, row: Any) -> Sequence[Panel]:
        """Return the panels that a row's page shows below its fields."""
        return ()

    # Permissions

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_operate_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the user may run commands on these rows; actions require ``operate``."""
        return super().has_change_permission(request)  # type: ignore[no-any-return]

    # Lists

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        return KeysetChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        text = search_term.strip()
        return (exactly(queryset, self.search_fields, text) if text else queryset), False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        filters = [entry.parameter_name for entry in self.list_filter if hasattr(entry, "parameter_name")]
        return lookup in self.lookups or lookup in filters

    def response_action(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> HttpResponse | None:
        """Run an action on the selected rows of one page, never on the whole list."""
        selected = request.POST.getlist(ACTION_CHECKBOX_NAME)
        response: HttpResponse | None = super().response_action(request, queryset.filter(pk__in=selected))
        return response

    # Rows

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            self.complete(request, [row])
        return row

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        row = kwargs.get("obj")
        context["panels"] = self.panels(request, row) if row is not None else ()
        return super().render_change_form(request, context, *args, **kwargs)

    # The log is in another database: it is written once the change is committed, and holds up no lane.

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        self._after_commit(partial(super().log_addition, request, obj, message))

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:
        self._after_commit(partial(super().log_change, request, obj, message))

    def _after_commit(self, act: Callable[[], Any]) -> None:
        transaction.on_commit(act, using=router.db_for_write(self.model))

    # A database that does not answer

    def get_urls(self) -> list[URLPattern]:
        patterns: list[URLPattern] = super().get_urls()
        for pattern in patterns:
            pattern.callback = self._answering(pattern.callback)
        return patterns

    def _answering(self, view: View) -> View:
        @wraps(view)
        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                with answering(request):
                    response = view(request, *args, **kwargs)
                    return response.render() if isinstance(response, TemplateResponse) else response
            except Error as error:
                if not is_unavailable(error):
                    raise
                return self._unavailable(request, error)

        return answer

    def _unavailable(self, request: HttpRequest, error: Exception) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": "The database does not answer",
            "alias": router.db_for_read(self.model),
            "error": str(error).strip(),
        }
        headers = {"Retry-After": RETRY_AFTER}
        return TemplateResponse(request, "console/unavailable.html", context, status=503, headers=headers).render()


class ReadOnlyPage(Page):
    """Rows that only the domain writes: shown, and changed by actions alone."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request) or self.has_operate_permission(request)


class RefusableForm(ModelForm):  # type: ignore[type-arg]
    """A form that shows why the domain refused, and keeps what was typed."""

    refusal = ""

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self.refusal:
            raise ValidationError(self.refusal)
        return cleaned


class DomainPage(Page):
    """Rows that are added and changed in a form, by one domain call: ``save_model`` makes it.

    Where the domain refuses, nothing is changed and the form comes back, with the reason above it.
    """

    form = RefusableForm

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.refusal = getattr(request, "refusal", "")
        return form

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except DomainError as refusal:
            request.refusal = refusal.detail  # type: ignore[attr-defined]
            return super().changeform_view(request, *args, **kwargs)


def each(
    page: Page, request: HttpRequest, rows: Sequence[Any], act: Callable[[Any], Any], *, done: tuple[str, str], log: str
) -> None:
    """Make one domain call for each selected row, log it, and report how many succeeded and what was refused.

    :param done: what was done to what: ``("product", "listed")``.
    """
    count = 0
    for row in rows:
        try:
            act(row)
        except DomainError as refusal:
            page.message_user(request, refusal.detail, messages.ERROR)
        else:
            page.log_change(request, row, log)
            count += 1
    if count:
        page.message_user(request, f"{counted(count, done[0])} {done[1]}.", messages.SUCCESS)


def confirmed(
    page: Page, request: HttpRequest, rows: Sequence[Any], *, action: str, title: str, text: str
) -> HttpResponse | None:
    """Return a page that asks to confirm what cannot be undone; ``None`` once it is confirmed."""
    if request.POST.get("confirmed"):
        return None
    context = {
        **page.admin_site.each_context(request),
        "title": title,
        "text": text,
        "rows": rows,
        "action": action,
        "opts": page.model._meta,
        "checkbox": ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "console/confirm.html", context)
