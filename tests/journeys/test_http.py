"""A buyer's way through the shop over real HTTP: a server, sockets, and threads that meet."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from django.contrib.auth.models import User

from orders.models import IdempotencyKey, Order
from shop.console.roles import ensure_roles
from tests.harness import Shop
from tests.journeys.web import Web


def test_an_order_is_placed_accepted_and_confirmed(ada: Web, shop: Shop) -> None:
    accepted, order = ada.place("phone", 2)
    address = accepted.headers["Location"]
    assert (accepted.status, order["status"], order["total"]) == (202, "open", 1000)
    answer, open_order = ada.ask("GET", address)
    assert (answer.status, open_order["queue"]["position"]) == (200, 0)
    shop.drain()
    answer, confirmed = ada.ask("GET", address, If_None_Match=answer.headers["ETag"])
    assert (answer.status, confirmed["status"], confirmed["queue"]) == (200, "confirmed", None)
    assert ada.ask("GET", address, If_None_Match=answer.headers["ETag"])[0].status == 304
    _, page = ada.ask("GET", "/api/orders/")
    assert [listed["status"] for listed in page["results"]] == ["confirmed"]
    assert shop.stock("phone") == (1, 2)


def test_an_order_that_cannot_be_filled_is_cancelled_and_left_out_of_the_list(ada: Web, shop: Shop) -> None:
    accepted, _ = ada.place("phone", 4)
    shop.drain()
    _, order = ada.ask("GET", accepted.headers["Location"])
    assert (order["status"], order["reason"]["code"]) == ("cancelled", "out_of_stock")
    assert ada.ask("GET", "/api/orders/")[1]["results"] == []
    assert len(ada.ask("GET", "/api/orders/?include=cancelled")[1]["results"]) == 1


def test_a_member_cancels_before_the_stock_is_reserved_and_nothing_stays_reserved(ada: Web, shop: Shop) -> None:
    accepted, _ = ada.place("phone", 2)
    address = accepted.headers["Location"]
    cancelled, order = ada.ask("POST", f"{address}cancel/")
    assert (cancelled.status, order["status"]) == (200, "cancelled")
    shop.drain()
    assert shop.stock("phone") == (3, 0)
    again, problem = ada.ask("POST", f"{address}cancel/")
    assert (again.status, again.headers["Content-Type"]) == (409, "application/problem+json")
    assert problem["code"] == "unable_to_cancel"


def test_an_answer_that_was_lost_is_had_again_with_the_same_key(ada: Web, shop: Shop) -> None:
    _, first = ada.place("phone", 1, Idempotency_Key="once")
    shop.drain()
    again, order = ada.place("phone", 1, Idempotency_Key="once")
    assert (again.status, order["id"], order["status"]) == (202, first["id"], "confirmed")
    other, problem = ada.place("phone", 2, Idempotency_Key="once")
    assert (other.status, problem["code"]) == (422, "idempotency_key_reused")
    shop.drain()
    assert shop.stock("phone") == (2, 1)


def test_one_key_sent_by_many_at_once_is_one_order(ada: Web, shop: Shop) -> None:
    together = Barrier(6)

    def send(_: int) -> tuple[int, str]:
        together.wait()
        answer, order = ada.place("phone", 1, Idempotency_Key="once")
        return answer.status, order["id"]

    with ThreadPoolExecutor(together.parties) as buyers:
        answers = set(buyers.map(send, range(together.parties)))
    assert answers == {(202, str(Order.objects.get().pk))}
    assert IdempotencyKey.objects.count() == 1
    shop.drain()
    assert shop.stock("phone") == (2, 1)


def test_a_stranger_is_asked_for_a_token(web: Web) -> None:
    answer, problem = web.place("phone", 1)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Token")
    assert problem["code"] == "not_authenticated"


def test_one_key_sent_by_many_at_once_receives_goods_once(web: Web, shop: Shop) -> None:
    user = User.objects.create_user("sam", is_staff=True)
    user.groups.add(ensure_roles()["stock"])
    sam, together = web.as_(user), Barrier(6)

    def send(_: int) -> tuple[int, int]:
        together.wait()
        address = "/api/inventory/stock/phone/receive/"
        answer, stock = sam.ask("POST", address, {"quantity": 5}, Idempotency_Key="once")
        return answer.status, stock["available"]

    with ThreadPoolExecutor(together.parties) as senders:
        assert set(senders.map(send, range(together.parties))) == {(200, 5)}
    assert shop.stock("phone") == (5, 0)
    assert shop.movements("phone") == [("received", 5)]


def test_no_cache_keeps_an_answer_of_the_api(ada: Web) -> None:
    answers = [ada.ask("GET", "/api/members/me/"), ada.place("phone", 1), ada.ask("GET", "/api/nothing/")]
    assert [(answer.status, answer.headers["Cache-Control"]) for answer, _ in answers] == [
        (200, "no-store"),
        (202, "no-store"),
        (404, "no-store"),
    ]
