"""A newer orders context cancels for reasons that the others have yet to learn: nothing stops, nothing is lost."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from orders.events import Reason
from orders.models import Order
from shop.console.audit.running import audit
from shop.members.models import Member
from shop.messaging.aggregates import store
from tests.contexts.admin.conftest import Browser
from tests.contexts.api import client_of
from tests.harness import Shop


class Suspicious(Reason, frozen=True, kw_only=True, tag="suspicious"):
    """A reason that this release does not know."""

    score: int
    detail = "The order looks like a fraud."


class CancelledByMember(Reason, frozen=True, kw_only=True, tag="cancelled_by_member"):
    """A reason that this release knows, with a field that it does not."""

    comment: str
    detail = "The member cancelled the order."


@pytest.fixture
def ready(shop: Shop) -> Shop:
    shop.sell("phone", stock=5)
    shop.drain()
    return shop


@pytest.fixture
def cancelled(ready: Shop) -> Callable[[Reason], Order]:
    """Has an order confirmed, then cancelled by a newer release for that reason."""

    def cancel(reason: Reason) -> Order:
        order = ready.order(ready.place(("phone", 2), member_id=ready.member().pk))
        ready.drain()
        with transaction.atomic(using="orders"):
            order = Order.objects.select_for_update().get(pk=order.pk)
            order.cancel(reason=reason, at=timezone.now())  # type: ignore[arg-type]
            store(order)
        ready.drain()
        return order

    return cancel


def test_an_unknown_reason_parks_nothing_and_releases_what_the_order_held(
    ready: Shop, cancelled: Callable[[Reason], Order]
) -> None:
    cancelled(Suspicious(score=5))
    assert ready.all_letters() == []
    assert not [cursor for cursor in ready.cursors() if cursor.stopped]
    assert ready.stock("phone") == (5, 0)
    assert audit().broken == []


def test_an_unknown_reason_is_shown_with_its_code_neutral_words_and_its_own_fields(
    ready: Shop, cancelled: Callable[[Reason], Order]
) -> None:
    order = cancelled(Suspicious(score=5))
    ada = client_of(Member.objects.get(pk=order.member_id))
    shown = {"code": "suspicious", "detail": "The order was cancelled.", "score": 5}
    assert ada.get(f"/api/orders/{order.pk}/").json()["reason"] == shown
    (listed,) = ada.get("/api/orders/?include=cancelled").json()["results"]
    assert listed["reason"] == shown


def test_an_unknown_reason_is_shown_in_the_admin(cancelled: Callable[[Reason], Order]) -> None:
    order = cancelled(Suspicious(score=512))
    boss = Browser(User.objects.create_superuser("boss"))
    for model in ("orders_order", "readmodel_orderview"):
        assert boss.listed(model).status_code == 200
        page = boss.opened(model, order.pk).content.decode()
        assert "suspicious" in page, model
        assert "512" in page, model


def test_an_unknown_field_of_a_known_reason_is_not_shown_but_kept(
    ready: Shop, cancelled: Callable[[Reason], Order]
) -> None:
    order = cancelled(CancelledByMember(comment="too dear"))
    known = {"code": "cancelled_by_member", "detail": "The member cancelled the order."}
    ada = client_of(Member.objects.get(pk=order.member_id))
    assert ada.get(f"/api/orders/{order.pk}/").json()["reason"] == known
    assert ada.get("/api/orders/?include=cancelled").json()["results"][0]["reason"] == known
    assert ready.view(order).reason == {"code": "cancelled_by_member", "comment": "too dear"}
    assert audit().broken == []
