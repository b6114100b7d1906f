"""Sample data: what a fresh shop has, once."""

import json
from io import StringIO

from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections
from django.test.utils import CaptureQueriesContext

from inventory.models import StockItem
from orders.models import MemberCopy, ProductCopy
from shop.catalogue.models import Product
from shop.console.audit import audit
from shop.local.samples import PRODUCTS
from shop.local.seed import seed
from tests.harness import Shop


def seen() -> tuple[object, ...]:
    return (
        list(Product.objects.values_list("sku", "name")),
        list(StockItem.objects.values_list("sku", "available")),
        User.objects.count(),
    )


def test_seeding_again_changes_nothing_and_tells_the_same_logins(shop: Shop) -> None:
    logins, before = seed(), seen()
    with CaptureQueriesContext(connections["default"]) as queries:
        assert seed() == logins
    assert seen() == before
    assert len(queries) < 40  # of fifty members, so none of them costs one


def test_a_fresh_shop_can_be_entered_and_bought_from(shop: Shop) -> None:
    logins = seed()
    assert len(set(logins["member_tokens"])) >= 50
    admin = authenticate(**logins["admin"])
    assert admin is not None
    assert admin.is_superuser
    staff = User.objects.get(auth_token=logins["staff_token"])
    assert staff.has_perms(["catalogue.add_product", "inventory.change_stockitem", "orders.view_order"])
    shop.drain()
    assert ProductCopy.objects.filter(listed=True).count() == len(PRODUCTS) >= 12
    assert MemberCopy.objects.count() >= 50
    assert audit().broken == []
    member = User.objects.get(auth_token=logins["member_tokens"][0])
    order = shop.place(("phone-x1", 1), member_id=member.pk)
    shop.drain()
    assert shop.order(order).status == "confirmed"


def test_what_was_interrupted_is_completed(shop: Shop) -> None:
    sku = next(iter(PRODUCTS))
    shop.sell(sku)
    shop.member("member1")
    logins = seed()
    assert StockItem.objects.get(pk=sku).available > 0
    assert User.objects.get(auth_token=logins["member_tokens"][0]).username == "member1"


def test_the_command_prints_logins_for_machines(shop: Shop) -> None:
    out = StringIO()
    call_command("seed", "--json", stdout=out)
    assert json.loads(out.getvalue()) == seed()
