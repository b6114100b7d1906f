"""Signing in with a password: it ends in the admin, and who fails too often waits."""

import time
from collections.abc import Callable, Iterator
from itertools import count
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client, override_settings

from shop.members.signin import in_words
from shop.throttling import Rate
from tests.harness import Shop, eventually, in_background

PASSWORD = "a-long-and-odd-one"

_addresses = count(1)


@pytest.fixture
def address() -> str:
    """One that no other test comes from."""
    return f"192.0.2.{next(_addresses)}"


@pytest.fixture
def boss(shop: Shop) -> Iterator[User]:
    """Somebody of whom three failed attempts are looked at, ten from everywhere, five of an address."""
    with override_settings(
        SIGN_IN_FAILURES=Rate(3, 60),
        SIGN_IN_FAILURES_PER_NAME=Rate(10, 3600),
        SIGN_IN_FAILURES_PER_ADDRESS=Rate(5, 60),
    ):
        # Its name is used by no other test, as its address.
        yield User.objects.create_superuser(f"boss-{time.monotonic_ns()}", password=PASSWORD)


def sign_in(user: User | str, password: str, address: str, **options: Any) -> Any:
    fields = {"username": user if isinstance(user, str) else user.username, "password": password}
    return Client(REMOTE_ADDR=address).post("/admin/login/", fields, **options)


def outcomes(*responses: Any) -> list[int]:
    """302: signed in; 200: wrong; 429: to wait."""
    return [response.status_code for response in responses]


# --- In -------------------------------------------------------------------------------------------


def test_signing_in_ends_in_the_admin(boss: User, address: str) -> None:
    response = sign_in(boss, PASSWORD, address, follow=True)
    assert (response.request["PATH_INFO"], response.status_code) == ("/admin/", 200)


def test_signing_in_leads_on_to_the_page_that_was_asked_for(boss: User, address: str) -> None:
    browser = Client(REMOTE_ADDR=address)
    asked = browser.get("/admin/orders/order/", follow=True)
    address_of_form = f"/admin/login/?{asked.request['QUERY_STRING']}"
    response = browser.post(address_of_form, {"username": boss.username, "password": PASSWORD})
    assert response["Location"] == "/admin/orders/order/"


def test_whoever_signs_in_often_is_never_stopped(boss: User, address: str) -> None:
    assert outcomes(*(sign_in(boss, PASSWORD, address) for _ in range(12))) == [302] * 12


def test_a_session_of_the_release_before_is_still_one(boss: User) -> None:
    browser = Client()
    browser.force_login(boss)
    assert Session.objects.get().get_decoded()["_auth_user_backend"] == "django.contrib.auth.backends.ModelBackend"
    assert browser.get("/admin/").status_code == 200


# --- Out ------------------------------------------------------------------------------------------


def test_after_too_many_failures_the_right_password_is_not_looked_at_and_the_page_says_how_long(
    boss: User, address: str
) -> None:
    assert outcomes(*(sign_in(boss, "wrong", address) for _ in range(3))) == [200] * 3
    refused = sign_in(boss, PASSWORD, address)
    assert refused.status_code == 429
    assert 50 < int(refused["Retry-After"]) <= 60
    assert "Too many failed attempts. Try again in" in refused.content.decode()
    assert not Session.objects.exists()


def test_the_owner_signs_in_from_elsewhere_meanwhile(boss: User, address: str) -> None:
    outcomes(*(sign_in(boss, "wrong", address) for _ in range(20)))
    assert outcomes(sign_in(boss, PASSWORD, "203.0.113.1")) == [302]


def test_guesses_from_many_addresses_are_stopped_too(boss: User) -> None:
    answers = [sign_in(boss, "wrong", f"198.51.100.{number}") for number in range(12)]
    assert outcomes(*answers) == [200] * 10 + [429] * 2
    assert outcomes(sign_in(boss.username.upper(), "wrong", "198.51.100.99")) == [429]


def test_guesses_at_many_names_from_one_address_are_stopped_too(boss: User, address: str) -> None:
    answers = [sign_in(f"{boss.username}-{number}", "wrong", address) for number in range(7)]
    assert outcomes(*answers) == [200] * 5 + [429] * 2


def test_of_guesses_at_the_same_instant_no_more_are_looked_at(boss: User, address: str) -> None:
    together = Barrier(12)

    def guess() -> int:
        together.wait()
        return sign_in(boss, "wrong", address).status_code

    answers = [each.result() for each in [in_background(guess) for _ in range(12)]]
    assert sorted(answers) == [200] * 3 + [429] * 9


def test_after_the_wait_the_right_password_opens(boss: User, address: str) -> None:
    with override_settings(SIGN_IN_FAILURES=Rate(1, 1)):
        assert outcomes(sign_in(boss, "wrong", address)) == [200]
        eventually(lambda: outcomes(sign_in(boss, PASSWORD, address)) == [302])


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (45, "45 s"), (90.5, "2 minutes"), (899.1, "15 minutes")])
def test_a_wait_is_never_told_too_short(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


# --- The log, and a cache that is away ------------------------------------------------------------


def test_each_failure_is_one_line_with_name_address_and_why(
    boss: User, address: str, logged: Callable[[str], list[Any]]
) -> None:
    outcomes(*(sign_in(boss, "wrong", address) for _ in range(4)))
    ada = User.objects.create_user(f"ada-{boss.username}", password=PASSWORD)
    sign_in(ada, PASSWORD, address)
    lines = [(line["user"], line["address"], line["reason"]) for line in logged("sign-in failed")]
    assert lines == [
        *[(boss.username, address, "password")] * 3,
        (boss.username, address, "too many attempts"),
        (ada.username, address, "not staff, or deactivated"),
    ]
    assert PASSWORD not in str(logged("sign-in failed"))


def test_signing_in_works_and_is_limited_while_the_cache_is_away(
    boss: User, address: str, silence: str, cache_at: Callable[[str], None]
) -> None:
    cache_at(silence)
    assert outcomes(sign_in(boss, PASSWORD, address)) == [302]
    assert outcomes(*(sign_in(boss, "wrong", address) for _ in range(4))) == [200] * 3 + [429]
