"""How the admin's pages show things: badges, links, moments, JSON, and panels below a row's own fields."""

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
    """A titled table (``headers``, ``rows``), or a text to be shown as it is."""

    title: str
    headers: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    text: str = ""
    empty: str = ""
    """What is said when there are no rows."""
    more: tuple[str, str] | None = None
    """A link to the rest: its address and its words."""

    @property
    def table(self) -> dict[str, Any]:
        """In the shape of unfold's table component."""
        return {"headers": self.headers, "rows": [{"cols": row} for row in self.rows]}


@cache
def badge(text: str, variant: str = "") -> SafeString:
    """A word on a coloured ground: ``info``, ``success``, ``warning``, ``danger``, ``primary``, or grey."""
    return render_to_string("unfold/helpers/label.html", {"text": text, "variant": variant})


def link(url: str, text: object) -> SafeString:
    """A link."""
    return format_html('<a href="{}" class="text-primary-600 dark:text-primary-500">{}</a>', url, text)


def page_url(model: str, pk: object) -> str:
    """The admin page of a row, by ``app_label_model``. :raises NoReverseMatch: if there is no such page."""
    return reverse(f"admin:{model}_change", args=[quote(str(pk))])


def page_link(model: str, pk: object, text: object = None) -> str:
    """A link to the admin page of a row, if there is such a page; else the text alone."""
    try:
        return link(page_url(model, pk), pk if text is None else text)
    except NoReverseMatch:
        return str(pk if text is None else text)


def list_url(model: str, query: str = "") -> str:
    """The admin list of a model, by ``app_label_model``."""
    return reverse(f"admin:{model}_changelist") + query


def moment(at: datetime | None) -> str:
    """A time of day to the millisecond, in UTC."""
    return NOTHING if at is None else f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03}"


def age(at: datetime | None) -> str:
    """How long ago that was, in its two largest units."""
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
    """``1 event``, ``2 events``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def pretty(data: Any) -> str:
    """JSON for people."""
    return json.dumps(data, indent=2, ensure_ascii=False)
