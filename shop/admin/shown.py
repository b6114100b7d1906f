"""How admin pages show values: badges, links, times, JSON, and panels below a row's fields."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.contrib.admin.utils import quote
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

NOTHING = "–"


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
    """Return the address of a row's admin page, by ``app_label_model``. :raises NoReverseMatch: if there is none."""
    return reverse(f"admin:{model}_change", args=[quote(str(pk))])


def page_link(model: str, pk: object, text: object = None) -> str:
    """Render a link to a row's admin page; the text alone if there is no such page."""
    try:
        return link(page_url(model, pk), pk if text is None else text)
    except NoReverseMatch:
        return str(pk if text is None else text)


def list_url(model: str, query: str = "") -> str:
    """Return the address of a model's admin list, by ``app_label_model``."""
    return reverse(f"admin:{model}_changelist") + query


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
