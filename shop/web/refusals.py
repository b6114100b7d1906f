"""Requests that never reach Django, answered as problem documents like any other error."""

import json
from typing import Any

from shop.api import problems

CODES = {408: "body_too_slow", 413: "payload_too_large", 503: "overloaded"}


class Refused(Exception):
    """The request is not handed to the application; says why, and what the client can do."""

    def __init__(self, status: int, detail: str, *, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry_after = retry_after

    def answer(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the ASGI messages of the answer. The connection ends with it: a body may be half read."""
        document = problems.document(self.status, code=CODES[self.status], detail=self.detail)
        body = json.dumps(document).encode()
        headers = [
            (b"content-type", problems.MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        if self.retry_after is not None:
            headers.append((b"retry-after", str(self.retry_after).encode()))
        start = {"type": "http.response.start", "status": self.status, "headers": headers}
        return start, {"type": "http.response.body", "body": body}
