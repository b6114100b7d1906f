"""The admin's sidebar: what a shop has, by context, and the machinery between them."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from shop.admin.shown import list_url
from shop.messaging.contexts import Entry, contexts

MACHINERY = (
    Entry("events", "outboxevent", "outbox"),
    Entry("subscriptions", "subscription", "send"),
    Entry("fences", "fence", "fence"),
    Entry("cursors", "cursor", "move_to_inbox"),
    Entry("dead letters", "deadletter", "report"),
    Entry("retries", "letterretry", "replay"),
)
"""Shown for each context that has these models."""


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the groups and links that the user may see."""
    groups = [(str(app.verbose_name), [(app.label, entry) for entry in app.menu]) for app in contexts()]
    machinery = [
        (app.label, Entry(f"{app.verbose_name}: {entry.title}", entry.model, entry.icon))
        for entry in MACHINERY
        for app in contexts()
        if entry.model in app.models
    ]
    shown = [(title, _links(request, entries)) for title, entries in (*groups, ("Machinery", machinery))]
    return [{"title": title, "separator": True, "items": links} for title, links in shown if links]


def _links(request: HttpRequest, entries: Iterable[tuple[str, Entry]]) -> list[dict[str, Any]]:
    pages = {page.opts.label_lower: page for page in admin.site._registry.values()}
    named = [(entry, entry.model if "." in entry.model else f"{label}.{entry.model}") for label, entry in entries]
    return [
        {"title": entry.title, "icon": entry.icon, "link": list_url(model.replace(".", "_"))}
        for entry, model in named
        if model in pages and pages[model].has_view_permission(request)
    ]
