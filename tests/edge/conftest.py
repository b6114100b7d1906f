"""A web server behind a proxy that ends TLS and whoever visits it; caches that are away; what was logged."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.servers.basehttp import ThreadedWSGIServer
from django.core.wsgi import get_wsgi_application
from django.test import override_settings

from tests.edge.browsing import Visitor
from tests.edge.proxies import Certificate, caddy, nginx, small
from tests.harness import Shop
from tests.journeys.web import QuietHandler, running


class Requests(list[tuple[str, str]]):
    """The client's address and scheme of each request, as the pages see them."""

    def noted(self, application: Callable[..., Any]) -> Callable[..., Any]:
        def answer(environ: dict[str, Any], start_response: Any) -> Any:
            response = application(environ, start_response)
            self.append((environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]))
            return response

        return answer


@contextmanager
def serving(application: Callable[..., Any]) -> Iterator[int]:
    server = ThreadedWSGIServer(("127.0.0.1", 0), QuietHandler)
    server.daemon_threads = False  # each closes its databases' connections before we go on
    server.set_app(application)
    with running(server) as port:
        yield port


@pytest.fixture
def shop(running_shop: Shop) -> Shop:
    return running_shop


@pytest.fixture
def requests() -> Requests:
    return Requests()


@pytest.fixture
def upstream(shop: Shop, requests: Requests, settings: Any) -> Iterator[int]:
    """The port of a shop as the docs have it behind HTTPS."""
    settings.TRUSTED_PROXY = ["127.0.0.1"]
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.SECURE_HSTS_SECONDS = 3600
    with serving(requests.noted(get_wsgi_application())) as port:
        yield port


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(params=[small, nginx, caddy], ids=lambda proxy: proxy.__name__)
def visitor(request: Any, upstream: int, certificate: Certificate, tmp_path: Path) -> Iterator[Visitor]:
    """Somebody before each of the proxies."""
    with ExitStack() as running:
        port = running.enter_context(request.param(upstream, certificate, tmp_path))
        yield Visitor(f"https://localhost:{port}", certificate.client_context())


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
