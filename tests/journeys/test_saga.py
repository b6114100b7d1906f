"""An order's way through the contexts."""

from tests.harness import Shop


def test_an_order_is_confirmed_once_its_stock_is_reserved(shop: Shop) -> None:
    shop.member()
    shop.sell("phone", stock=3)
    shop.drain()
    order = shop.place(("phone", 2))
    assert order.status == "open"
    shop.drain()
    assert shop.order(order).status == "confirmed"
    assert shop.stock("phone") == (1, 2)
    assert shop.view(order).status == "confirmed"


def test_an_order_is_cancelled_with_every_short_line_when_stock_is_short(shop: Shop) -> None:
    shop.member()
    shop.sell("phone", stock=1)
    shop.sell("case")
    shop.drain()
    order = shop.place(("phone", 2), ("case", 1))
    shop.drain()
    reason = shop.order(order).reason
    assert [(line.sku, line.requested, line.available) for line in reason.lines] == [("phone", 2, 1), ("case", 1, 0)]
    assert shop.stock("phone") == (1, 0)
