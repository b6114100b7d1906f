"""The web process holds against clients that are slow, many or large: through a real server, on real sockets."""

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from http.client import HTTPConnection, HTTPResponse
from threading import Event as Signal
from threading import Thread
from typing import Any

import pytest
from django.db import connections
from granian.constants import Interfaces
from granian.server.embed import Server
from rest_framework.authtoken.models import Token

from orders.models import Order
from shop.web.bodies import Bodies
from shop.web.bridge import BUFFER
from shop.web.process import WebProcess
from shop.web.threads import Threads
from shop.wsgi import application as django
from tests.harness import Shop, eventually

BODY_SECONDS = 1.0
LIMIT = 100_000
THREADS, QUEUE = 2, 3

Start = Callable[[str, list[tuple[str, str]]], object]


class Served:
    """A web process around Django, except under ``/gate``, where requests wait for :attr:`gate` to open."""

    def __init__(self) -> None:
        self.gate = Signal()
        self.inside = 0
        self.environ: dict[str, Any] = {}
        self.bodies = Bodies(limit=LIMIT, total=3 * LIMIT, seconds=BODY_SECONDS)
        self.threads = Threads(threads=THREADS, queue=QUEUE, seconds=20)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])

    def application(self, environ: dict[str, Any], start: Start) -> Any:
        self.environ = environ
        match environ["PATH_INFO"]:
            case "/gate":
                self.inside += 1
                assert self.gate.wait(20)
                self.inside -= 1
                start("200 OK", [("Content-Length", "0")])
                return [b""]
            case "/echo":
                body = environ["wsgi.input"].read()
                start("200 OK", [("Content-Length", str(len(body)))])
                return [body]
            case "/long":
                start("200 OK", [("Content-Type", "text/plain")])
                return (b"x" * 1000 for _ in range(3 * BUFFER // 1000))
        try:
            return django(environ, start)  # type: ignore[arg-type]
        finally:
            connections.close_all()

    def holds(self, requests: int) -> bool:
        """Whether so many requests wait for the gate."""
        return self.inside == requests

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[HTTPResponse, bytes]:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, sent, encode_chunked=not isinstance(body, bytes | None))
            response = connection.getresponse()
            return response, response.read()

    def connect(self, request: bytes = b"") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.sendall(request)
        return connection


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    process = WebProcess(served.application, bodies=served.bodies, threads=served.threads)
    ready: Future[tuple[asyncio.AbstractEventLoop, Server]] = Future()

    async def serve() -> None:
        server = Server(
            process,
            port=served.port,
            interface=Interfaces.ASGINL,
            websockets=False,
            log_enabled=False,
            backpressure=5000,
        )
        ready.set_result((asyncio.get_running_loop(), server))
        await server.serve()

    thread = Thread(target=asyncio.run, args=[serve()])
    thread.start()
    loop, server = ready.result(10)
    eventually(lambda: _answers(served))
    yield served
    served.gate.set()
    loop.call_soon_threadsafe(server.stop)
    thread.join(20)
    assert not thread.is_alive()


def _answers(served: Served) -> bool:
    try:
        return served.ask("GET", "/livez")[0].status == 200
    except OSError:
        return False


def started(method: str, path: str, *headers: str) -> bytes:
    """A request up to its body's first byte, of a hundred that never come."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Content-Length: 100", *headers, "", "{"]
    return "\r\n".join(lines).encode()


def test_slow_bodies_and_idle_connections_hold_up_nobody(served: Served, shop: Shop) -> None:
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(served.connect())
            stack.enter_context(served.connect(started("POST", "/api/orders/")))
        assert served.ask("GET", "/livez")[0].status == 200
        assert served.ask("GET", "/api/members/me/")[0].status == 401


def test_a_body_that_does_not_arrive_is_refused_and_its_connection_closed(served: Served) -> None:
    with served.connect(started("POST", "/api/orders/")) as slow:
        answer = b"".join(iter(lambda: slow.recv(4096), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert json.loads(body) == {
        "type": "about:blank",
        "title": "Request Timeout",
        "status": 408,
        "detail": "The body did not arrive within 1 s.",
        "code": "body_too_slow",
    }
    assert served.bodies.held == 0


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused_while_it_is_read(served: Served, chunked: bool) -> None:
    body = b"x" * (LIMIT + 1)
    response, text = served.ask("POST", "/echo", iter([body]) if chunked else body)
    assert (response.status, json.loads(text)["code"]) == (413, "payload_too_large")
    assert served.bodies.held == 0
    assert served.environ.get("PATH_INFO") != "/echo"


def test_large_bodies_together_have_a_bound(served: Served) -> None:
    with ExitStack() as stack:
        head = f"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LIMIT}\r\n\r\n".encode()
        for _ in range(3):
            stack.enter_context(served.connect(head + b"x" * (LIMIT - 1)))
        eventually(lambda: served.bodies.held == 3 * (LIMIT - 1))
        response, _ = served.ask("POST", "/echo", b"xxxx")
        assert (response.status, response.headers["Retry-After"]) == (503, "1")
    eventually(lambda: served.bodies.held == 0)
    assert served.ask("POST", "/echo", b"xxxx")[1] == b"xxxx"


def test_a_chunked_body_reaches_the_application_whole(served: Served, shop: Shop) -> None:
    response, body = served.ask("POST", "/echo", iter([b"ab", b"cd"]))
    assert (response.status, body, served.environ["CONTENT_LENGTH"]) == (200, b"abcd", "4")
    assert "HTTP_TRANSFER_ENCODING" not in served.environ


def test_overload_is_refused_at_once_and_heals_at_once(served: Served) -> None:
    with ThreadPoolExecutor(THREADS + QUEUE) as clients:
        waiting = [clients.submit(served.ask, "GET", "/gate") for _ in range(THREADS + QUEUE)]
        eventually(lambda: (served.inside, served.threads.waiting) == (THREADS, QUEUE))
        response, text = served.ask("GET", "/gate")
        assert (response.status, response.headers["Retry-After"], json.loads(text)["code"]) == (503, "1", "overloaded")
        assert served.ask("GET", "/livez")[0].status == 200
        served.gate.set()
        assert [future.result()[0].status for future in waiting] == [200] * (THREADS + QUEUE)
    assert served.ask("GET", "/gate")[0].status == 200


def test_a_request_waits_for_a_thread_only_for_so_long(served: Served) -> None:
    served.threads.seconds = 0.2
    with ThreadPoolExecutor(THREADS) as clients:
        taken = [clients.submit(served.ask, "GET", "/gate") for _ in range(THREADS)]
        eventually(lambda: served.inside == THREADS)
        assert served.ask("GET", "/gate")[0].status == 503
        served.gate.set()
        assert [future.result()[0].status for future in taken] == [200, 200]


def test_a_client_that_leaves_frees_nothing_that_still_works(served: Served) -> None:
    """The thread goes on; whoever comes next waits for it."""
    for taken in range(1, THREADS + 1):
        with served.connect(b"GET /gate HTTP/1.1\r\nHost: localhost\r\n\r\n"):
            eventually(partial(served.holds, taken))
    with ThreadPoolExecutor(1) as clients:
        next_one = clients.submit(served.ask, "GET", "/echo")
        eventually(lambda: served.threads.waiting == 1)
        assert not next_one.done()
        served.gate.set()
        assert next_one.result()[0].status == 200


def test_a_long_answer_is_sent_piece_by_piece(served: Served) -> None:
    response, body = served.ask("GET", "/long")
    assert (response.status, len(body)) == (200, 3 * BUFFER)


def test_a_header_with_an_underscore_does_not_pass_for_one_with_a_hyphen(served: Served) -> None:
    with served.connect(b"GET /echo HTTP/1.1\r\nHost: localhost\r\nX_Forwarded_For: 6.6.6.6\r\n\r\n") as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    assert not [name for name in served.environ if "FORWARDED" in name]


def test_orders_are_placed_through_it(served: Served, shop: Shop) -> None:
    member = shop.member()
    shop.sell("phone", price=500, stock=3)
    shop.drain()
    body = json.dumps({"lines": [{"sku": "phone", "quantity": 1}]}).encode()
    token = f"Token {Token.objects.get_or_create(user=member.user)[0].key}"
    response, _ = served.ask(
        "POST", "/api/orders/?next=%C3%A9", body, Authorization=token, Content_Type="application/json"
    )
    assert response.status == 202
    assert Order.objects.count() == 1
