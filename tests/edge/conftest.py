"""Caches that are away, and what was logged."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import override_settings


@pytest.fixture
def silence() -> Iterator[str]:
    """The URL of a cache that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


@pytest.fixture
def cache_at() -> Iterator[Callable[[str], None]]:
    """Looks for the shared cache at another URL."""
    changed = []

    def move(url: str) -> None:
        settings = override_settings(CACHES={"default": {"BACKEND": "shop.cache.SharedCache", "LOCATION": [url]}})
        settings.enable()
        changed.append(settings)

    yield move
    for settings in reversed(changed):
        settings.disable()


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[str], list[dict[str, Any]]]:
    """The fields of each line that was logged with these words."""

    def lines(words: str) -> list[dict[str, Any]]:
        found = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
        return [line for line in found if line["event"] == words]

    return lines
