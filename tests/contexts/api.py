"""What tests of the API hold it by."""

from typing import Any

from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token
from rest_framework.response import Response
from rest_framework.test import APIClient

from shop.console.roles import ensure_roles
from shop.members.models import Member


def client_of(user: User | Member | None = None) -> APIClient:
    """A client with the user's token; without one, a stranger's."""
    client = APIClient()
    if isinstance(user, Member):
        user = user.user
    if user is not None:
        token, _ = Token.objects.get_or_create(user=user)
        client.credentials(HTTP_AUTHORIZATION=f"Token {token.key}")
    return client


def staff(*roles: str) -> APIClient:
    """A client of a user who is no member, in those roles."""
    user = User.objects.create_user("-".join(roles), is_staff=True)
    user.groups.set([ensure_roles()[role] for role in roles])
    return client_of(user)


def is_problem(response: Any, status: int, code: str) -> bool:
    """Whether the answer is that problem, as RFC 9457 has it. Shown whole when it is not."""
    assert response["Content-Type"] == "application/problem+json", response.content
    found = response.json()
    assert found.keys() >= {"type", "title", "status", "detail", "code"}, found
    assert (response.status_code, found["status"], found["code"]) == (status, status, code), found
    assert found["detail"], found
    return True


def paths(response: Response) -> list[str]:
    """The fields that an answer finds fault with."""
    return [error["path"] for error in response.json()["errors"]]
