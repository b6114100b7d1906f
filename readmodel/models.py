"""The read model's tables: everyone's events, joined beforehand for queries."""

from django.db import models

from shop.messaging import models as messaging


class MemberName(models.Model):
    """A member's name; blank until the members context has announced it."""

    member_id = models.BigIntegerField(primary_key=True)
    name = models.CharField(max_length=150, blank=True)

    def __str__(self) -> str:
        return self.name


class Renaming(models.Model):
    """A member whose many orders are being given its new name piece by piece, and how far that has come."""

    member_id = models.BigIntegerField(primary_key=True)
    placed_at = models.DateTimeField("done up to the order placed at", null=True, blank=True)
    order_id = models.UUIDField("done up to the order", null=True, blank=True)

    def __str__(self) -> str:
        return str(self.member_id)


class OrderView(models.Model):
    """An order as lists show it, with the names of its member and its products."""

    id = models.UUIDField(primary_key=True)
    member_id = models.BigIntegerField()
    member_name = models.CharField(max_length=150, blank=True)
    status = models.CharField(max_length=10)
    total = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    lines = models.JSONField()
    reason = models.JSONField(null=True, blank=True)
    placed_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    history = models.JSONField()

    class Meta:
        ordering = ("-placed_at", "-id")
        indexes = (
            models.Index(fields=("member_id", "placed_at", "id"), name="readmodel_order_member"),
            models.Index(fields=("placed_at", "id"), name="readmodel_order_placed"),
            models.Index(
                fields=("placed_at", "id"), name="readmodel_order_shown", condition=~models.Q(status="cancelled")
            ),
            models.Index(fields=("status", "placed_at", "id"), name="readmodel_order_status"),
        )

    def __str__(self) -> str:
        return str(self.pk)


class Cursor(messaging.Cursor): ...


class Generation(messaging.Generation): ...


class DeadLetter(messaging.DeadLetter): ...


class LetterRetry(messaging.LetterRetry): ...
