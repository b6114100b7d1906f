"""The roles of the staff: Django groups of model permissions, which the API and the admin check."""

from django.contrib.auth.models import Group, Permission
from django.db import transaction

from shop.messaging.contexts import contexts

OPERATIONS = {
    "outboxevent": ("view_outboxevent",),
    "subscription": ("view_subscription", "change_subscription"),
    "fence": ("view_fence",),
    "cursor": ("view_cursor", "change_cursor"),
    "deadletter": ("view_deadletter", "change_deadletter"),
    "letterretry": ("view_letterretry",),
}
"""What the role ``operations`` may do with a context's machinery, by the model that the context has. ``support`` may
look at it."""


class PermissionsMissing(RuntimeError):
    """A role names permissions that are not in the database: run ``manage.py migrate`` first."""


def roles() -> dict[str, tuple[str, ...]]:
    """Return the permissions of each role, as the contexts declare them, and what those of the machinery may do."""
    wanted: dict[str, list[str]] = {}
    for app in contexts():
        for role, names in app.roles.items():
            wanted.setdefault(role, []).extend(f"{app.label}.{name}" for name in names)
        operations = [name for model, names in OPERATIONS.items() if model in app.models for name in names]
        support = [name for name in operations if name.startswith("view_")]
        for role, granted in (("operations", operations), ("support", support)):
            wanted.setdefault(role, []).extend(f"{app.label}.{name}" for name in granted)
    return {role: tuple(permissions) for role, permissions in wanted.items()}


def ensure_roles() -> dict[str, Group]:
    """Create a group for each role, with at least its permissions; return the groups by name. Idempotent.

    :raises PermissionsMissing: before the first migration.
    """
    with transaction.atomic(using="default"):
        return {name: _ensure_role(name, permissions) for name, permissions in roles().items()}


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
