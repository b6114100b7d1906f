"""The inventory context's tables."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db import models

from inventory import policies
from inventory.events import (
    InventoryLocked,
    InventoryLockFailed,
    Shortage,
    StockChanged,
    StockDepleted,
    StockReplenished,
)
from shop import idempotency
from shop.errors import DomainError, Invalid
from shop.messaging import models as messaging
from shop.messaging.aggregates import Aggregate, Announced


class UnableToTake(DomainError):
    """The adjustment would take more than is available."""

    code = "unable_to_take"


class AbsurdQuantity(Invalid):
    """A movement of nothing, or of more than a warehouse holds."""

    code = "absurd_quantity"


class Claim(Aggregate):
    """What one order claims of the stock, and the answer it got.

    Every order that was answered has one, refused orders too, so that a repeated order gets its first answer.
    So does an order that was cancelled before its creation arrived: it gets nothing. A refused claim stays refused
    when its order is cancelled, which is what follows from the refusal. What is shipped is no longer held.
    """

    class Status(models.TextChoices):
        LOCKED = "locked"
        FAILED = "failed"
        RELEASED = "released"
        SHIPPED = "shipped"

    order_id = models.UUIDField(primary_key=True)
    status = models.CharField(max_length=10, choices=Status)
    short = models.JSONField("short lines", default=list, blank=True)
    exhausted = models.JSONField("lines beyond their campaign's allotment", default=list, db_default=[], blank=True)
    answered_at = models.DateTimeField()

    mutable = ("status",)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(status__in=("locked", "failed", "released", "shipped")),
                name="inventory_claim_status",
            ),
        )

    def __str__(self) -> str:
        return f"{self.order_id}: {self.status}"

    # Factories

    @classmethod
    def lock(cls, *, order_id: UUID, reservations: Iterable["Reservation"], at: datetime) -> "Claim":
        """Grant the order everything it needs. The caller updates the stock items."""
        claim = cls(order_id=order_id, status=cls.Status.LOCKED, answered_at=at)
        claim.attach(*reservations)
        claim.answer()
        return claim

    @classmethod
    def fail(
        cls, *, order_id: UUID, short: tuple[Shortage, ...], exhausted: tuple[Shortage, ...] = (), at: datetime
    ) -> "Claim":
        """Refuse the order, because these lines are short, or exceed what is left of their campaigns."""
        claim = cls(
            order_id=order_id,
            status=cls.Status.FAILED,
            short=msgspec.to_builtins(short),
            exhausted=msgspec.to_builtins(exhausted),
            answered_at=at,
        )
        claim.answer()
        return claim

    @classmethod
    def void(cls, *, order_id: UUID, at: datetime) -> "Claim":
        """Note that the order was cancelled before its creation arrived: it gets nothing and needs no answer."""
        return cls(order_id=order_id, status=cls.Status.RELEASED, answered_at=at)

    # Mutators

    def answer(self) -> None:
        """Announce the answer, for the first time or again. A released claim has none, unless it was a refusal."""
        if self.status in (self.Status.LOCKED, self.Status.SHIPPED):
            self.record(InventoryLocked(order_id=self.order_id))
        elif self.refused:
            self.record(
                InventoryLockFailed(
                    order_id=self.order_id,
                    short=msgspec.convert(self.short, tuple[Shortage, ...]),
                    exhausted=msgspec.convert(self.exhausted, tuple[Shortage, ...]),
                )
            )

    def release(self) -> bool:
        """Release what the order holds; return whether it held anything."""
        was_locked = self.status == self.Status.LOCKED
        if was_locked:
            self.status = self.Status.RELEASED
        return was_locked

    def ship(self) -> bool:
        """Let what the order holds leave; return whether it held anything."""
        was_locked = self.status == self.Status.LOCKED
        if was_locked:
            self.status = self.Status.SHIPPED
        return was_locked

    def take_back(self, reservation: "Reservation", *, total: int) -> int:
        """Note that of a shipped reservation ``total`` came back by now; return how much that is more than was noted.

        An older total, which arrives late or again, changes nothing.
        """
        more = max(0, total - reservation.returned)
        if more:
            reservation.returned = total
            if not reservation._state.adding:
                self.attach(reservation)
        return more

    # Queries

    @property
    def refused(self) -> bool:
        """Whether the answer was no. Up to 1.0 a refused claim became released: its short lines tell."""
        return self.status == self.Status.FAILED or bool(self.short or self.exhausted)

    @property
    def outcome(self) -> Status:
        """The status as readers see it: a refusal stays one."""
        return self.Status.FAILED if self.refused else self.Status(self.status)


class Reservation(models.Model):
    """A quantity of one SKU held for one order while its claim is locked; and what came back of it once shipped."""

    claim = models.ForeignKey(Claim, on_delete=models.PROTECT, related_name="reservations", db_index=False)
    sku = models.CharField("SKU", max_length=64)
    quantity = models.PositiveIntegerField()
    # Not a PositiveIntegerField: to add one, its constraint would be checked on every row under an exclusive lock.
    returned = models.IntegerField(default=0, db_default=0, help_text="Of all returns of the order so far.")
    campaign_id = models.UUIDField("campaign", null=True, blank=True)

    mutable = ("returned",)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("claim", "sku"), name="inventory_reservation_once"),
            models.CheckConstraint(condition=models.Q(quantity__gt=0), name="inventory_reservation_quantity"),
            models.CheckConstraint(
                condition=models.Q(returned__gte=0, returned__lte=models.F("quantity")),
                name="inventory_reservation_returned",
            ),
        )

    def __str__(self) -> str:
        return f"{self.quantity} × {self.sku}"


class Allotment(models.Model):
    """How many units of a campaign are taken by reservations, live or shipped. See :mod:`inventory.campaigns`."""

    campaign_id = models.UUIDField("campaign", primary_key=True)
    sku = models.CharField("SKU", max_length=64)
    allotment = models.BigIntegerField()
    taken = models.BigIntegerField(default=0)

    mutable = ("taken",)

    class Meta:
        ordering = ("-campaign_id",)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(taken__gte=0, taken__lte=models.F("allotment")), name="inventory_allotment_taken"
            ),
        )

    def __str__(self) -> str:
        return f"{self.taken} of {self.allotment}"

    @property
    def left(self) -> int:
        """Units that can still be bought of the campaign."""
        return self.allotment - self.taken


class StockItem(Announced):
    """The stock of one SKU: available for sale, and reserved for orders. Both are sums of its movements."""

    sku = models.CharField("SKU", max_length=64, primary_key=True)
    available = models.BigIntegerField(default=0)
    reserved = models.BigIntegerField(default=0)

    mutable = ("available", "reserved")

    class Meta:
        ordering = ("sku",)
        constraints = (
            models.CheckConstraint(condition=models.Q(available__gte=0), name="inventory_stockitem_available"),
            models.CheckConstraint(condition=models.Q(reserved__gte=0), name="inventory_stockitem_reserved"),
        )

    def __str__(self) -> str:
        return self.sku

    # Factories

    @classmethod
    def open(cls, *, sku: str) -> "StockItem":
        """Make an item with nothing in stock."""
        item = cls(sku=sku)
        item._announce_quantities()
        return item

    # Mutators

    def receive(self, quantity: int, *, note: str, at: datetime) -> None:
        """Add goods that arrived. :raises AbsurdQuantity:"""
        if not 1 <= quantity <= policies.MAX_MOVEMENT:
            raise AbsurdQuantity(f"{quantity} of {self.sku} cannot be received: 1 to {policies.MAX_MOVEMENT} can.")
        self._move(policies.RECEIVED, quantity, at=at, note=note)

    def adjust(self, quantity: int, *, note: str, at: datetime) -> None:
        """Correct by what a count found: positive for more, negative for less.

        :raises AbsurdQuantity: :raises UnableToTake: below zero.
        """
        if not 1 <= abs(quantity) <= policies.MAX_MOVEMENT:
            raise AbsurdQuantity(
                f"{self.sku} cannot be adjusted by {quantity}: by 1 to {policies.MAX_MOVEMENT}, either way, it can."
            )
        if self.available + quantity < 0:
            raise UnableToTake(
                f"Only {self.available} of {self.sku} are available: no more than that can be taken away.",
                sku=self.sku,
                available=self.available,
                quantity=quantity,
            )
        self._move(policies.ADJUSTED, quantity, at=at, note=note)

    def reserve(self, quantity: int, *, order_id: UUID, at: datetime) -> None:
        """Move from available to reserved, for an order."""
        self._move(policies.RESERVED, quantity, at=at, order_id=order_id)

    def release(self, quantity: int, *, order_id: UUID, at: datetime) -> None:
        """Move back from reserved to available: the order was cancelled."""
        self._move(policies.RELEASED, quantity, at=at, order_id=order_id)

    def ship(self, quantity: int, *, order_id: UUID, at: datetime) -> None:
        """Take what was reserved out: it left for the buyer."""
        self._move(policies.SHIPPED, quantity, at=at, order_id=order_id)

    def take_back(self, quantity: int, *, order_id: UUID, at: datetime) -> None:
        """Add what came back from the buyer of an order."""
        self._move(policies.RETURNED, quantity, at=at, order_id=order_id)

    def announce(self) -> None:
        """Record the quantities, and whether anything is left to sell, though nothing changed."""
        self._announce_quantities()
        self.record(self._availability())

    def _move(self, kind: str, quantity: int, **cause: Any) -> None:
        had_some = self.available > 0
        available, reserved = policies.EFFECTS[kind]
        self.available += available * quantity
        self.reserved += reserved * quantity
        self.attach(StockMovement(sku=self.sku, kind=kind, quantity=quantity, **cause))
        self._announce_quantities()
        # Of a transaction that empties the item and fills it again nobody needs to hear.
        if had_some != (self.available > 0) and not self.forget(StockDepleted, StockReplenished):
            self.record(self._availability())

    def _announce_quantities(self) -> None:
        self.record_latest(StockChanged(sku=self.sku, available=self.available, reserved=self.reserved))

    def _availability(self) -> StockDepleted | StockReplenished:
        return StockReplenished(sku=self.sku) if self.available > 0 else StockDepleted(sku=self.sku)


class StockMovement(models.Model):
    """A line of the ledger: one change of a stock item, and its cause. Never changed or deleted."""

    class Kind(models.TextChoices):
        RECEIVED = policies.RECEIVED
        RESERVED = policies.RESERVED
        RELEASED = policies.RELEASED
        SHIPPED = policies.SHIPPED
        RETURNED = policies.RETURNED
        ADJUSTED = policies.ADJUSTED

    sku = models.CharField("SKU", max_length=64)
    kind = models.CharField(max_length=10, choices=Kind)
    quantity = models.BigIntegerField()
    order_id = models.UUIDField("order", null=True, blank=True)
    at = models.DateTimeField()
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(fields=("sku", "id"), name="inventory_movement_sku"),
            models.Index(fields=("sku", "kind", "id"), name="inventory_movement_kind"),
        )
        constraints = (
            models.UniqueConstraint(
                fields=("order_id", "sku", "kind"),
                condition=models.Q(order_id__isnull=False) & ~models.Q(kind="returned"),  # one for each return
                name="inventory_movement_once_each",
            ),
            models.CheckConstraint(
                condition=models.Q(order_id__isnull=False)
                | ~models.Q(kind__in=("reserved", "released", "shipped", "returned")),
                name="inventory_movement_order",
            ),
            models.CheckConstraint(
                condition=(models.Q(kind="adjusted") & ~models.Q(quantity=0)) | models.Q(quantity__gt=0),
                name="inventory_movement_quantity",
            ),
            models.CheckConstraint(
                condition=models.Q(quantity__lte=policies.MAX_MOVEMENT), name="inventory_movement_size"
            ),
            models.CheckConstraint(
                condition=models.Q(quantity__gte=-policies.MAX_MOVEMENT), name="inventory_movement_size_down"
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.quantity} × {self.sku}"


class IdempotencyKey(idempotency.IdempotencyKey): ...


class Outbox(messaging.Outbox): ...


class OutboxEvent(messaging.OutboxEvent): ...


class Fence(messaging.Fence): ...


class Subscription(messaging.Subscription): ...


class Cursor(messaging.Cursor): ...


class Generation(messaging.Generation): ...


class DeadLetter(messaging.DeadLetter): ...


class LetterRetry(messaging.LetterRetry): ...
