"""Beyond this machine nobody gets in by what everybody knows."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.test import override_settings

from shop.exposure import fault_of, is_loopback
from shop.local.seed import seed
from shop.local.servers.addresses import CHECKOUT, instance_folder
from shop.local.servers.binaries import ServerError
from shop.local.stack import reach
from tests.harness import Shop
from tests.local.test_interrupts import interrupts as signals_kept

STRONG = "kFz8qWn3tRy6uPe1sXd4gHj7lMb0vCa9"

before = signals_kept  # a fixture: the command takes signals over


def in_production(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in a process of its own, under the shop's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"DJANGO_SETTINGS_MODULE": "shop.settings", "PATH": path, "SHOP_INSTANCE": "test-exposure"}
    return subprocess.run(words, cwd=CHECKOUT, env={**kept, **own, **environment}, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True), ("localhost", True), ("::1", True), ("[::1]", True), ("127.9.9.9", True),
        ("0.0.0.0", False), ("::", False), ("192.0.2.1", False), ("shop.example", False), ("", False), ("*", False),
        ("localhost.example", False), ("127.0.0.1.example", False),
    ],
)  # fmt: skip
def test_a_host_is_this_machine_only_if_nobody_else_reaches_it(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    "key", ["", "x", "a" * 64, "abcd" * 16, STRONG[:31], "only-for-a-stack-on-one-machine-whatever-it-is"]
)
def test_a_key_that_can_be_guessed_has_a_fault(key: str) -> None:
    assert "secrets.token_urlsafe" in (fault_of(key) or "")
    assert fault_of(STRONG) is None


def test_with_names_beyond_this_machine_a_short_key_is_refused() -> None:
    refused = in_production(
        sys.executable, "manage.py", "check", SECRET_KEY="x", ALLOWED_HOSTS="localhost,shop.example"
    )
    assert refused.returncode != 0
    assert "ALLOWED_HOSTS goes beyond this machine, but the SECRET_KEY can be guessed" in refused.stderr


def test_a_stack_that_others_reach_does_not_start_with_the_key_that_everybody_knows() -> None:
    refused = in_production(sys.executable, "manage.py", "up", "--host", "0.0.0.0")
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert "Others can reach 0.0.0.0, but everybody knows the SECRET_KEY" in line
    assert not (instance_folder("test-exposure") / "up.lock").exists()  # nothing was begun


def test_a_stack_that_others_reach_does_not_start_with_the_sample_logins(shop: Shop, before: object) -> None:
    with override_settings(SECRET_KEY=STRONG), pytest.raises(CommandError, match="changepassword admin"):
        call_command("up", host="0.0.0.0")


def test_once_the_password_was_changed_others_may_reach_it(shop: Shop) -> None:
    with pytest.raises(ServerError, match="changepassword admin"):
        reach.check_logins("192.0.2.1", seed())
    reach.check_logins("127.0.0.1", seed())
    admin = User.objects.get(username="admin")
    admin.set_password("a-long-and-odd-one")
    admin.save()
    logins = seed()
    reach.check_logins("192.0.2.1", logins)
    assert logins["admin"]["password"] is None


def test_a_stack_says_which_limits_it_raises_and_raises_none_that_are_set_or_that_others_meet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in reach.RAISED:
        monkeypatch.setenv(name, "5/m")
        monkeypatch.delenv(name)
    said: list[str] = []
    reach.raise_limits("0.0.0.0", said.append)
    assert not said
    monkeypatch.setenv("ORDERS_PER_MEMBER", "7/m")
    reach.raise_limits("127.0.0.1", said.append)
    assert os.environ["ORDERS_PER_MEMBER"] == "7/m"
    assert os.environ["ORDERS_PER_ADDRESS"] == reach.RAISED["ORDERS_PER_ADDRESS"]
    assert "ORDERS_PER_ADDRESS=60000/m" in said[0]
    assert "ORDERS_PER_MEMBER" not in said[0]


def test_the_documented_production_settings_pass_every_deployment_check() -> None:
    page = (CHECKOUT / "docs" / "operations.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"<!-- production -->\n```sh\n(.*?)```", page, re.DOTALL)
    checked = in_production("bash", "-ec", f"{block}\npython manage.py check --deploy --fail-level WARNING")
    assert checked.returncode == 0, checked.stderr
    assert "no issues" in checked.stdout


def test_a_deployment_check_asks_for_a_shared_cache() -> None:
    with override_settings(CACHE_URL=""):
        assert "shop.W001" in {message.id for message in run_checks(tags=["caches"], include_deployment_checks=True)}


def test_a_cache_that_is_none_is_refused_by_name() -> None:
    refused = in_production(sys.executable, "manage.py", "check", CACHE_URL="memcached://host")
    assert refused.returncode != 0
    assert "CACHE_URL is no URL of a Redis or Valkey" in refused.stderr
