"""A web server, and a member who uses it."""

from collections.abc import Iterator

import pytest
from django.core.servers.basehttp import ThreadedWSGIServer

from shop.wsgi import application
from tests.harness import Shop
from tests.journeys.web import QuietHandler, Web, running


@pytest.fixture
def shop(running_shop: Shop) -> Shop:
    return running_shop


@pytest.fixture
def web(shop: Shop) -> Iterator[Web]:
    server = ThreadedWSGIServer(("127.0.0.1", 0), QuietHandler)
    server.set_app(application)
    with running(server) as port:
        yield Web(port)


@pytest.fixture
def ada(web: Web, shop: Shop) -> Web:
    """A member, in a shop that sells a phone, of which there are three."""
    member = shop.member()
    shop.sell("phone", price=500, stock=3)
    shop.drain()
    return web.as_(member)
