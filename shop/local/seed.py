"""Sample data for a stack on one machine: logins, members, products and stock, made once by the contexts' services."""

from typing import TypedDict

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from rest_framework.authtoken.models import Token

from inventory.models import StockMovement
from inventory.services import receive_stock
from shop.catalogue.models import Product
from shop.catalogue.services import add_product
from shop.console.roles import ensure_roles
from shop.local.samples import MEMBERS, PRODUCTS, STOCK, member_name
from shop.members import services as members

# Known to everybody: beyond this machine a stack refuses to start with it.
ADMIN = "admin"
PASSWORD = "admin"  # noqa: S105
STAFF = "staff"


class Login(TypedDict):
    """A name and a password for the admin."""

    username: str
    password: str | None
    """None if it was changed."""


class Logins(TypedDict):
    """Accounts and tokens of the sample data."""

    admin: Login
    staff_token: str
    member_tokens: list[str]


def shown(login: Login) -> str:
    """Return a login's password as people are told it."""
    return login["password"] or "as you changed it"


def seed() -> Logins:
    """Create the sample data and return the logins. What exists is left as it is."""
    password = _have_admin()
    staff_token = _have_staff()
    member_tokens = _have_members()
    _have_products()
    _have_stock()
    return {
        "admin": {"username": ADMIN, "password": password},
        "staff_token": staff_token,
        "member_tokens": member_tokens,
    }


def _have_admin() -> str | None:
    """Return the password of the sample admin, unless it was changed."""
    admin = User.objects.filter(username=ADMIN).first() or User.objects.create_superuser(ADMIN, password=PASSWORD)
    return PASSWORD if admin.is_active and admin.check_password(PASSWORD) else None


def _have_staff() -> str:
    """Return the token of a user with every role, for the API."""
    with transaction.atomic(using="default"):
        roles = ensure_roles()
        user, _ = User.objects.get_or_create(username=STAFF, defaults={"is_staff": True})
        user.groups.add(*roles.values())
        token, _ = Token.objects.get_or_create(user=user)
    key: str = token.key
    return key


def _have_members() -> list[str]:
    """Return the tokens of the sample members, in their order."""
    usernames = [f"member{number}" for number in range(1, MEMBERS + 1)]
    tokens = _tokens_of(usernames)
    missing = [number for number, username in enumerate(usernames, start=1) if username not in tokens]
    for number in missing:
        members.join(username=f"member{number}", name=member_name(number))
    if missing:
        tokens = _tokens_of(usernames)
    return [tokens[username] for username in usernames]


def _tokens_of(usernames: list[str]) -> dict[str, str]:
    return dict(Token.objects.filter(user__username__in=usernames).values_list("user__username", "key"))


def _have_products() -> None:
    existing = set(Product.objects.filter(sku__in=PRODUCTS).values_list("sku", flat=True))
    for sku in PRODUCTS.keys() - existing:
        add_product(sku=sku, **PRODUCTS[sku])


def _have_stock() -> None:
    received = StockMovement.objects.filter(sku__in=PRODUCTS, kind=StockMovement.Kind.RECEIVED)
    for sku in PRODUCTS.keys() - set(received.values_list("sku", flat=True)):
        receive_stock(sku=sku, quantity=STOCK, note="Sample stock", at=timezone.now())
