"""A consumer's database, restored from a backup, has an older cursor and older effects: it heals by itself."""

import pytest

from orders.models import Order, OutboxEvent
from readmodel.models import Cursor, MemberName, OrderView
from shop.members.models import Member
from shop.messaging.producer.fence import fence
from tests.backups import Backup
from tests.harness import Shop


@pytest.fixture
def ready(running_shop: Shop) -> Shop:
    running_shop.member()
    running_shop.sell("phone", stock=10)
    running_shop.drain()
    place(running_shop, 1)
    running_shop.drain()
    return running_shop


def place(shop: Shop, quantity: int) -> Order:
    return shop.place(("phone", quantity), member_id=Member.objects.get().pk)


def quiet(shop: Shop) -> None:
    """Until every time-out has come: a lane in which nothing happens is asked for its cursor then."""
    shop.drain()
    shop.time_out()
    shop.drain()


def views() -> dict[str, str]:
    return {str(view.pk): f"{view.status}, {view.member_name}" for view in OrderView.objects.all()}


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_the_read_model_heals_after_a_restore(ready: Shop, busy: bool) -> None:
    backup = Backup("readmodel")
    place(ready, 2)
    ready.drain()
    before = views()
    backup.restore()
    assert len(views()) == len(before) - 1
    if busy:
        place(ready, 3)
    quiet(ready)
    assert before.items() <= views().items()
    assert set(views().values()) == {"confirmed, Ada"}
    assert OrderView.objects.count() == OutboxEvent.objects.filter(type="orders.order-created").count()


def test_a_batch_in_flight_during_the_restore_does_no_harm(ready: Shop) -> None:
    backup = Backup("readmodel")
    place(ready, 2)
    ready.drain()
    place(ready, 3)
    ready.scan()
    backup.restore()
    quiet(ready)
    assert len(views()) == 3
    assert set(views().values()) == {"confirmed, Ada"}


def test_a_batch_applied_but_not_acknowledged_before_the_restore_does_no_harm(ready: Shop) -> None:
    backup = Backup("readmodel")
    place(ready, 2)
    ready.scan()
    for delivery in [d for d in ready.deliveries.waiting if d.queue == "readmodel"]:
        ready.deliveries.waiting.remove(delivery)
        delivery.deliver()
    backup.restore()
    quiet(ready)
    assert len(views()) == 2
    assert set(views().values()) == {"confirmed, Ada"}


def test_a_consumer_that_lost_everything_is_sent_everything(ready: Shop) -> None:
    before = views()
    for table in (OrderView, MemberName, Cursor):
        table.objects.all().delete()
    quiet(ready)
    assert views() == before


def test_the_inventory_heals_after_a_restore_without_giving_out_anything_twice(ready: Shop) -> None:
    """It publishes too, and its server shows nothing of this restore: it is fenced by hand."""
    backup = Backup("inventory")
    order = place(ready, 2)
    ready.drain()
    assert ready.stock("phone") == (7, 3)
    backup.restore()
    fence("inventory", reason="restored")
    assert ready.stock("phone") == (9, 1)
    quiet(ready)
    assert ready.stock("phone") == (7, 3)
    assert ready.order(order).status == "confirmed"
    another = place(ready, 7)
    ready.drain()
    assert ready.order(another).status == "confirmed"
    assert ready.stock("phone") == (0, 10)
