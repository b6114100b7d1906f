"""Aggregates, and ``store``: the one way to persist them, together with the events they recorded.

``announce`` is for those whose present state an event carries whole: it says that state again.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, ClassVar, NamedTuple, NoReturn

from django.apps import apps
from django.db import connections, models, router

from shop.messaging.events import Event
from shop.messaging.headers import current_headers
from shop.messaging.producer import outbox
from shop.setwise import rows


class Recorded(NamedTuple):
    """An event that an aggregate recorded, and why."""

    event: Event
    headers: Mapping[str, str]


class UnableToStore(RuntimeError):
    """``store`` cannot write this aggregate, or not in this transaction."""


class AggregateQuerySet(models.QuerySet[Any]):
    """Reads and locks; every write goes through :func:`store`."""

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise UnableToStore(f"{self.model.__name__} is an aggregate: change it by its methods and store() it")

    create = update = delete = bulk_create = bulk_update = get_or_create = update_or_create = _refuse


class Aggregate(models.Model):
    """Rows that change together, guarded by their own methods, which record what happened.

    ``mutable`` names the fields that change after creation; ``store`` updates no others. Rows that the
    aggregate owns (the lines of an order) are given to :meth:`attach`.
    """

    mutable: ClassVar[tuple[str, ...]]

    objects = AggregateQuerySet.as_manager()

    class Meta:
        abstract = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._recorded: list[Recorded] = []
        self._attached: list[models.Model] = []

    @property
    def key(self) -> str:
        """Identifies the aggregate in the outbox: events of one key take effect in order."""
        return str(self.pk)

    @property
    def row_changed(self) -> bool:
        """Whether ``store`` is to update the row. One that is only a snapshot of events is written now and then."""
        return True

    def record(self, event: Event) -> None:
        """Record that something happened. It is published when the aggregate is stored."""
        self._recorded.append(Recorded(event, current_headers()))

    def record_latest(self, event: Event) -> None:
        """Like :meth:`record`, for a state of which only the last matters: it replaces the one before it."""
        self.forget(type(event))
        self.record(event)

    def forget(self, *types: type[Event]) -> bool:
        """Unrecord what is not published yet, of these types. Return whether there was any."""
        kept = [entry for entry in self._recorded if type(entry.event) not in types]
        any_forgotten = len(kept) < len(self._recorded)
        self._recorded = kept
        return any_forgotten

    def attach(self, *added: models.Model) -> None:
        """Have rows written when the aggregate is stored: new ones are inserted, of others ``mutable`` is updated."""
        self._attached.extend(added)

    @property
    def recorded(self) -> tuple[Event, ...]:
        """What happened since the aggregate was loaded or stored."""
        return tuple(entry.event for entry in self._recorded)

    def save(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise UnableToStore(f"{type(self).__name__} is an aggregate: use store(), which also publishes its events")

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise UnableToStore(f"{type(self).__name__} is an aggregate: it is never deleted, it comes to an end")


class Announced(Aggregate):
    """An aggregate whose present state one of its events carries whole. A context has one such model at most."""

    class Meta:
        abstract = True

    def announce(self) -> None:
        """Record the present state, though nothing changed."""
        raise NotImplementedError


def store(*aggregates: Aggregate, patient: bool = True) -> None:
    """Write the aggregates' rows and then, last in the transaction, the events they recorded.

    Set-wise: a handful of statements for any number of aggregates. Call it once, at the end of the
    transaction; from then until the commit nothing else is locked, so that in each lane of the outbox
    positions are in the order of the commits. On rollback nothing is written and nothing published.

    :param patient: wait for a lane that another transaction holds, as long as ``lock_timeout`` allows.
    :raises UnableToStore: outside a transaction, for a second time in one, or for aggregates of two databases.
    :raises LaneHeld: if not patient, and a lane is held: run the transaction again.
    :raises PartitionMissing: if the outbox had no partition; it has one now: run the transaction again.
    """
    if not aggregates:
        return
    alias = _alias_of(aggregates)
    _once_in_a_transaction(alias, aggregates)
    new = [aggregate for aggregate in aggregates if aggregate._state.adding]
    changed = [aggregate for aggregate in aggregates if not aggregate._state.adding and aggregate.row_changed]
    attached = [row for aggregate in aggregates for row in aggregate._attached]
    owned = {id(row): row for row in attached if not row._state.adding}  # each once, however often it changed
    for model, group in _by_table(changed):
        rows.update(alias, group, model.mutable)  # type: ignore[attr-defined]
    for _, group in _by_table(new):
        rows.insert(alias, group)
    for model, group in _by_table(owned.values()):
        rows.update(alias, group, model.mutable)  # type: ignore[attr-defined]
    for _, group in _by_table((row for row in attached if row._state.adding), sort=False):
        rows.insert(alias, group)
    outbox.append(alias, aggregates[0]._meta.app_label, _entries(aggregates), patient=patient)


def announce(*aggregates: Announced) -> None:
    """Append the present state of each, which the caller has locked, to the outbox. Their rows are not written.

    As with :func:`store`, it comes once in a transaction, last. A change that is committed before is in what is
    announced, and one that comes after follows it in the lane: no older state ever follows a newer one.

    :raises UnableToStore: :raises PartitionMissing: as :func:`store` does.
    """
    alias = _alias_of(aggregates)
    _once_in_a_transaction(alias, aggregates)
    for aggregate in aggregates:
        aggregate.announce()
    outbox.append(alias, aggregates[0]._meta.app_label, _entries(aggregates))


def _entries(aggregates: Iterable[Aggregate]) -> list[outbox.Entry]:
    return [
        outbox.Entry(aggregate.key, recorded.event, recorded.headers)
        for aggregate in aggregates
        for recorded in aggregate._recorded
    ]


def _alias_of(aggregates: Sequence[Aggregate]) -> str:
    aliases = {router.db_for_write(model) for model in {type(aggregate) for aggregate in aggregates}}
    if len(aliases) > 1:
        raise UnableToStore(f"one transaction writes one database, not {', '.join(sorted(aliases))}")
    return aliases.pop()


def _once_in_a_transaction(alias: str, aggregates: Sequence[Aggregate]) -> None:
    connection = connections[alias]
    if not connection.in_atomic_block:
        raise UnableToStore(f"store() needs a transaction: with transaction.atomic(using={alias!r})")
    # Entries of a rolled back transaction or savepoint leave this list with it.
    if any(isinstance(entry[1], _Stored) for entry in connection.run_on_commit):
        raise UnableToStore("store() comes once in a transaction, last: give it all aggregates at once")
    connection.on_commit(_Stored(alias, aggregates))


class _Stored:
    """Marks a transaction that has stored. Only its commit clears what the aggregates recorded.

    After a rollback they are as they were, so that storing them again writes and publishes the same again.
    """

    def __init__(self, alias: str, aggregates: Sequence[Aggregate]) -> None:
        self.alias = alias
        self.aggregates = aggregates

    def __call__(self) -> None:
        for aggregate in self.aggregates:
            aggregate._recorded, aggregate._attached = [], []
            aggregate._state.adding, aggregate._state.db = False, self.alias


def _by_table(
    written: Iterable[models.Model], *, sort: bool = True
) -> Iterable[tuple[type[models.Model], list[models.Model]]]:
    """Table by table in one fixed order (that of the models), by primary key within each: no two deadlock."""
    order = {model: index for index, model in enumerate(apps.get_models())}
    grouped = groupby(sorted(written, key=lambda row: order[type(row)]), key=type)
    for model, group in grouped:
        yield model, sorted(group, key=lambda row: row.pk) if sort else list(group)
