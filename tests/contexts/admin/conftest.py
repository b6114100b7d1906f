"""A browser without a screen: somebody who is logged in to the admin of a shop."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from tests.harness import Shop


class Browser:
    """Somebody at the admin's pages; ``model`` is ``app_label_model``."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.client = Client(raise_request_exception=True)
        self.client.force_login(user)

    def url(self, model: str, page: str = "changelist", pk: object = None) -> str:
        return reverse(f"admin:{model}_{page}", args=[] if pk is None else [quote(str(pk))])

    def listed(self, model: str, query: str = "") -> Any:
        return self.client.get(self.url(model) + query)

    def opened(self, model: str, pk: object) -> Any:
        return self.client.get(self.url(model, "change", pk))

    def save(self, model: str, pk: object = None, **fields: Any) -> Any:
        """Send a form, for a new row if there is no key."""
        url = self.url(model, "add") if pk is None else self.url(model, "change", pk)
        return self.client.post(url, fields, follow=True)

    def press(self, model: str, button: str, pk: object = None, **fields: Any) -> Any:
        """Open a button's dialog, fill it in and send it."""
        url = self.url(model, button, pk)
        opened = self.client.get(url)
        assert opened.status_code == 200, opened.status_code
        return self.client.post(url, {"_form_submitted": "on", **fields}, headers={"HX-Request": "true"})

    def select(self, model: str, action: str, *pks: object, **fields: Any) -> Any:
        """Run an action on some rows of a list."""
        data = {"action": action, "_selected_action": [str(pk) for pk in pks], **fields}
        return self.client.post(self.url(model), data, follow=True)

    def messages(self) -> list[str]:
        """What the next page says on top."""
        return [str(message) for message in self.client.get(reverse("admin:index")).context["messages"]]


@pytest.fixture
def boss(shop: Shop) -> Browser:
    """Somebody who may do everything."""
    return Browser(User.objects.create_superuser("boss"))


@pytest.fixture
def staff(shop: Shop) -> Callable[..., Browser]:
    """Makes somebody with the permissions named, such as ``view_order``, and no others."""

    def make(*names: str) -> Browser:
        user = User.objects.create_user("staff", is_staff=True)
        found = Permission.objects.filter(codename__in=names)
        assert set(found.values_list("codename", flat=True)) == set(names)
        user.user_permissions.set(found)
        return Browser(user)

    return make
