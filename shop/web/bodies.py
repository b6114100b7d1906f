"""Reads a request's body whole, before a thread is taken for it: bounded in bytes and in time.

However slowly it comes, it holds no thread, and all that are being read share a bound, so that many large ones cannot
fill the memory. A chunked body is read like any other; Django gets its length.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from shop.web.refusals import Refused

Receive = Callable[[], Awaitable[dict[str, Any]]]

RETRY_AFTER = 1  # seconds


class ClientLeft(Exception):
    """The client closed the connection before its request was complete."""


class Bodies:
    """The bodies that are being read, or wait for a thread, in this process."""

    def __init__(self, *, limit: int, total: int, seconds: float) -> None:
        """Bound one body to ``limit`` bytes and ``seconds``, and all that are held at once to ``total`` bytes."""
        self.limit = limit
        self.total = total
        self.seconds = seconds
        self.held = 0  # bytes

    async def read(self, headers: Iterable[tuple[bytes, bytes]], receive: Receive) -> bytes:
        """Read a body; its bytes count as held until :meth:`release`.

        :raises Refused: 413 if it is too large, 408 if it is too slow, 503 if too many are being read.
        :raises ClientLeft: if it never came whole.
        """
        length = next((value for name, value in headers if name == b"content-length"), b"0")
        if length.isdigit() and int(length) > self.limit:
            raise self._too_large()
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.seconds):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise ClientLeft
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    self.held += len(chunk)
                    if size > self.limit:
                        raise self._too_large()
                    if self.held > self.total:
                        raise Refused(503, "Too many requests at once; try again.", retry_after=RETRY_AFTER)
                    chunks.append(chunk)
                    if not message.get("more_body"):
                        return b"".join(chunks)
        except TimeoutError:
            self.release(size)
            raise Refused(408, f"The body did not arrive within {self.seconds:g} s.") from None
        except BaseException:
            self.release(size)
            raise

    def release(self, size: int) -> None:
        """Forget a body of ``size`` bytes."""
        self.held -= size

    def _too_large(self) -> Refused:
        return Refused(413, f"The body is larger than {self.limit} bytes.")
