"""A web server, and a member who uses it."""

from collections.abc import Iterator
from threading import Thread

import pytest
from django.core.servers.basehttp import ThreadedWSGIServer

from shop.wsgi import application
from tests.harness import Shop
from tests.journeys.web import QuietHandler, Web


@pytest.fixture
def web(shop: Shop) -> Iterator[Web]:
    server = ThreadedWSGIServer(("127.0.0.1", 0), QuietHandler)
    server.set_app(application)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield Web(server.server_address[1])
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def ada(web: Web, shop: Shop) -> Web:
    """A member, in a shop that sells a phone, of which there are three."""
    member = shop.member()
    shop.sell("phone", price=500, stock=3)
    shop.drain()
    return web.as_(member)
