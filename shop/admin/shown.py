"""How admin pages show values: badges, links, times, JSON, and panels below a row's fields.

A link is shown to those who may open it; others see its text.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

NOTHING = "–"

_request: ContextVar[HttpRequest | None] = ContextVar("request that is answered", default=None)


@contextmanager
def answering(request: HttpRequest) -> Iterator[None]:
    """Show what is inside to the request's user: columns and panels are not given the request."""
    token = _request.set(request)
    try:
        yield
    finally:
        _request.reset(token)


def may_open(model: str) -> bool:
    """Whether the user may open the pages of a model, by ``app_label_model``; ``False`` if it has none."""
    label, _, name = model.rpartition("_")
    try:
        page = admin.site._registry.get(apps.get_model(label, name))
    except LookupError:
        return False
    request = _request.get()
    return page is not None and request is not None and page.has_view_permission(request)


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A titled table (``headers``, ``rows``), or preformatted text."""

    title: str
    headers: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    text: str = ""
    empty: str = ""
    """The text of a table without rows."""
    more: tuple[str, str] | None = None
    """A link to the rest: its address and its text."""

    @property
    def table(self) -> dict[str, Any]:
        """Return the table in the form that unfold's component takes."""
        return {"headers": self.headers, "rows": [{"cols": row} for row in self.rows]}


@cache
def badge(text: str, variant: str = "") -> SafeString:
    """Render a badge: ``info``, ``success``, ``warning``, ``danger``, ``primary``, or grey."""
    return render_to_string("unfold/helpers/label.html", {"text": text, "variant": variant})


def link(url: str, text: object) -> SafeString:
    """Render a link."""
    return format_html('<a href="{}" class="text-primary-600 dark:text-primary-500">{}</a>', url, text)


def page_url(model: str, pk: object) -> str:
    """Return the address of a row's admin page, by ``app_label_model``."""
    return reverse(f"admin:{model}_change", args=[quote(str(pk))])


def page_link(model: str, pk: object, text: object = None) -> str:
    """Render a link to a row's admin page; the text alone where the user may not open it, or there is no such page."""
    shown = pk if text is None else text
    return link(page_url(model, pk), shown) if may_open(model) else str(shown)


def list_url(model: str, query: str = "") -> str:
    """Return the address of a model's admin list, by ``app_label_model``."""
    return reverse(f"admin:{model}_changelist") + query


def list_link(model: str, query: str, text: str) -> str:
    """Render a link to a part of a model's admin list; the text alone where the user may not open it."""
    return link(list_url(model, query), text) if may_open(model) else text


def more(model: str, query: str, text: str) -> tuple[str, str] | None:
    """Return a panel's link to the rest of it, if the user may open that."""
    return (list_url(model, query), text) if may_open(model) else None


def moment(at: datetime | None) -> str:
    """Format a time to the millisecond, in UTC."""
    return NOTHING if at is None else f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03}"


def age(at: datetime | None) -> str:
    """Format how long ago that was, in its two largest units."""
    if at is None:
        return NOTHING
    seconds = max(timezone.now() - at, timedelta()).total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if minutes < 60:
        return f"{minutes} min {int(seconds % 60)} s"
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{days} d {hours % 24} h"


def counted(count: int, noun: str) -> str:
    """Format a count with its noun: ``1 event``, ``2 events``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def pretty(data: Any) -> str:
    """Format JSON for people."""
    return json.dumps(data, indent=2, ensure_ascii=False)
