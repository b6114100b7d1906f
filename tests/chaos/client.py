"""A buyer and a shopkeeper over HTTP."""

import json
import time
import urllib.error
import urllib.request
from typing import Any
from uuid import uuid4


class Client:
    """Calls the API of a running web server."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(self, method: str, path: str, token: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of the answer."""
        request = urllib.request.Request(
            self.base_url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Token {token}", "Content-Type": "application/json", **headers},
        )
        try:
            with self._direct.open(request, timeout=30) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def place(self, token: str, *lines: tuple[str, int]) -> str:
        """Place an order that must be accepted; its id."""
        wanted = [{"sku": sku, "quantity": quantity} for sku, quantity in lines]
        status, order = self.call("POST", "/api/orders/", token, {"lines": wanted}, **{"Idempotency-Key": uuid4().hex})
        assert status == 202, order
        return str(order["id"])

    def order(self, token: str, order_id: str) -> Any:
        """An order as its member sees it."""
        status, order = self.call("GET", f"/api/orders/{order_id}/", token)
        assert status == 200, order
        return order

    def await_web(self, within: float = 30) -> None:
        """Until the web server takes connections."""
        limit = time.monotonic() + within
        while True:
            try:
                self._direct.open(self.base_url + "/livez", timeout=5).close()
                return
            except OSError:
                assert time.monotonic() < limit, "no web server"
                time.sleep(0.1)
