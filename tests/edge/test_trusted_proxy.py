"""What is forwarded counts if a trusted proxy said it, and is nothing at all if anybody else did."""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from hypothesis import given
from hypothesis import strategies as st

from shop.proxy import SAID, Trusted, TrustedProxy, parsed

EDGE, INNER, CLIENT, LIAR = "10.0.0.1", "10.0.0.2", "198.51.100.7", "203.0.113.9"
PROXIES = Trusted.parse(["10.0.0.0/24", "2001:db8::1", "unix"])


def seen(peer: str, *, trusted: Trusted = PROXIES, **said: str) -> tuple[str, str]:
    """The client and the scheme of a request over plain HTTP."""
    middleware = TrustedProxy(lambda request: HttpResponse())
    middleware.trusted = trusted
    request = HttpRequest()
    request.META = {"REMOTE_ADDR": peer, "wsgi.url_scheme": "http"}
    request.META |= {f"HTTP_X_FORWARDED_{name.upper()}": value for name, value in said.items()}
    middleware(request)
    assert not request.META.keys() & set(SAID), "nobody reads it a second time"
    return request.META["REMOTE_ADDR"], request.META["wsgi.url_scheme"]


@pytest.mark.parametrize(
    ("peer", "said", "expected"),
    [
        (EDGE, {"for": CLIENT, "proto": "https"}, (CLIENT, "https")),
        (EDGE, {"for": CLIENT}, (CLIENT, "http")),
        (EDGE, {"proto": "https"}, (EDGE, "https")),
        # What the client claims stands to the left of what the proxy appends.
        (EDGE, {"for": f"{LIAR}, {CLIENT}", "proto": "https, http"}, (CLIENT, "http")),
        (EDGE, {"for": f"{LIAR}, {EDGE}, {CLIENT}"}, (CLIENT, "http")),
        # Two proxies: both append, or the inner one passes on what the edge said.
        (INNER, {"for": f"{LIAR}, {CLIENT}, {EDGE}", "proto": "http, https, http"}, (CLIENT, "https")),
        (INNER, {"for": f"{CLIENT}, {EDGE}", "proto": "https"}, (CLIENT, "https")),
        # Somebody in the proxies' own network.
        (EDGE, {"for": "10.0.0.77", "proto": "https"}, ("10.0.0.77", "https")),
        # Ports, brackets, zones, and IPv4 in IPv6's clothes.
        (EDGE, {"for": f"{CLIENT}:4711"}, (CLIENT, "http")),
        (EDGE, {"for": "[2001:db8::7]:4711"}, ("2001:db8::7", "http")),
        (EDGE, {"for": "2001:DB8:0::7"}, ("2001:db8::7", "http")),
        (EDGE, {"for": "fe80::7%eth0"}, ("fe80::7", "http")),
        (EDGE, {"for": f"::ffff:{CLIENT}"}, (CLIENT, "http")),
        (f"::ffff:{EDGE}", {"for": CLIENT, "proto": "https"}, (CLIENT, "https")),
        ("2001:db8::1", {"for": CLIENT, "proto": "https"}, (CLIENT, "https")),
        # A unix socket: its peers have no address.
        ("", {"for": CLIENT, "proto": "https"}, (CLIENT, "https")),
        ("unix:", {"for": CLIENT, "proto": "https"}, (CLIENT, "https")),
        # Nonsense: what is known for sure remains.
        (EDGE, {"for": "unknown", "proto": "gopher"}, (EDGE, "http")),
        (EDGE, {"for": f"{CLIENT}, unknown"}, (EDGE, "http")),
        (INNER, {"for": f"unknown, {EDGE}", "proto": "https, http"}, (EDGE, "https")),
        (EDGE, {"for": ", ,", "proto": ","}, (EDGE, "http")),
        (EDGE, {"for": "999.1.1.1", "proto": "HTTPS"}, (EDGE, "https")),
    ],
)
def test_a_trusted_proxy_is_believed(peer: str, said: dict[str, str], expected: tuple[str, str]) -> None:
    assert seen(peer, **said) == expected


@pytest.mark.parametrize("peer", [CLIENT, "2001:db8::2", "10.0.1.1", "somewhere", "10.0.0.1.example"])
def test_nobody_else_is_believed(peer: str) -> None:
    assert seen(peer, proto="https", **{"for": LIAR}, host="evil.example") == (peer, "http")


@pytest.mark.parametrize("peer", [EDGE, "127.0.0.1", "", "unix:"])
def test_by_default_nobody_is_believed(peer: str) -> None:
    assert seen(peer, trusted=Trusted.parse([]), proto="https", **{"for": LIAR}) == (peer, "http")


@given(st.text(st.sampled_from('0123456789abcdef.:,[]%" \x00xunknow/é'), max_size=60), st.text(max_size=20))
def test_whatever_is_forwarded_the_client_is_an_address_and_the_scheme_is_one_of_two(claim: str, proto: str) -> None:
    address, scheme = seen(EDGE, **{"for": claim}, proto=proto)
    assert parsed(address) is not None
    assert address == str(parsed(address)), "one way to write each"
    assert scheme in ("http", "https")


@given(st.lists(st.sampled_from([LIAR, EDGE, INNER, "unknown", ""]), max_size=5))
def test_a_client_cannot_change_who_it_is_by_claiming_more(claims: list[str]) -> None:
    assert seen(EDGE, **{"for": ", ".join([*claims, CLIENT])})[0] == CLIENT


@pytest.mark.parametrize("text", ["example.com", "10.0.0.1/8", "0.0.0.0/0", "::/0", "*", ""])
def test_a_setting_that_names_nobody_or_everybody_is_refused_at_the_start(text: str, settings: Any) -> None:
    settings.TRUSTED_PROXY = [text]
    with pytest.raises(ImproperlyConfigured, match=r"^TRUSTED_PROXY .*\.$"):
        TrustedProxy(lambda request: HttpResponse())


def test_a_warning_names_who_forwards_and_is_not_believed_once(caplog: pytest.LogCaptureFixture) -> None:
    middleware = TrustedProxy(lambda request: HttpResponse())
    for _ in range(3):
        middleware.correct({"REMOTE_ADDR": CLIENT, "HTTP_X_FORWARDED_FOR": LIAR})
    assert [record.getMessage() for record in caplog.records] == [
        f"X-Forwarded headers of {CLIENT} are ignored: it is not in TRUSTED_PROXY"
    ]
