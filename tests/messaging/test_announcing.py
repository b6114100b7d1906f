"""``manage.py announce``: an owner says its present state again, and wrong copies of it become right."""

import json
from collections.abc import Mapping
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections, transaction

from inventory.models import Claim, StockItem, StockMovement
from inventory.models import OutboxEvent as InventoryEvent
from orders.models import MemberCopy, Order, ProductCopy
from readmodel.models import MemberName, OrderView
from shop.catalogue.models import OutboxEvent, Product
from shop.catalogue.services import change_product
from shop.console import announcing
from shop.console.audit import audit
from shop.members.models import Member
from shop.messaging.aggregates import UnableToStore, announce
from tests.harness import Shop, eventually, in_background, waiting_for_locks


def announced(*arguments: str) -> Any:
    """Run the command; what it wrote."""
    out = StringIO()
    call_command("announce", *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def refused(*arguments: str) -> str:
    with pytest.raises(CommandError) as refusal:
        announced(*arguments)
    return str(refusal.value)


def everything() -> Mapping[str, list[Any]]:
    """All rows of the domain, in every context."""
    models = (Product, Member, Order, ProductCopy, MemberCopy, StockItem, StockMovement, Claim, MemberName, OrderView)
    return {model.__name__: list(model.objects.order_by("pk").values()) for model in models}


@pytest.fixture
def sold(running_shop: Shop) -> Shop:
    """Two products, a member with an order, and nothing under way."""
    member = running_shop.member()
    running_shop.sell("phone", price=100, stock=3)
    running_shop.sell("case", price=20, listed=False)
    running_shop.drain()
    running_shop.place(("phone", 1), member_id=member.pk)
    running_shop.drain()
    return running_shop


def test_wrong_copies_become_right_and_nothing_else_happens(sold: Shop) -> None:
    before = everything()
    ProductCopy.objects.filter(pk="phone").update(price=0, name="Fone")
    ProductCopy.objects.filter(pk="case").delete()
    MemberCopy.objects.update(active=False)
    MemberName.objects.update(name="Adda")
    OrderView.objects.update(member_name="Adda")
    assert {"orders.products", "orders.members", "readmodel.members"} <= set(audit().broken)
    assert announced("catalogue") == {"context": "catalogue", "announced": 2}
    assert announced("members") == {"context": "members", "announced": 1}
    assert announced("inventory") == {"context": "inventory", "announced": 2}
    sold.drain()
    assert everything() == before
    assert audit().broken == []


def test_only_the_rows_named_are_announced(sold: Shop) -> None:
    ProductCopy.objects.update(price=0)
    assert announced("catalogue", "case", "case") == {"context": "catalogue", "announced": 1}
    sold.drain()
    assert dict(ProductCopy.objects.values_list("sku", "price")) == {"case": 20, "phone": 0}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("catalogue", "case", "lamp", "desk"), "There is no product 'desk', 'lamp': nothing was announced."),
        (("catalogue", "no key!"), "There is no product 'no key!'"),
        (("catalogue", "\udcff"), "There is no product"),
        (("members", "x"), "There is no member 'x'"),
        (("members", "9" * 30), "There is no member '999"),
        (("inventory", "s" * 70), "There is no stock item 'sss"),
        (("catalogue", *(f"sku-{n}" for n in range(30))), " and 10 more: nothing"),
        (("catalogue", "case", "--after", "case"), "--after is for all rows"),
        (("orders",), "orders has nothing to announce: each of its events says what happened once"),
        (("readmodel",), "readmodel publishes nothing"),
        (("warehouse",), "invalid choice: 'warehouse'"),
        (("catalogue", "--rate", "-1"), "'-1' is not a number of rows per second"),
    ],
    ids=lambda value: " ".join(value)[:30].encode("ascii", "replace").decode() if isinstance(value, tuple) else "",
)
def test_what_cannot_be_announced_is_refused_by_name_and_nothing_is(
    sold: Shop, arguments: tuple[str, ...], words: str
) -> None:
    before = OutboxEvent.objects.count()
    assert words in refused(*arguments)
    assert OutboxEvent.objects.count() == before


def test_all_rows_are_announced_in_pages_each_once(sold: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        sold.sell(f"sku-{number}")
    monkeypatch.setattr(announcing, "PAGE", 3)
    before = OutboxEvent.objects.latest("position").position
    assert announced("catalogue")["announced"] == 7
    said = OutboxEvent.objects.filter(position__gt=before, type="catalogue.product-changed")
    assert sorted(said.values_list("key", flat=True)) == sorted(Product.objects.values_list("sku", flat=True))


def test_what_was_interrupted_goes_on_after_the_last_key(sold: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcing, "PAGE", 1)
    with transaction.atomic(using="catalogue"), connections["catalogue"].cursor() as cursor:
        cursor.execute("SELECT FROM catalogue_product WHERE sku = 'phone' FOR UPDATE")
        command = in_background(lambda: refused("catalogue"))
        eventually(lambda: waiting_for_locks("catalogue"))
        cursor.execute("SELECT pg_cancel_backend(pid) FROM pg_locks WHERE NOT granted")
        assert command.result(10).endswith("1 rows were announced. Go on with --after case")
    assert announced("catalogue", "--after", "case")["announced"] == 1


def test_an_older_state_never_follows_a_newer_one(sold: Shop) -> None:
    """The change is under way as the command looks: it waits for its commit, and announces what it then finds."""
    with transaction.atomic(using="catalogue"):
        change_product(sku="phone", price=222)
        command = in_background(lambda: announced("catalogue"))
        eventually(lambda: waiting_for_locks("catalogue"))
    assert command.result(10)["announced"] == 2
    sold.drain()
    assert ProductCopy.objects.get(pk="phone").price == 222
    assert OutboxEvent.objects.filter(key="phone").latest("position").data["price"] == 222


def test_products_that_change_while_they_are_announced_are_copied_as_they_end(sold: Shop) -> None:
    def change(start: int) -> None:
        for price in range(start, start + 40):
            change_product(sku=("phone", "case")[price % 2], price=price)

    changes = [in_background(lambda start=start: change(start)) for start in (1000, 2000)]
    while not all(future.done() for future in changes):
        announced("catalogue")
        sold.drain()
    for future in changes:
        future.result()
    sold.drain()
    owned = dict(Product.objects.values_list("sku", "price"))
    assert dict(ProductCopy.objects.values_list("sku", "price")) == owned
    latest = {sku: OutboxEvent.objects.filter(key=sku).latest("position").data["price"] for sku in owned}
    assert latest == owned


def test_stock_that_moves_while_it_is_announced_is_announced_as_it_ends(sold: Shop) -> None:
    orders = in_background(lambda: [sold.place(("phone", 1)) for _ in range(2)])
    announced("inventory")
    orders.result()
    sold.drain()
    announced("inventory", "phone")
    depleted, changed = InventoryEvent.objects.filter(key="phone").order_by("-position")[:2]
    assert (changed.data["available"], changed.data["reserved"]) == sold.stock("phone") == (0, 3)
    assert depleted.type == "inventory.stock-depleted"
    assert audit().broken == []


def test_an_announcement_writes_no_row_of_what_it_announces(sold: Shop) -> None:
    def versions() -> list[tuple[str, str]]:
        with connections["catalogue"].cursor() as cursor:
            cursor.execute("SELECT sku, ctid::text FROM catalogue_product ORDER BY sku")
            return list(cursor.fetchall())

    before = versions()
    announced("catalogue")
    assert versions() == before


def test_a_transaction_announces_once_and_last(sold: Shop) -> None:
    with transaction.atomic(using="catalogue"):
        product = Product.objects.select_for_update().get(pk="phone")
        announce(product)
        with pytest.raises(UnableToStore):
            announce(product)
    assert product.recorded == ()
