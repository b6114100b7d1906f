"""The web process: reads requests without threads, and hands whole ones to a WSGI application in a bounded pool.

Whatever the pool does, ``/livez`` is answered, and a body that comes slowly, or never, holds up nobody. Overload is
answered with 503 and Retry-After. See docs/adr/0028-web-process.md.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from shop.logs import get_logger
from shop.web.bodies import Bodies, ClientLeft
from shop.web.bridge import Answer, Scope, Send, environ_of
from shop.web.refusals import Refused
from shop.web.threads import Threads

log = get_logger(__name__)

ALIVE = b'{"status": "alive"}'
ALIVE_HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", str(len(ALIVE)).encode()),
    (b"cache-control", b"no-store"),
]


class WebProcess:
    """An ASGI application around a WSGI application."""

    def __init__(self, application: Any, *, bodies: Bodies, threads: Threads) -> None:
        self.application = application
        self.bodies = bodies
        self.threads = threads

    async def __call__(self, scope: Scope, receive: Callable[[], Awaitable[dict[str, Any]]], send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise ValueError(f"only HTTP is served here, not {scope['type']}")
        if scope["path"] == "/livez" and scope["method"] in ("GET", "HEAD"):
            await send({"type": "http.response.start", "status": 200, "headers": ALIVE_HEADERS})
            await send({"type": "http.response.body", "body": ALIVE})
            return
        try:
            body = await self.bodies.read(scope["headers"], receive)
            try:
                answer = Answer(self.application, environ_of(scope, body), send)
                rest = await self.threads.run(answer.work_out)
            finally:
                self.bodies.release(len(body))
        except Refused as refused:
            log.warning("request refused", method=scope["method"], path=scope["path"], status=refused.status)
            for message in refused.answer():
                await send(message)
        except ClientLeft:
            log.info("client left", method=scope["method"], path=scope["path"])
        else:
            await answer.send_rest(rest)
