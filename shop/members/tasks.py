"""The members context's reactions to other contexts' events, and its periodic tasks."""

from celery import shared_task
from django.conf import settings

from orders.events import OrderCancelled, OrderCreated, OrderEvent, OrderReturned, OrderShipped
from shop.databases import database_time
from shop.idempotency import forget_keys
from shop.members.credit.account import Refund, Release, Reserve, Spend
from shop.members.credit.stream import VersionConflict, store_with_accounts
from shop.members.models import IdempotencyKey
from shop.members.services import accounts_for
from shop.messaging.batches import Batch
from shop.messaging.reactions import consumes
from shop.messaging.retry import Retry

PARTICIPANT = "members"
"""How an order names this context among those whose answers decide it."""


@consumes("orders", OrderCreated, OrderCancelled, OrderShipped, OrderReturned, annuls={OrderCancelled: OrderCreated})
def take_credit(batch: Batch) -> None:
    """Reserve each created order's total, or refuse; release, spend or refund for what happened to it later.

    Loads once and stores once whatever the batch touches. Orders of one member share its account, so each sees what
    those before it reserved. An order that does not name this context takes nothing, now or later, and neither does
    one whose cancellation is in the log already.
    """
    created = {
        event.data.order_id: event.data.member_id
        for event in batch.events
        if isinstance(event.data, OrderCreated) and PARTICIPANT in event.data.participants and not event.annulled
    }
    now = database_time("default")
    accounts = accounts_for({event.order_id: created.get(event.order_id) for event in batch.of(OrderEvent)}, at=now)
    for received in batch:
        order: OrderEvent = received.data  # type: ignore[assignment]
        account = accounts.of_order(order.order_id)
        if account is None:
            continue  # it took nothing here: it does not name this context, or came annulled
        match order:
            case OrderCreated(order_id=order_id, total=total) if order_id in created:
                account.handle(Reserve(order_id=order_id, amount=total), at=now)
            case OrderCancelled(order_id=order_id):
                account.handle(Release(order_id=order_id), at=now)
            case OrderShipped(order_id=order_id):
                account.handle(Spend(order_id=order_id), at=now)
            case OrderReturned(order_id=order_id, refunded=refunded):
                account.handle(Refund(order_id=order_id, refunded=refunded), at=now)
    try:
        store_with_accounts(*accounts.changed())
    except VersionConflict as conflict:
        raise Retry("another process wrote to one of the batch's credit accounts") from conflict


@shared_task
def forget_idempotency_keys() -> None:
    """Delete Idempotency-Keys that are older than their life."""
    forget_keys(IdempotencyKey, at=database_time("default"), life=settings.IDEMPOTENCY_KEY_LIFE)
