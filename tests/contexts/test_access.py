"""Each request is one line, with who asked for what and how it ended; a refusal is no more than that."""

import json
import logging
import logging.config
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpResponse
from django.test import Client
from rest_framework.authtoken.models import Token

from shop import logs
from shop.access import AccessLog, log_access
from shop.console.roles import ensure_roles
from tests.harness import Shop

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Written:
    """What the process writes to its log, with the handlers and formats that it has."""

    def __init__(self, *, access: bool = True) -> None:
        self.stream = StringIO()
        configuration = logs.configuration(level="INFO", format="json", access=access)
        for handler in configuration["handlers"].values():
            handler["stream"] = self.stream
        logging.config.dictConfig(configuration)

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines since the last look."""
        lines = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        self.stream.seek(0)
        self.stream.truncate()
        return lines


@pytest.fixture
def written() -> Iterator[Written]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield Written()
    Written()  # so that nothing is written where somebody reads
    root.handlers[:], root.level = before


def test_a_request_is_a_line_with_address_user_method_path_status_time_size_and_trace(
    shop: Shop, written: Written
) -> None:
    user = User.objects.create_user("ada")
    token = Token.objects.create(user=user)
    answer = Client(REMOTE_ADDR="192.0.2.7").get(
        "/api/orders/?search=secret",
        headers={"authorization": f"Token {token.key}", "traceparent": TRACE},
    )
    (line,) = written.lines()
    assert line.pop("ms") > 0
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "request",
        "logger": "shop.access",
        "level": "info",
        "address": "192.0.2.7",
        "user": user.pk,
        "method": "GET",
        "path": "/api/orders/",
        "status": answer.status_code,
        "bytes": len(answer.content),
        "trace": TRACE[3:35],
    }


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/admin/catalogue/product/", 403),
        ("GET", "/admin/inventory/stockitem/receive_new/", 403),
        ("GET", "/nowhere/", 404),
        ("PUT", "/api/orders/", 405),
        ("POST", "/api/orders/", 403),
    ],
)
def test_a_refusal_is_one_line_and_no_traceback(
    shop: Shop, written: Written, method: str, path: str, status: int
) -> None:
    clerk = User.objects.create_user("clerk", is_staff=True)
    clerk.groups.add(ensure_roles()["orders"])
    client = Client()
    client.force_login(clerk)
    written.lines()
    answer = client.generic(method, path)
    (line,) = written.lines()
    assert answer.status_code == status
    assert (line["status"], line["level"]) == (status, "info")
    assert "exception" not in line


def test_a_forged_host_is_a_warning_of_one_line_beside_the_request(shop: Shop, written: Written) -> None:
    assert Client().get("/api/orders/", headers={"host": "evil.example"}).status_code == 400
    warning, request = written.lines()
    assert (warning["level"], request["status"]) == ("warning", 400)
    assert "exception" not in warning


def test_health_checks_are_quiet_and_so_is_a_shop_that_wants_no_access_log(shop: Shop, written: Written) -> None:
    assert Client().get("/livez").status_code == 200
    assert written.lines() == []


def test_the_access_log_can_be_turned_off(settings: Any, written: Written) -> None:
    settings.ACCESS_LOG = False
    with pytest.raises(MiddlewareNotUsed):
        AccessLog(lambda request: HttpResponse())
    log_access(method="GET", path="/x", status=413, address="192.0.2.7", seconds=0.1)
    assert written.lines() == []


def test_a_refusal_is_still_one_line_without_the_access_log(shop: Shop, settings: Any) -> None:
    written = Written(access=False)
    settings.ACCESS_LOG = False
    assert Client().get("/nowhere/").status_code == 404
    (line,) = written.lines()
    assert line["logger"] == "django.request"
    assert "exception" not in line


def test_what_never_reached_django_is_logged_alike(written: Written) -> None:
    log_access(method="POST", path="/api/orders/", status=413, address="192.0.2.7", seconds=0.0123)
    (line,) = written.lines()
    assert (line["status"], line["ms"], "user" in line, "bytes" in line) == (413, 12.3, False, False)


def test_nothing_that_a_client_sends_can_begin_a_line_or_pass_for_a_field() -> None:
    record = logging.LogRecord("shop.access", logging.INFO, "", 0, "request", None, None)
    record.args = {"address": 'x" status=200\n\x1b[31m', "method": "GET"}
    line = logs.FieldsFormatter(format="console").format(record)
    assert line.endswith(r'shop.access: request address="x\" status=200\n\u001b[31m" method=GET')


@pytest.mark.parametrize("path", ["/a\nb", "/a b", "/\x1b[31m", "/ä", "/\udcff", "/" + "x" * 5000])
def test_a_path_is_logged_quoted_and_bounded(written: Written, path: str) -> None:
    log_access(method="GET", path=path, status=404, address="192.0.2.7", seconds=0)
    (line,) = written.lines()
    assert line["path"].isascii()
    assert line["path"].isprintable()
    assert " " not in line["path"]
    assert len(line["path"]) <= 300


def test_who_asked_is_not_looked_up_for_the_log(shop: Shop, written: Written, django_assert_num_queries: Any) -> None:
    """A session that no view looked at takes no query."""
    client = Client()
    client.force_login(User.objects.create_user("ada"))
    written.lines()
    with django_assert_num_queries(0):
        client.post("/livez")
    assert all("user" not in line for line in written.lines())
