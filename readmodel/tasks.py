"""The read model's reactions to other contexts' events, and its periodic tasks."""

from celery import shared_task

from orders.events import OrderCancelled, OrderConfirmed, OrderCreated, OrderReturned, OrderShipped
from readmodel import projections, services
from shop.members.events import MemberChanged, MemberJoined
from shop.messaging.batches import Batch
from shop.messaging.reactions import consumes

RENAMING_SECONDS = 2  # that one run goes on for, so that batches get their turn


@consumes("orders", OrderCreated, OrderConfirmed, OrderCancelled, OrderShipped, OrderReturned)
def project_orders(batch: Batch) -> None:
    """Show each order in the lists, with its member's name, as it is placed, decided, shipped and returned."""
    projections.project_orders(batch)


@consumes("members", MemberJoined, MemberChanged)
def project_members(batch: Batch) -> None:
    """Show each member's name beside its orders."""
    projections.project_members(batch)


@shared_task
def rename_orders() -> None:
    """Go on showing members' new names beside their orders, where those were too many for one transaction."""
    services.continue_renamings(seconds=RENAMING_SECONDS)
