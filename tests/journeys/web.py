"""A client of a real web server: sockets, threads, and JSON."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from socketserver import BaseServer
from threading import Thread
from typing import Any

from django.contrib.auth.models import User
from django.core.servers.basehttp import WSGIRequestHandler
from rest_framework.authtoken.models import Token

from shop.members.models import Member


class QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def running(server: BaseServer) -> Iterator[int]:
    """Serve on a thread meanwhile; the server's port."""
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True)
class Web:
    """A client of the server, with a token or a stranger's."""

    port: int
    headers: dict[str, str] = field(default_factory=dict)

    def as_(self, user: User | Member) -> "Web":
        """The same server, as somebody."""
        token, _ = Token.objects.get_or_create(user=user.user if isinstance(user, Member) else user)
        return Web(self.port, {"Authorization": f"Token {token.key}"})

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[HTTPResponse, Any]:
        """The answer, and its JSON."""
        sent = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, sent | {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        return response, json.loads(text) if text else None

    def place(self, sku: str, quantity: int, **headers: str) -> tuple[HTTPResponse, Any]:
        return self.ask("POST", "/api/orders/", {"lines": [{"sku": sku, "quantity": quantity}]}, **headers)
