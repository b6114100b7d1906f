"""Saying the present state again: an owner announces its rows, so that wrong copies of them become right.

Each page of rows is a transaction that locks them, in the order of their keys, and appends an event for each. What is
committed before is in what is announced; a change that comes later waits, and follows it. So a consumer never hears
an older state after a newer one, and one whose copy is right hears nothing new.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from shop.messaging.aggregates import Announced, announce
from shop.messaging.contexts import context
from shop.messaging.producer.partitions import PartitionMissing

PAGE = 500  # rows that one transaction locks and announces, at most
NAMED = 20  # unknown keys that a refusal names, at most

Keys = Sequence[Any]


class UnableToAnnounce(ValueError):
    """The context has nothing to announce, or not what was named; nothing was announced."""


def announced_by(label: str) -> type[Announced]:
    """Return the model whose present state a context announces. :raises UnableToAnnounce: if it has none."""
    models = [model for model in context(label).get_models() if issubclass(model, Announced)]
    if models:
        return models[0]
    if not context(label).publishes:
        raise UnableToAnnounce(f"{label} publishes nothing: announce what it copies, in the contexts that own it")
    raise UnableToAnnounce(
        f"{label} has nothing to announce: each of its events says what happened once, none a whole state. To send a "
        f"consumer its events again: manage.py replay CONSUMER {label} --from POSITION"
    )


def keys_of(model: type[Announced], texts: Iterable[str]) -> list[Any]:
    """Return the keys that are written so, ascending, each once.

    :raises UnableToAnnounce: if some are no keys of rows that exist; it names them.
    """
    keys = {text: _parsed(model, text) for text in texts}
    wanted = sorted({key for key in keys.values() if key is not None})
    known = {key for page in _pages(wanted) for key in model.objects.filter(pk__in=page).values_list("pk", flat=True)}
    unknown = sorted(text for text, key in keys.items() if key not in known)
    if unknown:
        more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
        names = ", ".join(repr(text) for text in unknown[:NAMED])
        raise UnableToAnnounce(f"There is no {model._meta.verbose_name} {names}{more}: nothing was announced")
    return wanted


def announce_keys(model: type[Announced], keys: Keys) -> Iterator[Keys]:
    """Announce these rows; yield the keys of each page once it is committed."""
    for page in _pages(keys):
        yield _announced(model.objects.filter(pk__in=page))


def announce_all(model: type[Announced], *, after: Any = None) -> Iterator[Keys]:
    """Announce every row, or those after a key; yield the keys of each page once it is committed.

    Rows that are added meanwhile announce themselves.
    """
    while True:
        rows = model.objects.all() if after is None else model.objects.filter(pk__gt=after)
        page = _announced(rows)
        if not page:
            return
        yield page
        after = page[-1]


def paced(pages: Iterable[Keys], *, rate: float) -> Iterator[Keys]:
    """Pass pages on, with pauses that keep them to ``rate`` keys per second on the whole; 0 is without a limit."""
    begun, count = time.monotonic(), 0
    for page in pages:
        yield page
        count += len(page)
        if rate:
            time.sleep(max(0, begun + count / rate - time.monotonic()) if len(page) == PAGE else 0)


def _announced(rows: "QuerySet[Any]") -> Keys:
    """Announce the first page of these rows, in one transaction; return their keys, ascending."""
    try:
        return _announce(rows)
    except PartitionMissing:  # it was made
        return _announce(rows)


def _announce(rows: "QuerySet[Any]") -> Keys:
    with transaction.atomic(using=rows.db):
        page = list(rows.order_by("pk").select_for_update()[:PAGE])
        if page:
            announce(*page)
    return [row.pk for row in page]


def _pages(keys: Keys) -> Iterator[Keys]:
    return (keys[start : start + PAGE] for start in range(0, len(keys), PAGE))


def _parsed(model: type[Announced], text: str) -> Any:
    """Read a key; ``None`` if no row can have it."""
    field: Any = model._meta.pk
    field = field.target_field if field.remote_field else field
    try:
        text.encode()
        key = field.to_python(text)
        field.run_validators(key)
    except (ValidationError, ValueError):
        return None
    return key
