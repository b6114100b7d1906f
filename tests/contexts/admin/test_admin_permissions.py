"""Who may do what in the admin: buttons and actions are for those who may change, by whatever way they are reached."""

from collections.abc import Callable

from shop.catalogue.models import Product
from tests.contexts.admin.conftest import Browser
from tests.contexts.admin.test_admin_actions import PRODUCT
from tests.harness import Shop


def test_who_may_only_look_finds_no_button_and_no_action(shop: Shop, staff: Callable[..., Browser]) -> None:
    shop.sell("phone", stock=3)
    shop.drain()
    order = shop.place(("phone", 1))
    clerk = staff("view_order", "view_stockitem", "view_product", "view_member", "view_deadletter", "view_cursor")
    assert without(clerk, "orders_order", order.pk, "cancel")
    assert without(clerk, "inventory_stockitem", "phone", "receive", "adjust")
    for model in ("orders_order", "catalogue_product", "members_member", "orders_deadletter", "orders_cursor"):
        assert not clerk.listed(model).context["action_form"]
    clerk.select("orders_order", "cancel_selected", order.pk, confirmed="yes")
    clerk.select("catalogue_product", "delist_products", "phone")
    assert clerk.client.get(clerk.url("inventory_stockitem", "receive_new")).status_code == 403
    assert clerk.client.post(clerk.url("catalogue_product", "change", "phone"), PRODUCT).status_code == 403
    assert shop.order(order).status == "open"
    assert Product.objects.get().listed


def without(clerk: Browser, model: str, pk: object, *buttons: str) -> bool:
    """Whether a row's page has none of these buttons, and pressing them all the same is forbidden."""
    page = clerk.opened(model, pk).content.decode()
    urls = [clerk.url(model, button, pk) for button in buttons]
    forbidden = {clerk.client.post(url, {"_form_submitted": "on", "quantity": "1"}).status_code for url in urls}
    return forbidden == {403} and not any(url in page for url in urls)


def test_nobody_gets_in_who_is_not_staff(shop: Shop) -> None:
    member = shop.member()
    answer = Browser(member.user).listed("orders_order")
    assert answer.status_code == 302
    assert "/login/" in answer.url


def test_an_operator_needs_the_permission_to_change_and_no_other(shop: Shop, staff: Callable[..., Browser]) -> None:
    shop.sell("phone", stock=3)
    clerk = staff("change_stockitem")
    clerk.press("inventory_stockitem", "receive", "phone", quantity="1", note="")
    assert shop.stock("phone") == (4, 0)


def test_a_button_does_nothing_when_it_is_only_looked_at(shop: Shop, boss: Browser) -> None:
    shop.sell("phone", stock=3)
    shop.drain()
    order = shop.place(("phone", 1))
    assert boss.client.get(boss.url("orders_order", "cancel", order.pk)).status_code == 200
    assert shop.order(order).status == "open"
