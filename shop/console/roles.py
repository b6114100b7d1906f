"""The roles of the staff, as Django groups of model permissions: what the API and the admin go by."""

from collections.abc import Mapping

from django.contrib.auth.models import Group, Permission
from django.db import transaction

MACHINERY = (
    *(
        f"{label}.{act}"
        for label in ("members", "catalogue", "orders", "inventory")
        for act in ("view_outboxevent", "view_subscription")
    ),
    *(
        f"{label}.{act}"
        for label in ("orders", "inventory", "readmodel")
        for act in ("view_cursor", "change_cursor", "view_deadletter", "change_deadletter", "view_letterretry")
    ),
)

ROLES: Mapping[str, tuple[str, ...]] = {
    "catalogue": ("catalogue.view_product", "catalogue.add_product", "catalogue.change_product"),
    "stock": (
        "inventory.view_stockitem",
        "inventory.change_stockitem",
        "inventory.view_stockmovement",
        "inventory.view_claim",
    ),
    "orders": ("orders.view_order", "orders.change_order", "inventory.view_claim"),
    "operations": MACHINERY,
}


class PermissionsMissing(RuntimeError):
    """A role names permissions that are not in the database: run ``manage.py migrate`` first."""


def ensure_roles() -> dict[str, Group]:
    """Have a group for each role, with its permissions at least; the groups by name. Harmless to repeat.

    :raises PermissionsMissing: before the first migration.
    """
    with transaction.atomic(using="default"):
        return {name: _ensure_role(name, permissions) for name, permissions in ROLES.items()}


def _ensure_role(name: str, permissions: tuple[str, ...]) -> Group:
    group, _ = Group.objects.get_or_create(name=name)
    codenames = [permission.partition(".")[2] for permission in permissions]
    candidates = Permission.objects.select_related("content_type").filter(codename__in=codenames)
    found = {f"{each.content_type.app_label}.{each.codename}": each for each in candidates}
    missing = [permission for permission in permissions if permission not in found]
    if missing:
        raise PermissionsMissing(f"role {name!r} needs {', '.join(missing)}: run `manage.py migrate` first")
    group.permissions.add(*(found[permission] for permission in permissions))
    return group
