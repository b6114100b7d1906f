"""How the inventory reacts to what others say, in whatever order and however often it is said."""

from inventory.models import Claim, Cursor, StockItem
from tests.harness import Shop, in_background


def test_an_order_that_is_cancelled_before_its_reservation_is_processed_ends_released(shop: Shop) -> None:
    shop.sell("phone", stock=2)
    shop.drain()
    order = shop.place(("phone", 2))
    shop.cancel(order)
    shop.drain()
    assert shop.stock("phone") == (2, 0)
    assert shop.claim(order).status == "released"
    assert shop.order(order).status == "cancelled"
    assert shop.view(order).status == "cancelled"


def test_an_order_that_is_cancelled_while_its_answer_is_on_its_way_ends_released(shop: Shop) -> None:
    shop.sell("phone", stock=2)
    shop.drain()
    order = shop.place(("phone", 2))
    shop.scan()
    for delivery in shop.deliveries.take("inventory"):
        delivery.deliver()
    assert shop.stock("phone") == (0, 2)
    shop.cancel(order)
    shop.drain()
    assert shop.stock("phone") == (2, 0)
    assert shop.order(order).status == "cancelled"
    assert shop.movements("phone") == [("received", 2), ("reserved", 2), ("released", 2)]


def test_a_cursor_that_is_set_back_to_the_beginning_changes_nothing(shop: Shop) -> None:
    shop.sell("phone", stock=3)
    shop.drain()
    kept, given_up, refused = shop.place(("phone", 2)), shop.place(("phone", 1)), shop.place(("phone", 9))
    shop.drain()
    shop.cancel(given_up)
    shop.drain()
    before = (shop.stock("phone"), shop.movements("phone"), sorted(Claim.objects.values_list("order_id", "status")))
    Cursor.objects.update(position=0)
    shop.time_out()
    shop.drain()
    after = (shop.stock("phone"), shop.movements("phone"), sorted(Claim.objects.values_list("order_id", "status")))
    assert after == before
    assert [shop.order(order).status for order in (kept, given_up, refused)] == ["confirmed", "cancelled", "cancelled"]


def test_a_product_that_is_added_has_an_item_with_nothing_in_it(shop: Shop) -> None:
    shop.sell("phone")
    shop.drain()
    assert shop.stock("phone") == (0, 0)


def test_goods_may_come_in_before_the_news_of_their_product(shop: Shop) -> None:
    shop.sell("phone", stock=5)
    assert shop.stock("phone") == (5, 0)
    shop.drain()
    assert shop.stock("phone") == (5, 0)


def test_batches_of_two_lanes_at_once_do_not_oversell(shop: Shop) -> None:
    """Each lane's batch names the two products in its own order, and wants more of both than there is."""
    shop.sell("phone", stock=10)
    shop.sell("case", stock=10)
    shop.drain()
    for number in range(24):
        shop.place(*[("phone", 1), ("case", 1)][:: 1 if number % 2 else -1])
    shop.scan()
    batches = shop.deliveries.take("inventory", source="orders")
    assert len({delivery.kwargs["lane"] for delivery in batches}) > 1
    for work in [in_background(delivery.deliver) for delivery in batches]:
        work.result(30)
    shop.drain()
    assert shop.stock("phone") == shop.stock("case") == (0, 10)
    assert Claim.objects.filter(status="locked").count() == 10
    assert StockItem.objects.count() == 2
