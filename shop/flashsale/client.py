"""The shop as its clients see it."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import aiohttp

ANSWER_LIMIT = 30  # seconds for one answer
PATIENCE = 120  # seconds of trying again, until the shop counts as away
PAUSE = (0.1, 2.0)  # seconds before the second try, doubled before each further one; and at the most


class ShopError(Exception):
    """The shop is away, or does not let us in."""


@dataclass(frozen=True)
class Answer:
    """What came back in the end."""

    status: int
    body: Any
    retry_after: float = 0
    """Seconds, of a 429."""

    @property
    def codes(self) -> set[str]:
        """Of a refusal: its code, and those of its lines."""
        if not isinstance(self.body, dict):
            return {str(self.status)}
        lines = self.body.get("lines", ())
        return {str(self.body.get("code", self.status)), *(line.get("code", "") for line in lines)} - {""}


class Client:
    """Requests, sent again until they are answered.

    :param member_tokens: buyers take turns with them.
    """

    def __init__(
        self, session: aiohttp.ClientSession, base_url: str, *, staff_token: str, member_tokens: Sequence[str]
    ) -> None:
        self._session = session
        self._base_url = base_url.rstrip("/")
        self._staff_token = staff_token
        self.members = member_tokens
        self._turns: Iterator[str] = cycle(member_tokens)
        self.retries = 0

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, base_url: str, *, staff_token: str, member_tokens: Sequence[str], connections: int
    ) -> "AsyncIterator[Client]":
        """With at most so many connections at once."""
        connector = aiohttp.TCPConnector(limit=connections)
        timeout = aiohttp.ClientTimeout(total=ANSWER_LIMIT)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            yield cls(session, base_url, staff_token=staff_token, member_tokens=member_tokens)

    def next_member(self) -> str:
        """A token."""
        return next(self._turns)

    async def order(self, sku: str, *, token: str, key: str) -> Answer:
        """Order one piece."""
        return await self.place([{"sku": sku, "quantity": 1}], token=token, key=key)

    async def place(self, lines: Sequence[Mapping[str, Any]], *, token: str, key: str) -> Answer:
        """Order these lines: ``sku`` and ``quantity`` of each."""
        body, headers = {"lines": lines}, {"Idempotency-Key": key}
        return await self.call("POST", "/api/orders/", token=token, body=body, headers=headers)

    async def add_product(self, sku: str, **fields: Any) -> None:
        """Add it, once: a second try may find that the first one arrived."""
        answer = await self.call("POST", "/api/catalogue/products/", body={"sku": sku, **fields})
        if answer.status != 201 and "product_exists" not in answer.codes:
            raise ShopError(f"The product was not added: {answer.body}")

    async def receive(self, sku: str, quantity: int) -> None:
        """Have so much of a new product in stock. It is not sent again before a look at what arrived."""
        path = f"/api/inventory/stock/{sku}/receive/"
        while (await self.stock(sku))["available"] < quantity:
            try:
                answer = await self._once("POST", path, self._staff_token, {"quantity": quantity}, {})
            except (aiohttp.ClientError, TimeoutError):
                continue
            if 400 <= answer.status < 500:
                raise ShopError(f"The stock was not received: {answer.body}")

    async def stock(self, sku: str) -> dict[str, Any]:
        """``available`` and ``reserved``; none of what is not known yet."""
        answer = await self.call("GET", f"/api/inventory/stock/{sku}/")
        if answer.status == 404:
            return {"sku": sku, "available": 0, "reserved": 0}
        return self.expected(answer)

    async def orders(self, **filters: str) -> AsyncIterator[dict[str, Any]]:
        """Everyone's orders, newest first, page by page."""
        async for order in self._listed("/api/orders/", {"page_size": "500", **filters}):
            yield order

    async def reservations(self, sku: str) -> AsyncIterator[dict[str, Any]]:
        """The movements of a product from available to reserved, newest first, page by page."""
        async for movement in self._listed(f"/api/inventory/stock/{sku}/movements/", {"kind": "reserved"}):
            yield movement

    async def _listed(self, path: str, query: dict[str, str]) -> AsyncIterator[dict[str, Any]]:
        page = self.expected(await self.call("GET", path, query=query))
        while True:
            for row in page["results"]:
                yield row
            if page["next"] is None:
                return
            page = self.expected(await self.call("GET", page["next"]))

    async def call(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        body: Any = None,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send a request, as staff unless a token is given, until it is answered by other than a 5xx or a 429.

        A 429 says how long to wait: buyers take turns with a few members, who order more often than people do.

        :raises ShopError: when nothing comes of it for ``PATIENCE`` seconds, or the token is refused.
        """
        limit = time.monotonic() + PATIENCE
        pause = PAUSE[0]
        while True:
            wait = 0.0
            try:
                answer = await self._once(method, path, token or self._staff_token, body, headers or {}, query)
                if answer.status in (401, 403):
                    raise ShopError(f"{method} {path}: {answer.body}")
                if answer.status < 500 and answer.status != 429:
                    return answer
                reason, wait = f"{answer.status} {answer.body}", answer.retry_after
            except (aiohttp.ClientError, TimeoutError) as error:
                reason = repr(error)
            if time.monotonic() > limit:
                raise ShopError(f"{method} {path}: no answer for {PATIENCE} s, last: {reason}")
            self.retries += 1
            await asyncio.sleep(wait + pause * random.uniform(0.5, 1.5))
            pause = min(2 * pause, PAUSE[1])

    async def _once(
        self,
        method: str,
        path: str,
        token: str,
        body: Any,
        headers: dict[str, str],
        query: dict[str, str] | None = None,
    ) -> Answer:
        url = path if path.startswith("http") else self._base_url + path
        headers = {"Authorization": f"Token {token}", **headers}
        async with self._session.request(method, url, json=body, params=query, headers=headers) as response:
            text = await response.text()
        try:
            content = json.loads(text)
        except ValueError:
            content = text[:200]
        wait = response.headers.get("Retry-After", "") if response.status == 429 else ""
        return Answer(response.status, content, float(wait) if wait.isdecimal() else 0)

    @staticmethod
    def expected(answer: Answer) -> dict[str, Any]:
        """Return the body of a 200. :raises ShopError: if it is anything else."""
        if answer.status != 200:
            raise ShopError(f"Not the answer that was expected: {answer.status} {answer.body}")
        body: dict[str, Any] = answer.body
        return body
