"""The rules of campaigns. Pure: no Django, no I/O, no clock. The table's constraints say the same in SQL."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from shop.values import MAX_PRICE, MAX_QUANTITY

MAX_WINDOW = timedelta(days=366)
MAX_ALLOTMENT = 1_000_000_000  # units

SCHEDULED, SUSPENDED, ENDED = "scheduled", "suspended", "ended"
"""The states that a campaign is kept in."""

RUNNING = "running"
"""What a scheduled campaign is within its window. Never stored: the clock says it."""

FIXED = ("price", "starts_at", "limit_per_member", "allotment")
"""What stays as it is once a campaign has started: buyers rely on it."""


def stage(state: str, starts_at: datetime, ends_at: datetime, *, at: datetime) -> str:
    """Return what a campaign is at that moment: ``scheduled``, ``running``, ``suspended`` or ``ended``."""
    if state == ENDED or at >= ends_at:
        return ENDED
    if state == SUSPENDED:
        return SUSPENDED
    return RUNNING if at >= starts_at else SCHEDULED


def faults(details: Mapping[str, Any], *, at: datetime) -> dict[str, str]:
    """Say what is wrong with a campaign's details, by field."""
    wrong: dict[str, str] = {}
    for field, most in (("price", MAX_PRICE), ("limit_per_member", MAX_QUANTITY), ("allotment", MAX_ALLOTMENT)):
        if not 1 <= details[field] <= most:
            wrong[field] = f"It is {details[field]}; it must be from 1 to {most}."
    starts_at, ends_at = details["starts_at"], details["ends_at"]
    if ends_at <= starts_at:
        wrong["ends_at"] = f"It must be after starts_at, which is {starts_at.isoformat()}."
    elif ends_at - starts_at > MAX_WINDOW:
        wrong["ends_at"] = f"It must be at most {MAX_WINDOW.days} days after starts_at, {starts_at.isoformat()}."
    elif ends_at <= at:
        wrong["ends_at"] = f"It must be in the future: it is {at.isoformat()} now."
    return wrong
