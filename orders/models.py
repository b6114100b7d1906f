"""The orders context's tables."""

from datetime import datetime
from functools import cached_property
from uuid import UUID

import msgspec
from django.db import models
from uuid_utils.compat import uuid7

from orders.events import AnyReason, KnownReason, Line, OrderCancelled, OrderConfirmed, OrderCreated, read_reason
from shop import idempotency
from shop.errors import DomainError
from shop.messaging import models as messaging
from shop.messaging.aggregates import Aggregate


class UnableToConfirm(DomainError):
    """Only an open order can be confirmed."""

    code = "unable_to_confirm"


class UnableToCancel(DomainError):
    """The order is cancelled already, or has shipped."""

    code = "unable_to_cancel"


class Status(models.TextChoices):
    """The stages of an order's life. The values are part of the API."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    SHIPPED = "shipped"
    CANCELLED = "cancelled"


class Order(Aggregate):
    """An order of a member: its lines, its status and how it was decided."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    member_id = models.BigIntegerField("member")
    status = models.CharField(max_length=10, choices=Status, default=Status.OPEN)
    total = models.PositiveBigIntegerField()
    currency = models.CharField(max_length=3)
    reason_data = models.JSONField("reason", null=True, blank=True)
    placed_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    shipped_at = models.DateTimeField(null=True, blank=True)

    mutable = ("status", "reason_data", "confirmed_at", "cancelled_at", "shipped_at")

    class Meta:
        ordering = ("-id",)  # UUIDv7: by the time of placing
        indexes = (
            models.Index(fields=("member_id", "id"), name="orders_order_member"),
            models.Index(fields=("placed_at",), name="orders_order_open", condition=models.Q(status="open")),
        )
        constraints = (
            models.CheckConstraint(condition=models.Q(status__in=Status.values), name="orders_order_status"),
            models.CheckConstraint(
                condition=models.Q(status="cancelled") ^ models.Q(reason_data__isnull=True), name="orders_order_reason"
            ),
        )

    def __str__(self) -> str:
        return str(self.pk)

    # Factories

    @classmethod
    def place(
        cls, *, member_id: int, lines: tuple[Line, ...], currency: str, at: datetime, id: UUID | None = None
    ) -> "Order":
        """Make a new, open order; nothing is reserved for it yet. ``lines`` has each SKU once."""
        total = sum(line.price * line.quantity for line in lines)
        order = cls(id=id or uuid7(), member_id=member_id, total=total, currency=currency, placed_at=at)
        order.attach(
            *(
                OrderLine(order_id=order.pk, number=number, **msgspec.structs.asdict(line))
                for number, line in enumerate(lines)
            )
        )
        order.record(
            OrderCreated(
                order_id=order.pk, member_id=member_id, lines=lines, total=total, currency=currency, placed_at=at
            )
        )
        order.snapshot = lines
        return order

    # Mutators

    def confirm(self, *, at: datetime) -> None:
        """Confirm the order: all of its lines are reserved. :raises UnableToConfirm: unless it is open."""
        if self.status != Status.OPEN:
            raise UnableToConfirm(f"Order {self.pk} is {self.status}: only an open order can be confirmed.")
        self.status, self.confirmed_at = Status.CONFIRMED, at
        self.record(OrderConfirmed(order_id=self.pk, at=at))

    def cancel(self, *, reason: KnownReason, at: datetime) -> None:
        """Cancel the order. :raises UnableToCancel: if it is cancelled already, or has shipped."""
        if not self.can_be_cancelled:
            raise UnableToCancel(
                f"Order {self.pk} is {self.status}: only an open or confirmed order can be cancelled.",
                status_now=self.status,
            )
        self.status, self.cancelled_at = Status.CANCELLED, at
        self.reason_data = msgspec.to_builtins(reason)
        self.record(OrderCancelled(order_id=self.pk, reason=self.reason_data, at=at))

    # Queries

    @cached_property
    def snapshot(self) -> tuple[Line, ...]:
        """The lines as they were when the order was placed."""
        return tuple(
            Line(sku=line.sku, name=line.name, category=line.category, price=line.price, quantity=line.quantity)
            for line in self.lines.all()
        )

    @property
    def can_be_cancelled(self) -> bool:
        """Whether the order is open or confirmed."""
        return self.status in (Status.OPEN, Status.CONFIRMED)

    @property
    def reason(self) -> AnyReason | None:
        """Why the order was cancelled; ``None`` if it was not."""
        return None if self.reason_data is None else read_reason(self.reason_data)

    @property
    def decided_at(self) -> datetime | None:
        """When the order was first confirmed or cancelled."""
        return self.confirmed_at or self.cancelled_at

    @property
    def history(self) -> list[tuple[str, datetime]]:
        """Each status that the order has had, and since when, oldest first."""
        moments = (
            (Status.OPEN, self.placed_at),
            (Status.CONFIRMED, self.confirmed_at),
            (Status.SHIPPED, self.shipped_at),
            (Status.CANCELLED, self.cancelled_at),
        )
        return [(str(status), at) for status, at in moments if at is not None]


class OrderLine(models.Model):
    """One product of an order, with its name and price as they were when the order was placed."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="lines")
    number = models.PositiveSmallIntegerField()
    sku = models.CharField("SKU", max_length=64)
    name = models.CharField(max_length=200)
    category = models.CharField(max_length=100, blank=True)
    price = models.PositiveBigIntegerField()
    quantity = models.PositiveIntegerField()

    class Meta:
        ordering = ("number",)
        constraints = (
            models.UniqueConstraint(fields=("order", "sku"), name="orders_orderline_sku"),
            models.CheckConstraint(condition=models.Q(quantity__gt=0), name="orders_orderline_quantity"),
        )

    def __str__(self) -> str:
        return f"{self.quantity} × {self.name}"


class IdempotencyKey(idempotency.IdempotencyKey):
    """A key that placed an order refers to the order, as it is now; any other key holds its answer."""

    user_id = models.BigIntegerField("user", db_column="member_id")
    order_id = models.UUIDField("order", null=True, blank=True)

    class Meta(idempotency.IdempotencyKey.Meta):
        pass


class ProductCopy(models.Model):
    """The fields of a product that pricing needs, copied from the catalogue's events."""

    sku = models.CharField("SKU", max_length=64, primary_key=True)
    name = models.CharField(max_length=200)
    category = models.CharField(max_length=100, blank=True)
    price = models.PositiveBigIntegerField()
    listed = models.BooleanField()

    class Meta:
        ordering = ("sku",)
        verbose_name_plural = "product copies"

    def __str__(self) -> str:
        return self.sku


class MemberCopy(models.Model):
    """Whether a member may place orders, copied from the members context's events."""

    member_id = models.BigIntegerField(primary_key=True)
    active = models.BooleanField()

    class Meta:
        verbose_name_plural = "member copies"

    def __str__(self) -> str:
        return str(self.member_id)


class Outbox(messaging.Outbox): ...


class OutboxEvent(messaging.OutboxEvent): ...


class Fence(messaging.Fence): ...


class Subscription(messaging.Subscription): ...


class Cursor(messaging.Cursor): ...


class Generation(messaging.Generation): ...


class DeadLetter(messaging.DeadLetter): ...


class LetterRetry(messaging.LetterRetry): ...
