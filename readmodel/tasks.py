"""How the read model reacts to what others say."""

from orders.events import OrderCancelled, OrderConfirmed, OrderCreated
from readmodel import projections
from shop.members.events import MemberChanged, MemberJoined
from shop.messaging.batches import Batch
from shop.messaging.reactions import consumes


@consumes("orders", OrderCreated, OrderConfirmed, OrderCancelled)
def project_orders(batch: Batch) -> None:
    """Show each order in the lists, with its member's name, as it comes about and is decided."""
    projections.project_orders(batch)


@consumes("members", MemberJoined, MemberChanged)
def project_members(batch: Batch) -> None:
    """Show each member's name beside its orders."""
    projections.project_members(batch)
