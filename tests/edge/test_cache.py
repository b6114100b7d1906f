"""The shared cache, and limits counted in it: across threads and processes, and while it is away."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.cache import caches
from django.test import override_settings

from shop import cache
from shop.local.servers.addresses import CHECKOUT, broker_url, cache_url
from shop.throttling import Limit, OwnCounters, Rate, admit, key_of_address, take_back
from tests.harness import eventually, in_background

NOBODY = "redis://127.0.0.1:1/0"

needs_a_shared_cache = pytest.mark.skipif(not settings.CACHE_URL, reason="the broker is no Redis")


def limit(number: int = 3, seconds: int = 60) -> Limit:
    return Limit(uuid4().hex, Rate(number, seconds))


def admitted(times: int, *limits: Limit) -> int:
    return [admit(*limits) for _ in range(times)].count(0)


# --- Limits ---------------------------------------------------------------------------------------


def test_so_many_are_admitted_in_a_window_and_the_next_are_told_how_long_to_wait() -> None:
    three = limit(3, seconds=60)
    assert [admit(three) for _ in range(3)] == [0, 0, 0]
    assert 59 < admit(three) <= 60


@pytest.mark.parametrize("url", [settings.CACHE_URL or NOBODY, NOBODY], ids=["shared", "away"])
def test_a_window_ends(url: str, cache_at: Callable[[str], None]) -> None:
    cache_at(url)
    one = limit(1, seconds=1)
    assert admitted(2, one) == 1
    eventually(lambda: admit(one) == 0)


@needs_a_shared_cache
def test_of_many_at_the_same_instant_none_slips_through() -> None:
    five, together = limit(5), Barrier(20)

    def act() -> float:
        together.wait()
        return admit(five)

    assert [each.result() for each in [in_background(act) for _ in range(20)]].count(0) == 5


@pytest.mark.parametrize("url", [settings.CACHE_URL or NOBODY, NOBODY], ids=["shared", "away"])
def test_what_one_key_refuses_counts_under_no_other(url: str, cache_at: Callable[[str], None]) -> None:
    cache_at(url)
    member, address = limit(2), limit(5)
    assert admitted(10, member, address) == 2
    assert admitted(10, address) == 3


@pytest.mark.parametrize("url", [settings.CACHE_URL or NOBODY, NOBODY], ids=["shared", "away"])
def test_what_is_taken_back_counts_no_longer(url: str, cache_at: Callable[[str], None]) -> None:
    cache_at(url)
    one = limit(1)
    for _ in range(3):
        assert admit(one) == 0
        take_back(one)
    take_back(one)  # nothing is left to take back
    assert admitted(3, one) == 1


@needs_a_shared_cache
def test_a_limit_holds_across_processes() -> None:
    two = limit(2)
    code = (
        "import django; django.setup(); from shop.throttling import Limit, Rate, admit\n"
        f"limit = Limit({two.key!r}, Rate(2, 60)); print(admit(limit), admit(limit))"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    child = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, env=environment, text=True, capture_output=True, check=True
    )
    assert child.stdout == "0.0 0.0\n"
    assert admit(two) > 0


@needs_a_shared_cache
def test_deployments_with_prefixes_of_their_own_count_apart() -> None:
    one = limit(1)
    assert admitted(2, one) == 1
    default = settings.CACHES["default"]
    with override_settings(CACHES={"default": default | {"KEY_PREFIX": "staging-shop"}}):
        assert admitted(2, one) == 1


def test_without_a_shared_cache_each_process_counts() -> None:
    with override_settings(CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}):
        assert admitted(5, limit(3)) == 3


def test_a_process_forgets_the_oldest_of_what_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shop.throttling.OWN_COUNTERS", 10)
    counters = OwnCounters()
    for number in range(50):
        counters.admit([(str(number), Rate(1, 60))])
    assert counters.admit([("49", Rate(1, 60))]) > 0
    assert counters.admit([("0", Rate(1, 60))]) == 0


@pytest.mark.parametrize(
    ("text", "rate"), [("30/m", Rate(30, 60)), ("10/15m", Rate(10, 900)), ("1/2d", Rate(1, 172_800)), ("off", None)]
)
def test_a_rate_is_written_as_so_many_within_a_time(text: str, rate: Rate | None) -> None:
    assert Rate.parse(text) == rate


@pytest.mark.parametrize("text", ["", "30", "0/m", "3/0m", "-1/m", "3/w", "3/m ", "3.5/m", "٣/m", "1/99999d"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a rate"):
        Rate.parse(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8::1", "2001:db8::ffff:2"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("", "nonsense"),
        ("fe80::1%eth0", "fe80::2"),
    ],
)
def test_addresses_that_one_client_may_have_count_as_one(one: str, other: str) -> None:
    assert key_of_address(one) == key_of_address(other)
    assert key_of_address("10.0.0.1") != key_of_address("10.0.0.2")
    assert key_of_address("2001:db8::1") != key_of_address("2001:db8:0:1::1")


# --- While it is away -----------------------------------------------------------------------------


def test_a_cache_that_never_answers_costs_one_time_out_and_one_line(
    silence: str, cache_at: Callable[[str], None], logged: Callable[[str], list[Any]]
) -> None:
    cache_at(silence)
    three = limit(3)
    began = time.monotonic()
    assert admitted(1000, three) == 3
    assert time.monotonic() - began < 20  # a thousand time-outs would take minutes
    assert len(logged("cache away: each process counts for itself")) == 1


def test_what_is_kept_is_kept_in_the_process_while_the_cache_is_away(cache_at: Callable[[str], None]) -> None:
    cache_at(NOBODY)
    shared = caches["default"]
    shared.set("colour", "red", 60)
    assert (shared.get("colour"), shared.add("colour", "blue"), shared.get("size", 7)) == ("red", False, 7)


@needs_a_shared_cache
def test_a_cache_that_answers_again_is_used_again(
    tmp_path: Path, cache_at: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, logged: Callable[[str], list[Any]]
) -> None:
    if not settings.CACHE_URL.startswith("unix:"):
        pytest.skip("the cache has no socket that could be hidden")
    monkeypatch.setattr(cache, "PAUSE", 0.01)
    real = settings.CACHE_URL.partition("?")[0].removeprefix("unix://").rpartition("@")[2]
    socket = tmp_path / "cache.sock"
    cache_at(settings.CACHE_URL.replace(real, str(socket)))
    one = limit(1)
    assert admitted(2, one) == 1
    socket.symlink_to(real)
    assert eventually(lambda: logged("cache answers again"))
    assert admitted(2, one) == 1  # counted anew, where others count


@needs_a_shared_cache
def test_what_others_wrote_into_the_cache_is_never_run() -> None:
    shared: Any = caches["default"]
    shared.set("list", [1, "two"])
    assert shared.get("list") == [1, "two"]
    pickled = b"cos\nsystem\n(S'true'\ntR."
    shared.client.get_client(write=True).set(shared.make_key("evil"), pickled)
    with pytest.raises(ValueError, match="Expecting value"):
        shared.get("evil")


# --- Where it is ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broker", "url"),
    [
        ("redis://redis.example:6379/3", "redis://redis.example:6379/3"),
        ("redis://:s%2Fecret@redis.example/0", "redis://:s%2Fecret@redis.example/0"),
        (
            "rediss://user:pw@host:6380/0?ssl_cert_reqs=CERT_REQUIRED",
            "rediss://user:pw@host:6380/0?ssl_cert_reqs=required",
        ),
        ("redis://one/0;redis://two/0", "redis://one/0"),
        ("redis+socket:///run/redis.sock?virtual_host=2", "unix:///run/redis.sock?db=2"),
        ("redis+socket://:pw@/run/redis.sock", "unix://:pw@/run/redis.sock?db=0"),
        ("unix:///run/redis.sock?db=4", "unix:///run/redis.sock?db=4"),
        ("amqp://user:pw@rabbit/shop", ""),
        ("sentinel://host:26379/0", ""),
    ],
)
def test_the_cache_is_on_the_brokers_server_where_that_is_one(broker: str, url: str) -> None:
    assert cache_url(broker, "elsewhere") == url


def test_the_embedded_one_is_another_database_of_the_brokers_server() -> None:
    found = cache_url(broker_url("elsewhere"), "elsewhere")
    assert found.startswith("unix://")
    assert "db=1" in found
