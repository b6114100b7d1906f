"""What contexts say to each other survives its way, under names that never change."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orders.events import OutOfStock, TimedOut, UnknownReason, read_reason
from shop.messaging.events import ClosedType, Event, UnknownEvent, decode, event, event_types

KINDS = [kind for kind in event_types() if not kind.__module__.startswith("tests.")]

WIRE_NAMES = [
    "catalogue.product-added",
    "catalogue.product-changed",
    "catalogue.product-delisted",
    "catalogue.product-listed",
    "inventory.inventory-lock-failed",
    "inventory.inventory-locked",
    "inventory.stock-changed",
    "inventory.stock-depleted",
    "inventory.stock-replenished",
    "marketing.campaign-changed",
    "marketing.campaign-ended",
    "marketing.campaign-resumed",
    "marketing.campaign-scheduled",
    "marketing.campaign-suspended",
    "members.credit-limit-changed",
    "members.credit-opened",
    "members.credit-refunded",
    "members.credit-refused",
    "members.credit-released",
    "members.credit-reserved",
    "members.credit-spent",
    "members.member-changed",
    "members.member-joined",
    "orders.order-cancelled",
    "orders.order-confirmed",
    "orders.order-created",
    "orders.order-returned",
    "orders.order-shipped",
]

FIELDS = {
    "catalogue.product-added": "sku name category price listed",
    "catalogue.product-changed": "sku name category price listed",
    "catalogue.product-delisted": "sku",
    "catalogue.product-listed": "sku",
    "inventory.inventory-lock-failed": "order_id short exhausted",
    "inventory.inventory-locked": "order_id",
    "inventory.stock-changed": "sku available reserved",
    "inventory.stock-depleted": "sku",
    "inventory.stock-replenished": "sku",
    "marketing.campaign-changed": "campaign_id sku price starts_at ends_at limit_per_member allotment state",
    "marketing.campaign-ended": "campaign_id at",
    "marketing.campaign-resumed": "campaign_id",
    "marketing.campaign-scheduled": "campaign_id sku price starts_at ends_at limit_per_member allotment state",
    "marketing.campaign-suspended": "campaign_id",
    "members.credit-limit-changed": "member_id version limit",
    "members.credit-opened": "member_id version limit",
    "members.credit-refunded": "member_id version order_id amount",
    "members.credit-refused": "member_id version order_id amount missing",
    "members.credit-released": "member_id version order_id amount",
    "members.credit-reserved": "member_id version order_id amount",
    "members.credit-spent": "member_id version order_id amount",
    "members.member-changed": "member_id name active",
    "members.member-joined": "member_id name active",
    "orders.order-cancelled": "order_id reason at",
    "orders.order-confirmed": "order_id at",
    "orders.order-created": "order_id member_id lines total currency placed_at participants",
    "orders.order-returned": "order_id lines refunded at",
    "orders.order-shipped": "order_id at",
}

PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(st.characters(exclude_categories=("Cs",))),
    int: st.integers(-(2**63), 2**63 - 1),
    bool: st.booleans(),
    UUID: st.uuids(),
    datetime: st.datetimes(timezones=st.just(UTC)),
    type(None): st.none(),
}


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a field's type."""
    if kind in PLAIN:
        return PLAIN[kind]
    if get_origin(kind) in (Union, UnionType):
        return st.one_of(*map(values_of, get_args(kind)))
    if get_origin(kind) is Mapping:
        return st.dictionaries(PLAIN[str], st.one_of(PLAIN[str], PLAIN[int], PLAIN[bool], st.none()), max_size=3)
    if get_origin(kind) is tuple:
        inner, _ = get_args(kind)
        return st.lists(values_of(inner), max_size=3).map(tuple)
    return st.builds(kind, **{field.name: values_of(field.type) for field in msgspec.structs.fields(kind)})


def test_wire_names_are_permanent() -> None:
    """Old events carry them for good: a name that is missing here is a new event's, one too many was renamed."""
    assert [kind.wire_name for kind in KINDS] == WIRE_NAMES


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.wire_name)
def test_fields_are_permanent(kind: type[Event]) -> None:
    """They may become more, with defaults; none is renamed or taken away."""
    names = [field.name for field in msgspec.structs.fields(kind)]
    expected = FIELDS[kind.wire_name].split()
    assert names[: len(expected)] == expected
    assert all(not field.required for field in msgspec.structs.fields(kind)[len(expected) :])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.wire_name)
def test_every_event_survives_its_way(kind: type[Event]) -> None:
    @settings(max_examples=50, deadline=None)
    @given(values_of(kind))
    def survives(said: Event) -> None:
        heard = decode(kind.wire_name, json.loads(msgspec.json.encode(said)))
        assert heard == said
        assert type(heard) is kind

    survives()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.wire_name)
def test_a_reader_ignores_fields_that_it_does_not_know(kind: type[Event]) -> None:
    @settings(max_examples=10, deadline=None)
    @given(values_of(kind))
    def ignores(said: Event) -> None:
        data = json.loads(msgspec.json.encode(said))
        assert decode(kind.wire_name, data | {"since": "today", "by": {"whom": [1]}}) == said

    ignores()


class Colour(Enum):
    RED = "red"


class Circle(msgspec.Struct, tag="circle"):
    radius: int


class Square(msgspec.Struct, tag="square"):
    side: int


class Drawing(msgspec.Struct):
    shapes: tuple[Circle | Square, ...]


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (Circle | Square, "field"),
        (Circle | Square | None, "field"),
        (tuple[Circle | Square, ...], r"field\[\]"),
        (dict[str, Circle], r"field\[\]"),
        (tuple[int, Colour], "field"),
        (Drawing, r"field\.shapes\[\]"),
        (Literal["a", "b"], "field"),
    ],
    ids=str,
)
def test_an_event_cannot_be_declared_with_a_field_that_refuses_a_newer_producer_s_news(kind: Any, path: str) -> None:
    class Closed(Event):
        field: kind

    with pytest.raises(ClosedType, match=rf"\.{path} refuses"):
        event("nobody.closed")(Closed)
    with pytest.raises(UnknownEvent):
        decode("nobody.closed", {})


def test_a_reason_is_read_as_what_it_is_and_one_that_is_not_understood_as_unknown() -> None:
    assert read_reason({"code": "timed_out", "by": "the sweep"}) == TimedOut()
    assert read_reason({"code": "out_of_stock", "lines": []}) == OutOfStock(lines=())
    for news in ({"code": "suspicious", "score": 5}, {"code": "out_of_stock", "lines": 3}, {"code": 7}, {}):
        reason = read_reason(news)
        assert isinstance(reason, UnknownReason), news
        shown = reason.shown()
        assert isinstance(shown["code"], str)
        assert shown.items() >= {"detail": "The order was cancelled."}.items()
        assert shown.keys() == news.keys() | {"code", "detail"}


@pytest.mark.parametrize("data", [{}, {"sku": 1}, {"sku": None}, [], "phone", None], ids=repr)
def test_what_is_not_an_event_of_its_name_is_refused(data: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode("catalogue.product-listed", data)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UnknownEvent, match="nobody"):
        decode("nobody.said-so", {})


def test_two_events_do_not_share_a_name() -> None:
    class Impostor(Event):
        pass

    with pytest.raises(ValueError, match="two events are named"):
        event("catalogue.product-added")(Impostor)
