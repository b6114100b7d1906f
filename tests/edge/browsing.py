"""A browser of few words: it keeps cookies, follows redirects and links, and sends forms as browsers do."""

import re
import ssl
from html import unescape
from http.client import HTTPResponse
from http.cookiejar import CookieJar
from urllib.parse import urlencode, urljoin
from urllib.request import (
    HTTPCookieProcessor,
    HTTPErrorProcessor,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    Request,
)


class Visitor:
    """It can speak TLS and nothing else, so that an address with ``http`` leads nowhere, as ``OpenerDirector`` says."""

    def __init__(self, base: str, context: ssl.SSLContext) -> None:
        self.base, self.context, self.cookies = base, context, CookieJar()
        self._opener = OpenerDirector()
        handlers = (
            HTTPSHandler(context=context),
            HTTPCookieProcessor(self.cookies),
            HTTPRedirectHandler(),
            HTTPErrorProcessor(),
        )
        for handler in handlers:
            self._opener.add_handler(handler)

    def get(self, address: str, **headers: str) -> "Page":
        return self._open(Request(urljoin(self.base, address), headers=_named(headers)))

    def submit(self, page: "Page", address: str, **fields: str) -> "Page":
        """Send a form of a page, with its token, as a browser does: with the page's origin."""
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token, "the page has no form"
        data = urlencode({"csrfmiddlewaretoken": token[1], **fields}).encode()
        return self._open(Request(urljoin(page.url, address), data, {"Origin": self.base, "Referer": page.url}))

    def sign_in(self, username: str, password: str) -> "Page":
        form = self.get("/admin/login/?next=/admin/")
        return self.submit(form, form.url, username=username, password=password)

    def _open(self, request: Request) -> "Page":
        response = self._opener.open(request, timeout=30)
        assert response is not None, f"{request.full_url} is not HTTPS"
        return Page(response)


class Page:
    """What came back."""

    def __init__(self, response: HTTPResponse) -> None:
        self.url, self.status, self.headers = response.url, response.status, response.headers
        with response:
            self.text = response.read().decode()

    def attributes(self, name: str) -> list[str]:
        """The values of all attributes of a name."""
        return [unescape(value) for value in re.findall(rf'\s{name}="([^"]*)"', self.text)]


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
