"""The orders context's tables."""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from uuid import UUID

import msgspec
from django.db import models
from uuid_utils.compat import uuid7

from orders import policies
from orders.events import (
    AnyReason,
    KnownReason,
    Line,
    LineCampaign,
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    OrderReturned,
    OrderShipped,
    Reason,
    Refusal,
    Returned,
    TimedOut,
    read_reason,
)
from orders.policies import Act, Wanted
from shop import idempotency
from shop.errors import DomainError
from shop.messaging import models as messaging
from shop.messaging.aggregates import Aggregate


class UnableToCancel(DomainError):
    """The order is cancelled already, or has shipped."""

    code = "unable_to_cancel"


class UnableToShip(DomainError):
    """Only a confirmed order can be shipped."""

    code = "unable_to_ship"


class UnableToReturn(DomainError):
    """Only what was shipped, and did not come back yet, can be returned."""

    code = "unable_to_return"


class Status(models.TextChoices):
    """The stages of an order's life. The values are part of the API."""

    OPEN = policies.OPEN
    CONFIRMED = policies.CONFIRMED
    SHIPPED = policies.SHIPPED
    CANCELLED = policies.CANCELLED


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
    participants = models.JSONField(
        default=list,
        db_default=[],
        blank=True,
        help_text="The contexts whose answers decide it; none if it was placed before they were named.",
    )
    granted = models.JSONField(
        default=list, db_default=[], blank=True, help_text="The participants that agreed, so far."
    )

    mutable = ("status", "reason_data", "confirmed_at", "cancelled_at", "shipped_at", "granted")

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
            models.CheckConstraint(
                condition=models.Q(status__in=("open", "cancelled"))
                | models.Q(granted__contains=models.F("participants")),
                name="orders_order_agreed",
            ),
        )

    def __str__(self) -> str:
        return str(self.pk)

    # Factories

    @classmethod
    def place(
        cls,
        *,
        member_id: int,
        lines: tuple[Line, ...],
        currency: str,
        at: datetime,
        participants: Sequence[str] = policies.UNNAMED,
        id: UUID | None = None,
    ) -> "Order":
        """Make a new, open order, which these participants decide; nothing is reserved for it yet.

        ``lines`` has each SKU once.
        """
        total = sum(line.price * line.quantity for line in lines)
        order = cls(
            id=id or uuid7(),
            member_id=member_id,
            total=total,
            currency=currency,
            placed_at=at,
            participants=list(participants),
        )
        order.attach(*(OrderLine.of(line, order_id=order.pk, number=number) for number, line in enumerate(lines)))
        order.record(
            OrderCreated(
                order_id=order.pk,
                member_id=member_id,
                lines=lines,
                total=total,
                currency=currency,
                placed_at=at,
                participants=tuple(participants),
            )
        )
        order.snapshot = lines
        return order

    # Mutators

    def agree(self, participant: str, *, at: datetime) -> bool:
        """Note that a participant agreed; the last of them confirms the order. Return whether anything changed.

        An answer to an order that is decided already changes nothing: if it is cancelled, the participant hears
        of that after the order, and releases what it holds.
        """
        if not self._can(Act.AGREE) or participant in self.granted:
            return False
        self.granted = [*self.granted, participant]
        if policies.all_agreed(self.participants, self.granted):
            self.status, self.confirmed_at = Status.CONFIRMED, at
            self.record(OrderConfirmed(order_id=self.pk, at=at))
        return True

    def refuse(self, reason: Refusal, *, at: datetime) -> bool:
        """Cancel the order, since a participant refused. Return whether anything changed.

        The first refusal decides; a further one is kept beside it. An order that was shipped stays shipped.
        """
        if self._can(Act.REFUSE):
            self._cancel(reason, at=at)
            return True
        first = self.reason
        if not isinstance(first, Refusal):
            return False
        further = msgspec.to_builtins(reason)
        known = {msgspec.to_builtins(first)["code"], *(other.get("code") for other in first.also)}
        if further["code"] in known:
            return False
        self.reason_data = msgspec.to_builtins(msgspec.structs.replace(first, also=(*first.also, further)))
        return True

    def cancel(self, *, reason: KnownReason, at: datetime) -> None:
        """Cancel the order. :raises UnableToCancel: if it is cancelled already, or has shipped."""
        if not self.can_be_cancelled:
            raise UnableToCancel(
                f"Order {self.pk} is {self.status}: only an open or confirmed order can be cancelled.",
                status_now=self.status,
            )
        self._cancel(reason, at=at)

    def expire(self, *, at: datetime) -> None:
        """Cancel the order, since it was not decided in time. :raises UnableToCancel: unless it is open."""
        if not self._can(Act.EXPIRE):
            raise UnableToCancel(f"Order {self.pk} is {self.status}: it was decided in time.", status_now=self.status)
        self._cancel(TimedOut(), at=at)

    def ship(self, *, at: datetime) -> None:
        """Let the goods leave. :raises UnableToShip: unless the order is confirmed."""
        if not self.can_be_shipped:
            raise UnableToShip(
                f"Order {self.pk} is {self.status}: only a confirmed order can be shipped.", status_now=self.status
            )
        self.status, self.shipped_at = Status.SHIPPED, at
        self.record(OrderShipped(order_id=self.pk, at=at))

    def take_back(self, lines: Sequence[Wanted], *, at: datetime) -> None:
        """Take goods back that were shipped. ``lines`` has each SKU once.

        :raises UnableToReturn: unless the order was shipped, with so much of each that did not come back yet.
        """
        if not self.can_be_returned:
            raise UnableToReturn(
                f"Order {self.pk} is {self.status}: only what was shipped can be returned.", status_now=self.status
            )
        ordered = {line.sku: line.quantity for line in self.snapshot}
        returned = self.returned
        if refused := policies.unreturnable(lines, ordered=ordered, returned=returned):
            raise UnableToReturn(" ".join(line["detail"] for line in refused), lines=refused)
        for sku, quantity in lines:
            returned[sku] = returned.get(sku, 0) + quantity
            self.attach(OrderReturn(order_id=self.pk, sku=sku, quantity=quantity, total=returned[sku], at=at))
        self.record(
            OrderReturned(
                order_id=self.pk,
                lines=tuple(Returned(sku=sku, quantity=quantity) for sku, quantity in sorted(returned.items())),
                refunded=sum(line.price * returned.get(line.sku, 0) for line in self.snapshot),
                at=at,
            )
        )

    def _can(self, act: Act) -> bool:
        return (self.status, act) in policies.LIFE

    def _cancel(self, reason: Reason, *, at: datetime) -> None:
        self.status, self.cancelled_at = Status.CANCELLED, at
        self.reason_data = msgspec.to_builtins(reason)
        self.record(OrderCancelled(order_id=self.pk, reason=self.reason_data, at=at))

    # Queries

    @cached_property
    def snapshot(self) -> tuple[Line, ...]:
        """The lines as they were when the order was placed."""
        return tuple(line.as_placed() for line in self.lines.all())

    @property
    def can_be_cancelled(self) -> bool:
        """Whether the order is open or confirmed."""
        return self._can(Act.CANCEL)

    @property
    def can_be_shipped(self) -> bool:
        """Whether the order is confirmed."""
        return self._can(Act.SHIP)

    @property
    def can_be_returned(self) -> bool:
        """Whether the order was shipped; how much of it can come back is another question."""
        return self._can(Act.RETURN)

    @property
    def returned(self) -> dict[str, int]:
        """How much came back so far, by SKU; of a return that is not stored yet nothing."""
        if self.status != Status.SHIPPED:
            return {}
        returned: dict[str, int] = {}
        for row in self.returns.all():
            returned[row.sku] = max(row.total, returned.get(row.sku, 0))
        return returned

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
    campaign_id = models.UUIDField("campaign", null=True, blank=True)
    allotment = models.IntegerField(null=True, blank=True, help_text="Of the campaign.")

    class Meta:
        ordering = ("number",)
        constraints = (
            models.UniqueConstraint(fields=("order", "sku"), name="orders_orderline_sku"),
            models.CheckConstraint(condition=models.Q(quantity__gt=0), name="orders_orderline_quantity"),
            models.CheckConstraint(
                condition=models.Q(campaign_id__isnull=True, allotment__isnull=True)
                | models.Q(campaign_id__isnull=False, allotment__isnull=False, allotment__gte=1),
                name="orders_orderline_campaign",
            ),
        )

    def __str__(self) -> str:
        return f"{self.quantity} × {self.name}"

    @classmethod
    def of(cls, line: Line, *, order_id: UUID, number: int) -> "OrderLine":
        """Make the row of a line."""
        fields = msgspec.structs.asdict(line)
        campaign: LineCampaign | None = fields.pop("campaign")
        if campaign is not None:
            fields |= {"campaign_id": campaign.id, "allotment": campaign.allotment}
        return cls(order_id=order_id, number=number, **fields)

    def as_placed(self) -> Line:
        """Return the line as it was placed."""
        campaign = None
        if self.campaign_id is not None and self.allotment is not None:
            campaign = LineCampaign(id=self.campaign_id, allotment=self.allotment)
        return Line(
            sku=self.sku,
            name=self.name,
            category=self.category,
            price=self.price,
            quantity=self.quantity,
            campaign=campaign,
        )


class OrderReturn(models.Model):
    """Goods of one SKU that came back at one time. Never changed or deleted."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="returns", db_index=False)
    sku = models.CharField("SKU", max_length=64)
    quantity = models.PositiveIntegerField()
    total = models.PositiveIntegerField(help_text="Of all returns of this SKU and order so far.")
    at = models.DateTimeField()

    class Meta:
        ordering = ("pk",)
        constraints = (
            models.UniqueConstraint(fields=("order", "sku", "total"), name="orders_orderreturn_once"),
            models.CheckConstraint(
                condition=models.Q(quantity__gt=0, total__gte=models.F("quantity")), name="orders_orderreturn_quantity"
            ),
        )

    def __str__(self) -> str:
        return f"{self.quantity} × {self.sku}"


class IdempotencyKey(idempotency.IdempotencyKey):
    """A key that placed an order refers to the order, as it is now; any other key holds its answer."""

    user_id = models.BigIntegerField("user", db_column="member_id")
    order_id = models.UUIDField("order", null=True, blank=True)

    class Meta(idempotency.IdempotencyKey.Meta):
        pass


class ProductCopy(models.Model):
    """The fields of a product that taking an order needs, copied from the catalogue's and the inventory's events."""

    sku = models.CharField("SKU", max_length=64, primary_key=True)
    name = models.CharField(max_length=200)
    category = models.CharField(max_length=100, blank=True)
    price = models.PositiveBigIntegerField()
    listed = models.BooleanField()
    sold_out = models.BooleanField(default=False, db_default=False, help_text="A courtesy: reservations decide.")

    class Meta:
        ordering = ("sku",)
        verbose_name_plural = "product copies"

    def __str__(self) -> str:
        return self.sku


class CampaignCopy(models.Model):
    """A campaign, copied from marketing's events. It runs if it is ``scheduled`` and the clock is in its window."""

    campaign_id = models.UUIDField("campaign", primary_key=True)
    sku = models.CharField("SKU", max_length=64)
    price = models.PositiveBigIntegerField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    limit_per_member = models.PositiveIntegerField()
    allotment = models.PositiveIntegerField()
    state = models.CharField(max_length=100)

    class Meta:
        ordering = ("-campaign_id",)
        verbose_name_plural = "campaign copies"
        indexes = (models.Index(fields=("sku", "ends_at"), name="orders_campaigncopy_sku"),)

    def __str__(self) -> str:
        return str(self.campaign_id)


class CampaignTaking(models.Model):
    """How many units of a campaign a member's orders hold. See :mod:`orders.campaigns`."""

    campaign_id = models.UUIDField("campaign")
    member_id = models.BigIntegerField("member")
    taken = models.PositiveBigIntegerField()
    allowed = models.PositiveBigIntegerField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("campaign_id", "member_id"), name="orders_campaigntaking_once"),
            models.CheckConstraint(
                condition=models.Q(taken__gte=0, taken__lte=models.F("allowed")), name="orders_campaigntaking_limit"
            ),
        )

    def __str__(self) -> str:
        return f"{self.taken} of {self.allowed}"


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
