"""Behind a proxy that ends TLS, everything works over HTTPS: sign-in, dialogs, page links, cookies."""

import http.client
import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.edge.browsing import Visitor
from tests.edge.conftest import Requests
from tests.edge.proxies import Certificate, caddy
from tests.harness import Shop


@pytest.fixture
def boss(visitor: Visitor) -> Visitor:
    User.objects.create_superuser("boss", password="long enough")
    assert visitor.sign_in("boss", "long enough").url == f"{visitor.base}/admin/"
    return visitor


def test_a_dialog_opens_and_does_what_it_says_behind_https(boss: Visitor, shop: Shop) -> None:
    shop.sell("phone", stock=3)
    page = boss.get("/admin/inventory/stockitem/phone/change/")
    address = next(value for value in page.attributes("hx-get") if "receive" in value)
    dialog = boss.get(address, HX_Request="true")
    (form,) = dialog.attributes("hx-post")
    assert form.startswith("/admin/")
    boss.submit(dialog, form, _form_submitted="on", quantity="4")
    assert shop.stock("phone") == (7, 0)


def test_page_links_lead_on_behind_https(boss: Visitor, shop: Shop) -> None:
    for sku in ("a", "b", "c"):
        shop.sell(sku)
    listed, address = [], "/api/catalogue/products/?page_size=1"
    while address:
        page = json.loads(boss.get(address).text)
        listed += [product["sku"] for product in page["results"]]
        address = page["next"]
        assert address is None or address.startswith(f"{boss.base}/api/")
    assert listed == ["a", "b", "c"]


def test_no_cookie_and_no_later_visit_goes_over_plain_http(boss: Visitor) -> None:
    assert {cookie.name for cookie in boss.cookies} >= {"sessionid", "csrftoken"}
    assert all(cookie.secure for cookie in boss.cookies)
    assert boss.get("/admin/").headers["Strict-Transport-Security"] == "max-age=3600"


def test_every_address_in_the_admin_is_https_or_relative(boss: Visitor, shop: Shop) -> None:
    shop.sell("phone", stock=1)
    for address in ("/admin/", "/admin/inventory/stockitem/", "/admin/inventory/stockitem/phone/change/", "/api/docs/"):
        assert "http://localhost" not in boss.get(address).text


@pytest.mark.skipif(sys.platform == "darwin", reason="127.0.0.2 is no address there")
def test_the_client_is_who_asked_the_proxy_whatever_it_claims(visitor: Visitor, requests: Requests) -> None:
    port = int(visitor.base.rpartition(":")[2])
    address = ("127.0.0.2", 0)  # no proxy is there
    client = http.client.HTTPSConnection("localhost", port, context=visitor.context, source_address=address)
    for claim in ({}, {"X-Forwarded-For": "203.0.113.9, 127.0.0.1", "X-Forwarded-Proto": "http"}):
        client.request("GET", "/livez", headers=claim)
        client.getresponse().read()
    client.close()
    assert requests == [("127.0.0.2", "https")] * 2


def test_caddy_passes_no_header_that_a_wsgi_server_would_take_for_its_own(
    certificate: Certificate, tmp_path: Path
) -> None:
    passed: list[str] = []

    class Upstream(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            passed.extend(self.headers)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        with caddy(server.server_address[1], certificate, tmp_path) as port:
            visitor = Visitor(f"https://localhost:{port}", certificate.client_context())
            client = http.client.HTTPSConnection("localhost", port, context=visitor.context)
            client.request("GET", "/", headers={"X_Forwarded_For": "203.0.113.9", "x_forwarded_proto": "http"})
            assert client.getresponse().status == 204
            client.close()
        server.shutdown()
    assert "X-Forwarded-For" in passed
    assert not [name for name in passed if "_" in name]


def test_a_dialog_works_behind_a_proxy_that_nobody_told_the_shop_of(shop: Shop, client: Client) -> None:
    """Its form's address is relative: the browser knows better."""
    shop.sell("phone", stock=3)
    client.force_login(User.objects.create_superuser("boss"))
    headers = {"HX-Request": "true", "X-Forwarded-Proto": "https"}
    page = client.get("/admin/inventory/stockitem/phone/change/").content.decode()
    address = next(found for found in re.findall(r'hx-get="([^"]*)"', page) if "receive" in found)
    assert f'hx-post="{address}"' in client.get(address, headers=headers).content.decode()


def test_page_links_are_relative_where_the_scheme_is_only_claimed(shop: Shop, client: Client) -> None:
    for sku in ("a", "b"):
        shop.sell(sku)
    client.force_login(User.objects.create_superuser("boss"))
    page = client.get("/api/catalogue/products/?page_size=1", headers={"X-Forwarded-Proto": "https"}).json()
    assert page["next"].startswith("/api/catalogue/products/?")
    assert [product["sku"] for product in client.get(page["next"]).json()["results"]] == ["b"]
    assert client.get("/api/catalogue/products/?page_size=1").json()["next"].startswith("http://testserver/")
