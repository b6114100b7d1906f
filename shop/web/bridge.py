"""Answers a complete ASGI request by a WSGI application, in the thread that calls it.

Django's WSGI handler costs a fraction of its ASGI handler per request, since its views and middleware are synchronous.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

BUFFER = 1_000_000  # bytes of an answer that are gathered before a thread waits for its reader
SEND_SECONDS = 10  # that a reader may take for a piece of a longer answer


def environ_of(scope: Scope, body: bytes) -> dict[str, Any]:
    """Return the WSGI environment of a request.

    Headers with an underscore are left out: in the environment they would pass for those with a hyphen, which a proxy
    has checked or set.
    """
    host, port = scope.get("server") or ("localhost", 80)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope.get("raw_path") or scope["path"].encode()).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or 80),
        "REMOTE_ADDR": scope["client"][0] if scope.get("client") else "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for raw, value in scope["headers"]:
        if b"_" in raw:
            continue
        name = f"HTTP_{raw.decode('latin-1').upper().replace('-', '_')}"
        text = value.decode("latin-1")
        if name in environ:
            text = f"{environ[name]}{'; ' if raw == b'cookie' else ','}{text}"
        environ[name] = text
    environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
    environ["CONTENT_LENGTH"] = str(len(body))
    for name in ("HTTP_CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"):  # the body is whole, whatever they said
        environ.pop(name, None)
    return environ


class Answer:
    """A WSGI application's answer to one request: gathered up to a bound, and sent piece by piece beyond it."""

    def __init__(self, application: Any, environ: dict[str, Any], send: Send) -> None:
        self.application = application
        self.environ = environ
        self.send = send
        self.loop = asyncio.get_running_loop()
        self.start: dict[str, Any] = {}
        self.is_streamed = False

    def work_out(self) -> bytes:
        """Call the application; return the body, or the rest of it that was not sent. Runs in a thread."""
        chunks: list[bytes] = []
        size = 0
        answer: Iterable[bytes] = self.application(self.environ, self._start_response)
        try:
            for chunk in answer:
                chunks.append(chunk)
                size += len(chunk)
                if size > BUFFER:
                    self._stream(b"".join(chunks))
                    chunks, size = [], 0
        finally:
            if hasattr(answer, "close"):
                answer.close()
        return b"".join(chunks)

    async def send_rest(self, body: bytes) -> None:
        """Send what :meth:`work_out` returned."""
        if not self.is_streamed:
            await self.send(self.start)
        await self.send({"type": "http.response.body", "body": body})

    def _stream(self, chunk: bytes) -> None:
        if not self.is_streamed:
            self.is_streamed = True
            self._send_and_wait(self.start)
        self._send_and_wait({"type": "http.response.body", "body": chunk, "more_body": True})

    def _send_and_wait(self, message: dict[str, Any]) -> None:
        """:raises TimeoutError: if the reader takes too long."""
        asyncio.run_coroutine_threadsafe(_coroutine(self.send(message)), self.loop).result(SEND_SECONDS)

    def _start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        encoded: Headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        self.start = {"type": "http.response.start", "status": int(status.split(" ", 1)[0]), "headers": encoded}


async def _coroutine(awaitable: Awaitable[None]) -> None:
    await awaitable
