"""What every endpoint has in common: who is asking, problems, the schema, health, the trace."""

import socket
import time
from collections.abc import Callable, Iterator

import pytest
import yaml
from django.contrib.auth.models import Group, User
from django.contrib.staticfiles import finders
from django.core.cache import caches
from django.db import connections
from django.test import Client, override_settings
from rest_framework.test import APIClient

from inventory.models import OutboxEvent
from shop.api.problems import document
from shop.cache import SharedCache
from shop.console.roles import ensure_roles, roles
from shop.tracing import is_traceparent
from tests.contexts.api import client_of, is_problem
from tests.harness import Shop

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def ada(shop: Shop) -> APIClient:
    member = shop.member()
    shop.sell("phone", stock=5)
    shop.drain()
    return client_of(member)


# --- Who is asking --------------------------------------------------------------------------------


def test_a_stranger_is_told_how_to_authenticate(shop: Shop) -> None:
    for client in (client_of(), APIClient(headers={"Authorization": "Token nonsense"})):
        response = client.get("/api/orders/")
        assert response.status_code == 401
        assert response["WWW-Authenticate"] == "Token"
        assert is_problem(response, 401, response.json()["code"])


def test_a_deactivated_users_token_opens_nothing(ada: APIClient) -> None:
    User.objects.update(is_active=False)
    assert is_problem(ada.get("/api/orders/"), 401, "authentication_failed")


def test_a_browsers_session_serves_too_but_commands_need_its_csrf_token(ada: APIClient) -> None:
    browser = APIClient(enforce_csrf_checks=True)
    browser.force_login(User.objects.get())
    assert browser.get("/api/members/me/").json()["name"] == "Ada"
    order = {"lines": [{"sku": "phone", "quantity": 1}]}
    assert is_problem(browser.post("/api/orders/", order), 403, "permission_denied")
    browser.logout()
    browser.get("/admin/login/")
    token = browser.cookies["csrftoken"].value
    browser.force_login(User.objects.get())
    assert browser.post("/api/orders/", order, headers={"X-CSRFToken": token}).status_code == 202


def test_a_member_sees_its_id_and_name(ada: APIClient) -> None:
    answer = ada.get("/api/members/me/").json()
    assert (answer["id"], answer["name"]) == (User.objects.get().pk, "Ada")


def test_a_user_who_is_no_member_is_told_so(shop: Shop) -> None:
    assert is_problem(client_of(User.objects.create_user("eve")).get("/api/members/me/"), 403, "not_a_member")


def test_roles_can_be_made_sure_of_again_and_again(shop: Shop) -> None:
    ensure_roles()
    ensure_roles()
    found = {
        group.name: {f"{each.content_type.app_label}.{each.codename}" for each in group.permissions.all()}
        for group in Group.objects.all()
    }
    assert found == {name: set(permissions) for name, permissions in roles().items()}


# --- Problems -------------------------------------------------------------------------------------


def test_a_body_that_cannot_be_read_is_refused_as_such(ada: APIClient) -> None:
    broken = (
        b"{",
        b"\xff",
        b"[" * 60_000,
        b"[" * 21 + b"]" * 21,
        b"9" * 5000,
        b"\xef\xbb\xbf{}",
        b'{"lines": [], "lines": []}',
    )
    for body in (
        *broken,
        b'{"a": 1, "a": 1}',
        b'{"lines": NaN}',
        b'{"a": 1e400}',
        b'{"a": "\\u0000"}',
        b'{"\\ud800": 1}',
    ):
        response = ada.post("/api/orders/", data=body, content_type="application/json")
        assert is_problem(response, 400, "parse_error"), body[:20]


def test_a_body_beyond_the_limit_is_not_read(ada: APIClient) -> None:
    response = ada.post("/api/orders/", data=b"[" * (64 * 1024 + 1), content_type="application/json")
    assert is_problem(response, 413, "payload_too_large")


def test_forms_and_pages_are_not_spoken_here(ada: APIClient) -> None:
    form = ada.post("/api/orders/", data="lines=phone", content_type="application/x-www-form-urlencoded")
    assert is_problem(form, 415, "unsupported_media_type")
    assert is_problem(ada.get("/api/orders/", headers={"Accept": "text/html"}), 406, "not_acceptable")


def test_a_method_that_is_not_offered_is_refused(ada: APIClient) -> None:
    response = ada.delete("/api/orders/")
    assert is_problem(response, 405, "method_not_allowed")
    assert {"GET", "POST"} <= set(response["Allow"].split(", "))


def test_an_address_that_is_not_there_is_a_problem_under_api_and_a_page_elsewhere(shop: Shop) -> None:
    assert is_problem(Client().get("/api/nothing/"), 404, "not_found")
    assert Client().get("/nothing/")["Content-Type"].startswith("text/html")


def test_a_fault_of_ours_is_a_problem_that_tells_nothing(ada: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**kwargs: object) -> None:
        raise RuntimeError("the secret")

    monkeypatch.setattr("orders.services.place_order", fail)
    ada.raise_request_exception = False
    response = ada.post("/api/orders/", {"lines": [{"sku": "phone", "quantity": 1}]})
    assert is_problem(response, 500, "internal_server_error")
    assert b"secret" not in response.content


def test_what_a_problem_always_says_is_not_overwritten() -> None:
    assert document(409, code="x", detail="y", more={"status": 1, "sku": "z"}) == {
        "type": "about:blank", "title": "Conflict", "status": 409, "detail": "y", "code": "x", "sku": "z"
    }  # fmt: skip


def test_a_database_that_is_away_is_a_problem_that_passes(ada: APIClient, gone: Callable[..., None]) -> None:
    gone("orders")
    response = ada.post("/api/orders/", {"lines": [{"sku": "phone", "quantity": 1}]})
    assert is_problem(response, 503, "unavailable")
    assert response["Retry-After"] == "2"


def test_a_replica_that_has_not_taken_over_yet_is_a_problem_that_passes(ada: APIClient) -> None:
    with connections["orders"].cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
        try:
            response = ada.post("/api/orders/", {"lines": [{"sku": "phone", "quantity": 1}]})
        finally:
            cursor.execute("RESET default_transaction_read_only")
    assert is_problem(response, 503, "unavailable")


def test_orders_are_accepted_while_every_other_context_is_away(ada: APIClient, gone: Callable[..., None]) -> None:
    gone("catalogue", "inventory", "readmodel")
    assert ada.post("/api/orders/", {"lines": [{"sku": "phone", "quantity": 1}]}).status_code == 202
    assert is_problem(ada.get("/api/orders/"), 503, "unavailable")


@pytest.fixture
def gone() -> Iterator[Callable[..., None]]:
    """Let databases be away: nothing listens where they are looked for."""
    with pytest.MonkeyPatch.context() as addresses:

        def leave(*aliases: str) -> None:
            for alias in aliases:
                connections[alias].close()
                addresses.setitem(connections[alias].settings_dict, "HOST", "/nowhere")

        yield leave


# --- Health ---------------------------------------------------------------------------------------


def test_the_process_says_that_it_is_alive_without_any_database(client: Client) -> None:
    assert client.get("/livez").json() == {"status": "alive"}


def test_the_process_is_ready_when_everything_answers(shop: Shop) -> None:
    response = Client().get("/readyz")
    assert (response.status_code, response.json()["status"]) == (200, "ready")
    cache = {"cache"} if isinstance(caches["default"], SharedCache) else set()
    assert set(response.json()["dependencies"]) == {*connections, "broker"} | cache


def test_without_a_database_that_accepting_orders_needs_it_is_unready(shop: Shop, gone: Callable[..., None]) -> None:
    gone("orders")
    response = Client().get("/readyz")
    assert (response.status_code, response.json()["status"]) == (503, "unready")
    assert response.json()["dependencies"]["orders"] == {"answer": "OperationalError", "needed": True}


def test_without_the_others_it_is_degraded_but_ready(shop: Shop, gone: Callable[..., None]) -> None:
    gone("readmodel")
    with override_settings(BROKER_URL="redis://127.0.0.1:1/0"):
        response = Client().get("/readyz")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    answers = {name: found["answer"] for name, found in response.json()["dependencies"].items()}
    assert {name for name, answer in answers.items() if answer != "ok"} == {"readmodel", "broker"}


def test_a_shared_cache_that_is_away_is_told_and_makes_nothing_unready(shop: Shop) -> None:
    cache = {"BACKEND": "shop.cache.SharedCache", "LOCATION": ["redis://127.0.0.1:1/0"]}
    with override_settings(CACHES={"default": cache}):
        response = Client().get("/readyz")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["dependencies"]["cache"] == {"answer": "ConnectionError", "needed": False}


def test_a_cache_of_the_processs_own_is_no_dependency(shop: Shop) -> None:
    cache = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    with override_settings(CACHES={"default": cache}):
        assert "cache" not in Client().get("/readyz").json()["dependencies"]


def test_a_dependency_that_hangs_does_not_hang_the_answer(shop: Shop, silence: str) -> None:
    with override_settings(BROKER_URL=f"redis://{silence}/0"):
        for _ in range(2):
            began = time.monotonic()
            response = Client().get("/readyz")
            assert time.monotonic() - began < 10
            assert response.json()["dependencies"]["broker"]["answer"] != "ok"


@pytest.fixture
def silence() -> Iterator[str]:
    """The address of somebody who takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


# --- The schema -----------------------------------------------------------------------------------


def test_the_schema_names_every_endpoint_and_how_it_fails(client: Client) -> None:
    schema = yaml.safe_load(client.get("/api/schema/").content)
    operations = [operation for path in schema["paths"].values() for operation in path.values()]
    assert {operation["operationId"] for operation in operations} >= {"orders_place", "orders_list", "members_me"}
    for operation in operations:
        assert {"400", "401", "403", "406", "429", "500", "503"} <= operation["responses"].keys()
        for status, answer in operation["responses"].items():
            assert status < "400" or list(answer["content"]) == ["application/problem+json"]


def test_the_docs_page_needs_no_other_host(client: Client) -> None:
    assert client.get("/")["Location"] == "/api/docs/"
    page = client.get("/api/docs/").content.decode()
    assert "/static/drf_spectacular_sidecar/" in page
    assert "https://" not in page
    assert finders.find("drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js")


# --- The trace ------------------------------------------------------------------------------------


def test_the_trace_of_a_request_is_that_of_what_comes_of_it(ada: APIClient, shop: Shop) -> None:
    order = {"lines": [{"sku": "phone", "quantity": 1}]}
    ada.post("/api/orders/", order, headers={"traceparent": TRACE})
    ada.post("/api/orders/", order)
    shop.drain()
    locked = OutboxEvent.objects.filter(type="inventory.inventory-locked").order_by("position")
    assert sorted(event.headers.get("traceparent", "") for event in locked) == ["", TRACE]


def test_only_a_well_formed_trace_is_kept() -> None:
    assert is_traceparent(TRACE)
    assert is_traceparent(TRACE.replace("00-", "01-", 1) + "-more")
    for wrong in (
        "", TRACE.upper(), TRACE + "-more", TRACE + "\n", TRACE[:-1], TRACE.replace("00-", "ff-", 1),
        f"00-{'0' * 32}-00f067aa0ba902b7-01", f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
        "01" + TRACE[2:] + "-" + "x" * 300,
    ):  # fmt: skip
        assert not is_traceparent(wrong), wrong
