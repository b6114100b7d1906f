"""Forms, buttons and actions make one domain call each, say what came of it, and keep who did it."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from rest_framework.authtoken.models import Token

from inventory.models import StockItem
from orders.events import CancelledByMember, CancelledByStaff
from orders.models import MemberCopy, ProductCopy
from shop.catalogue.models import Product
from shop.members.models import Member
from shop.messaging import models as messaging
from shop.messaging.contexts import context
from tests.contexts.admin.conftest import Browser
from tests.harness import Shop

PRODUCT = {
    "name": "Phone",
    "category": "things",
    "price": "1.00",
    "description": "",
    "attributes": "{}",
    "initial-attributes": "{}",
    "listed": "on",
}


def facts(label: str) -> list[str]:
    """The types of the events in a context's outbox, oldest first."""
    return list(context(label).table(messaging.OutboxEvent).objects.order_by("position").values_list("type", flat=True))


def logged(user: User) -> list[str]:
    """What is kept of what a user did, oldest first."""
    entries = LogEntry.objects.filter(user=user).order_by("pk")
    return [f"{entry.object_repr}: {entry.get_change_message()}" for entry in entries]


# Products


def test_a_product_is_added_by_the_catalogue(shop: Shop, boss: Browser) -> None:
    boss.save("catalogue_product", sku="phone", **PRODUCT)
    assert Product.objects.get().price == 100
    assert facts("catalogue") == ["catalogue.product-added"]
    assert logged(boss.user) == ["Phone (phone): Added."]
    shop.drain()
    assert ProductCopy.objects.get().name == "Phone"


def test_a_product_is_changed_by_the_catalogue_and_only_where_the_form_was(shop: Shop, boss: Browser) -> None:
    shop.sell("phone")
    boss.save("catalogue_product", "phone", **PRODUCT | {"price": "2.5"})
    assert Product.objects.get().price == 250
    assert facts("catalogue") == ["catalogue.product-added", "catalogue.product-changed"]
    assert logged(boss.user) == ["Phone (phone): Changed Price."]


def test_a_product_form_that_the_domain_or_the_fields_refuse_changes_nothing(shop: Shop, boss: Browser) -> None:
    shop.sell("phone")
    wrong: list[tuple[str | None, dict[str, str], str]] = [
        (None, {"sku": "phone"}, "already exists"),
        (None, {"sku": "no good"}, "1 to 64 letters"),
        (None, {"sku": "new", "price": "-1"}, "Write an amount of CNY such as 12.34"),
        (None, {"sku": "new", "attributes": "[]"}, "must be a JSON object"),
        (None, {"sku": "new", "attributes": '{"weight": 1e400}'}, "too large a number"),
        ("phone", {"price": "99999999999999999999"}, "100000000.00 CNY at most"),
        (None, {"sku": "new", "attributes": '{"a":' * 11 + "{}" + "}" * 11}, "nested 12 deep"),
        (None, {"sku": "new", "attributes": '{"a":' * 900 + "{}" + "}" * 900}, "nested too deeply"),
        (None, {"sku": "new", "attributes": '{"a": 1, "a": 2}'}, "more than once"),
        (None, {"sku": "new", "attributes": '{"a": "' + "x" * 16_384 + '"}'}, "at most 16384"),
        (None, {"sku": "new", "description": "x" * 20_001}, "at most 20000 characters"),
        ("phone", {"name": ""}, "required"),
    ]
    for pk, fields, said in wrong:
        assert said in boss.save("catalogue_product", pk, **PRODUCT | fields).content.decode()
    assert Product.objects.get().price == 100
    assert facts("catalogue") == ["catalogue.product-added"]
    assert logged(boss.user) == []


def test_a_product_that_somebody_else_adds_meanwhile_is_refused_with_its_name(
    shop: Shop, boss: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.sell("phone")
    monkeypatch.setattr("shop.catalogue.admin.ProductForm.validate_unique", lambda form: None)  # as if it came later
    answer = boss.save("catalogue_product", sku="phone", **PRODUCT | {"name": "Another"}).content.decode()
    assert "The catalogue already has a product &#x27;phone&#x27;" in answer
    assert 'value="Another"' in answer  # what was typed is kept
    assert Product.objects.get().name == "Phone"


def test_products_are_listed_and_delisted_one_call_each(shop: Shop, boss: Browser) -> None:
    shop.sell("phone")
    shop.sell("case")
    answer = boss.select("catalogue_product", "delist_products", "phone", "case")
    assert "2 products delisted." in answer.content.decode()
    assert not Product.objects.filter(listed=True).exists()
    boss.select("catalogue_product", "list_products", "phone")
    assert facts("catalogue")[2:] == ["catalogue.product-delisted"] * 2 + ["catalogue.product-listed"]
    assert logged(boss.user)[-1] == "Phone (phone): Listed."


# Stock


def test_goods_are_received_on_an_items_page(shop: Shop, boss: Browser) -> None:
    shop.sell("pho_ne", stock=1)
    answer = boss.press("inventory_stockitem", "receive", "pho_ne", quantity="5", note="a lorry")
    assert answer.headers["HX-Refresh"] == "true"
    assert boss.messages() == ["5 of pho_ne received: 6 are available now."]
    assert shop.stock("pho_ne") == (6, 0)
    page = boss.opened("inventory_stockitem", "pho_ne").content.decode()
    assert "a lorry" in page
    assert "?sku=pho_ne" in page
    assert logged(boss.user) == ["pho_ne: Received 5."]


def test_goods_of_a_new_sku_are_received_from_the_list(shop: Shop, boss: Browser) -> None:
    boss.press("inventory_stockitem", "receive_new", sku="new", quantity="5", note="")
    assert shop.stock("new") == (5, 0)


def test_an_adjustment_below_zero_is_refused_with_the_number_there_is(shop: Shop, boss: Browser) -> None:
    shop.sell("phone", stock=3)
    answer = boss.press("inventory_stockitem", "adjust", "phone", quantity="-4", note="stolen").content.decode()
    assert "Only 3 of phone are available" in answer
    assert 'value="-4"' in answer
    assert shop.movements("phone") == [("received", 3)]
    boss.press("inventory_stockitem", "adjust", "phone", quantity="-3", note="stolen")
    assert shop.movements("phone") == [("received", 3), ("adjusted", -3)]


@pytest.mark.parametrize(
    ("button", "pk", "fields"),
    [
        ("receive", "phone", {"quantity": "0"}),
        ("receive", "phone", {"quantity": "1000000001"}),
        ("receive", "phone", {"quantity": "many"}),
        ("receive", "phone", {"quantity": "1", "note": "x" * 201}),
        ("receive_new", None, {"quantity": "1", "sku": "no good"}),
        ("adjust", "phone", {"quantity": "0", "note": "x"}),
        ("adjust", "phone", {"quantity": "1", "note": ""}),
        ("adjust", "gone", {"quantity": "1", "note": "x"}),
    ],
)
def test_a_bad_number_note_or_sku_moves_nothing(
    button: str, pk: str | None, fields: dict[str, str], shop: Shop, boss: Browser
) -> None:
    shop.sell("phone", stock=3)
    answer = boss.press("inventory_stockitem", button, pk, **fields)
    assert answer.status_code == 200
    assert "errornote" in answer.content.decode() or 'class="errors ' in answer.content.decode()
    assert StockItem.objects.count() == 1
    assert shop.movements("phone") == [("received", 3)]


# Orders


def test_an_order_shows_its_lines_and_everything_that_happened_to_it(shop: Shop, boss: Browser) -> None:
    shop.sell("phone", price=1234, stock=3)
    shop.drain()
    order = shop.place(("phone", 2))

    def timeline() -> list[tuple[Any, ...]]:
        lines, panel = boss.opened("orders_order", order.pk).context["panels"]
        assert lines.rows[0][1:] == ("Phone", "12.34 CNY", "–", 2, 0, "24.68 CNY")
        words = "waiting", "sent", "acknowledged", "not wanted"
        return [(str(row[1]), [word for word in words if f"\n{word}\n" in str(row[6])]) for row in panel.rows]

    assert timeline()[1] == ("orders.order-created", ["waiting"])
    shop.scan()
    assert timeline()[1] == ("orders.order-created", ["sent"])
    shop.drain()
    created, confirmed = timeline()[1], timeline()[3]
    assert created == ("orders.order-created", ["acknowledged"])
    assert confirmed == ("orders.order-confirmed", ["acknowledged", "not wanted"])
    page = boss.opened("orders_order", order.pk).content.decode()
    position = context("inventory").table(messaging.OutboxEvent).objects.get(type="inventory.inventory-locked").pk
    assert boss.url("inventory_outboxevent", "change", position) in page  # what it was a reaction to
    assert boss.url("inventory_claim") + f"?order_id={order.pk}" in page


def test_an_order_is_cancelled_for_the_shop_and_its_stock_is_released(shop: Shop, boss: Browser) -> None:
    shop.sell("phone", stock=3)
    shop.drain()
    order = shop.place(("phone", 2))
    shop.drain()
    boss.press("orders_order", "cancel", order.pk)
    assert boss.messages() == [f"Order {order.pk} is cancelled."]
    assert shop.order(order).reason == CancelledByStaff()
    assert logged(boss.user) == [f"{order.pk}: Cancelled for the shop."]
    shop.drain()
    assert shop.stock("phone") == (3, 0)


def test_an_order_that_was_cancelled_meanwhile_says_so(shop: Shop, boss: Browser) -> None:
    shop.sell("phone", stock=3)
    shop.drain()
    order = shop.place(("phone", 2))
    shop.cancel(order)
    answer = boss.press("orders_order", "cancel", order.pk).content.decode()
    assert f"Order {order.pk} is cancelled: only an open or confirmed order can be cancelled." in answer
    assert shop.order(order).reason == CancelledByMember()
    page = boss.opened("orders_order", order.pk).content.decode()
    assert boss.url("orders_order", "cancel", order.pk) not in page


def test_an_order_is_shipped_and_goods_come_back_in_the_admin(shop: Shop, boss: Browser) -> None:
    shop.sell("phone", stock=3)
    shop.drain()
    order = shop.place(("phone", 2))
    shop.drain()
    ship, take_back = (boss.url("orders_order", button, order.pk) for button in ("ship", "take_back"))
    page = boss.opened("orders_order", order.pk).content.decode()
    assert (ship in page, take_back in page) == (True, False)
    boss.press("orders_order", "ship", order.pk)
    assert boss.messages() == [f"Order {order.pk} is shipped."]
    page = boss.opened("orders_order", order.pk).content.decode()
    assert (ship in page, take_back in page) == (False, True)
    refused = boss.press("orders_order", "take_back", order.pk, sku="phone", quantity="3").content.decode()
    assert "2 of 2 phone can still be returned, not 3." in refused
    boss.press("orders_order", "take_back", order.pk, sku="phone", quantity="1")
    assert boss.messages() == [f"1 × phone of order {order.pk} came back."]
    assert logged(boss.user) == [f"{order.pk}: Shipped.", f"{order.pk}: Returned: 1 × phone."]
    assert shop.order(order).returned == {"phone": 1}


def test_orders_are_cancelled_from_the_list_once_that_is_confirmed(shop: Shop, boss: Browser) -> None:
    shop.sell("phone", stock=3)
    shop.drain()
    orders = [shop.place(("phone", 1)) for _ in range(3)]
    shop.cancel(orders[2])
    keys = [order.pk for order in orders]
    asked = boss.select("orders_order", "cancel_selected", *keys).content.decode()
    assert "This cannot be undone." in asked
    assert [shop.order(order).status for order in orders] == ["open", "open", "cancelled"]
    answer = boss.select("orders_order", "cancel_selected", *keys, confirmed="yes").content.decode()
    assert "2 orders cancelled." in answer
    assert f"Order {keys[2]} is cancelled: only" in answer
    assert {shop.order(order).status for order in orders} == {"cancelled"}


# Members, users, tokens


def test_a_member_that_is_made_here_joins(shop: Shop, boss: Browser) -> None:
    fields = {"username": "ada", "name": "Ada", "email": "", "password": "a-long-and-odd-one"}
    boss.save("members_member", **fields)
    member = Member.objects.get()
    assert member.user.check_password("a-long-and-odd-one")
    assert Token.objects.get().user == member.user
    assert facts("members") == ["members.member-joined", "members.credit-opened"]
    assert logged(boss.user) == ["Ada: Added."]
    again = boss.save("members_member", **fields | {"name": "Other"}).content.decode()
    assert "There is already a user &#x27;ada&#x27;" in again
    assert "too short" in boss.save("members_member", **fields | {"username": "bob", "password": "x"}).content.decode()
    assert Member.objects.count() == 1


def test_a_member_is_renamed_deactivated_and_reactivated(shop: Shop, boss: Browser) -> None:
    member = shop.member()
    boss.save("members_member", member.pk, name="Countess", active="on")
    assert Member.objects.get().name == "Countess"
    boss.select("members_member", "deactivate", member.pk)
    shop.drain()
    assert not MemberCopy.objects.get().active
    boss.select("members_member", "reactivate", member.pk)
    shop.drain()
    assert MemberCopy.objects.get().active
    assert facts("members") == ["members.member-joined", "members.credit-opened"] + ["members.member-changed"] * 3
    assert logged(boss.user) == ["Countess: Changed Name.", "Countess: Deactivated.", "Countess: Reactivated."]


def test_a_token_is_given_and_revoked_and_its_key_is_neither_listed_nor_logged(shop: Shop, boss: Browser) -> None:
    boss.save("authtoken_tokenproxy", user=boss.user.pk)
    key = Token.objects.get().key
    assert key not in boss.listed("authtoken_tokenproxy").content.decode()
    assert key in boss.opened("authtoken_tokenproxy", boss.user.pk).content.decode()
    boss.client.post(boss.url("authtoken_tokenproxy", "delete", boss.user.pk), {"post": "yes"})
    assert not Token.objects.exists()
    assert logged(boss.user) == ["boss: Given an API token.", "boss: Its API token was revoked."]


def test_a_user_of_the_staff_is_made_with_a_role_and_a_password(shop: Shop, boss: Browser) -> None:
    role = Group.objects.create(name="clerks")
    secret = {"password1": "a-long-and-odd-one", "password2": "a-long-and-odd-one"}
    boss.save("auth_user", username="clerk", usable_password="true", **secret)
    clerk = User.objects.get(username="clerk")
    assert clerk.check_password("a-long-and-odd-one")
    joined = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    boss.save("auth_user", clerk.pk, username="clerk", is_staff="on", is_active="on", groups=[role.pk], **joined)
    clerk.refresh_from_db()
    assert clerk.is_staff
    assert list(clerk.groups.all()) == [role]
    assert not Member.objects.exists()
