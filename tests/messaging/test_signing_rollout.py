"""Signatures are rolled out, and keys rotated, while everything runs; what is left to do is said."""

import os
import subprocess
import sys
from typing import Any

import pytest
from django.core.checks import run_checks

from shop.local.servers import addresses
from shop.messaging import signing

OLD, NEW = "an old key of 32 characters: 1234", "a new key of 32 characters: 5678"


def sent_with(settings: Any, keys: list[str]) -> dict[str, Any]:
    """A message of a process with these keys."""
    settings.MESSAGE_KEYS = keys
    message = {"source": "inventory", "cursor": 1}
    return message | signing.signature_of("task", message)


def test_while_they_are_rolled_out_signatures_are_verified_if_present(settings: Any) -> None:
    unsigned_one, signed_one = sent_with(settings, []), sent_with(settings, [NEW])
    settings.MESSAGE_KEYS, settings.MESSAGE_SIGNATURES = [], "verify"
    assert signing.is_trusted("task", signed_one), "by a process that has no key yet"
    settings.MESSAGE_KEYS = [NEW]
    assert signing.is_trusted("task", signed_one)
    assert signing.is_trusted("task", unsigned_one)
    assert not signing.is_trusted("task", signed_one | {"cursor": 2})
    settings.MESSAGE_SIGNATURES = "require"
    assert not signing.is_trusted("task", unsigned_one)


def test_that_unsigned_messages_still_come_is_said_once_a_minute(
    settings: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing, "_reminded", {})
    settings.MESSAGE_KEYS = [NEW]
    assert all(signing.is_trusted("task", {"cursor": 1}) for _ in range(3))
    assert [record.msg["event"] for record in caplog.records] == ["unsigned messages come"]


def test_keys_are_rotated_without_a_message_refused(settings: Any) -> None:
    settings.MESSAGE_SIGNATURES = "require"
    for before, after in (([OLD], [OLD, NEW]), ([OLD, NEW], [NEW, OLD]), ([NEW, OLD], [NEW])):
        for sender, receiver in ((before, after), (after, before)):
            message = sent_with(settings, sender)
            settings.MESSAGE_KEYS = receiver
            assert signing.is_trusted("task", message), (sender, receiver)
    message = sent_with(settings, [OLD])
    settings.MESSAGE_KEYS = [NEW]
    assert not signing.is_trusted("task", message)


def test_check_deploy_says_what_is_left_to_do(settings: Any) -> None:
    def warned() -> set[str | None]:
        return {each.id for each in run_checks(include_deployment_checks=True) if str(each.id).startswith("messaging.")}

    settings.MESSAGE_KEYS = []
    assert warned() == {"messaging.W001"}
    settings.MESSAGE_KEYS = [NEW]
    assert warned() == {"messaging.W002"}
    settings.MESSAGE_SIGNATURES = "require"
    assert warned() == set()


def settings_with(**environment: str) -> str:
    """What the shop's settings say about signatures in that environment; the last line of the error if they refuse."""
    kept = {name: value for name, value in os.environ.items() if name not in ("BROKER_URL", "MESSAGE_KEYS")}
    code = "from shop import settings; print(settings.MESSAGE_SIGNATURES, len(settings.MESSAGE_KEYS))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=addresses.CHECKOUT, env=kept | environment, capture_output=True, text=True
    )
    return (done.stdout or done.stderr).splitlines()[-1]


def test_with_the_embedded_broker_signatures_are_required_and_elsewhere_once_there_are_keys_and_it_is_said() -> None:
    elsewhere = {"BROKER_URL": "redis://elsewhere"}
    assert settings_with() == settings_with(MESSAGE_SIGNATURES="verify") == "require 1"
    assert settings_with(**elsewhere) == "verify 0"
    assert settings_with(**elsewhere, MESSAGE_KEYS=f"{NEW}, {OLD}", MESSAGE_SIGNATURES="require") == "require 2"


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"MESSAGE_KEYS": f"{NEW},"}, "32 characters"),
        ({"MESSAGE_KEYS": "x"}, "32 characters"),
        ({"MESSAGE_SIGNATURES": "require"}, "needs MESSAGE_KEYS"),
        ({"MESSAGE_SIGNATURES": "maybe"}, "Must be one of: verify, require"),
    ],
    ids=str,
)
def test_settings_that_would_sign_with_nothing_are_refused(environment: dict[str, str], says: str) -> None:
    refusal = settings_with(BROKER_URL="redis://elsewhere", **environment)
    assert says in refusal
    assert NEW not in refusal
