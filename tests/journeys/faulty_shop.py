"""A shop that speaks the API and can be told to go wrong, to see whether a sale notices."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from aiohttp import web

PAGE = 7  # orders


@dataclass
class FaultyShop:
    """It decides each order at once, first come, first served. The flags are its faults."""

    forgets_keys: bool = False
    """A repeated request is another order."""
    loses_answers: int = 0
    """So many orders are accepted, and the connection is cut before the answer."""
    fails: int = 0
    """So many requests for an order are answered by 503."""
    throttles: int = 0
    """So many requests for an order are answered by 429, to be sent again after a second."""
    oversells: int = 0
    """Pieces more than there are."""
    never_decides: int = 0
    """So many orders stay open."""
    sells_out: bool = False
    """An order of what is sold out is refused at once."""
    hears_late: int = 0
    """So many times the product is unknown to the orders."""
    opens_late: int = 0
    """So many times the product is still sold out for the orders."""
    stock: dict[str, dict[str, Any]] = field(default_factory=dict)
    orders: list[dict[str, Any]] = field(default_factory=list)
    by_key: dict[str, dict[str, Any]] = field(default_factory=dict)
    reserved_at: list[str] = field(default_factory=list)
    looks: int = 0
    """At the list of orders."""

    def application(self) -> web.Application:
        application = web.Application()
        application.add_routes(
            [
                web.post("/api/catalogue/products/", self.add_product),
                web.get("/api/inventory/stock/{sku}/", self.show_stock),
                web.post("/api/inventory/stock/{sku}/receive/", self.receive),
                web.get("/api/inventory/stock/{sku}/movements/", self.movements),
                web.post("/api/orders/", self.place),
                web.get("/api/orders/", self.list),
            ]
        )
        return application

    async def add_product(self, request: web.Request) -> web.Response:
        return web.json_response(await request.json(), status=201)

    async def show_stock(self, request: web.Request) -> web.Response:
        item = self.stock.get(request.match_info["sku"])
        return web.json_response(item or {"code": "not_found"}, status=200 if item else 404)

    async def receive(self, request: web.Request) -> web.Response:
        sku = request.match_info["sku"]
        self.stock[sku] = {"sku": sku, "available": (await request.json())["quantity"], "reserved": 0}
        return web.json_response(self.stock[sku])

    async def movements(self, request: web.Request) -> web.Response:
        assert request.query["kind"] == "reserved"
        return web.json_response({"next": None, "results": [{"at": at} for at in reversed(self.reserved_at)]})

    async def place(self, request: web.Request) -> web.Response:
        key, sku = request.headers["Idempotency-Key"], (await request.json())["lines"][0]["sku"]
        if self.hears_late:
            self.hears_late -= 1
            return self._refused(sku, "unknown_product")
        if self.opens_late:
            self.opens_late -= 1
            return self._refused(sku, "sold_out")
        if self.fails:
            self.fails -= 1
            return web.json_response({"code": "unavailable"}, status=503)
        if self.throttles:
            self.throttles -= 1
            return web.json_response({"code": "throttled"}, status=429, headers={"Retry-After": "1"})
        if self.sells_out and not self.stock[sku]["available"]:
            return self._refused(sku, "sold_out")
        order = self.by_key.get(key)
        if order is None or self.forgets_keys:
            order = self.by_key[key] = self._decided(sku)
        if self.loses_answers:
            self.loses_answers -= 1
            assert request.transport is not None
            request.transport.close()
        return web.json_response(order, status=202)

    async def list(self, request: web.Request) -> web.Response:
        self.looks += 1
        after = datetime.fromisoformat(request.query["placed_after"])
        newest = [order for order in reversed(self.orders) if datetime.fromisoformat(order["placed_at"]) > after]
        start = int(request.query.get("cursor", 0))
        more = request.url.update_query(cursor=start + PAGE) if len(newest) > start + PAGE else None
        return web.json_response({"next": more and str(more), "results": newest[start : start + PAGE]})

    def _decided(self, sku: str) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat()
        order = {"id": str(uuid4()), "placed_at": now, "decided_at": None, "status": "open", "lines": [{"sku": sku}]}
        self.orders.append(order)
        if self.never_decides:
            self.never_decides -= 1
            return order
        item = self.stock[sku]
        filled = item["available"] > -self.oversells
        if filled:
            item["available"] -= 1
            item["reserved"] += 1
            self.reserved_at.append(now)
        order |= {"status": "confirmed" if filled else "cancelled", "decided_at": now}
        return order

    @staticmethod
    def _refused(sku: str, code: str) -> web.Response:
        return web.json_response({"code": "order_refused", "lines": [{"sku": sku, "code": code}]}, status=422)
