"""A member with many orders is renamed in pieces: bounded, resumed after a kill, right whatever comes meanwhile."""

from collections.abc import Callable
from threading import Event
from typing import Any

import pytest
from django.db import OperationalError, connections

from readmodel import services
from readmodel.models import OrderView, Renaming
from readmodel.services import continue_renamings
from shop.console.audit.running import audit
from shop.members.models import Member
from shop.members.services import change_member
from tests.harness import Shop, eventually, in_background

PIECE = 3
ORDERS = 10


@pytest.fixture
def ada(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Member:
    """A member with more orders than one transaction renames."""
    monkeypatch.setattr(services, "PIECE", PIECE)
    shop.sell("phone", stock=100)
    member: Member = shop.member("ada")
    shop.drain()
    for _ in range(ORDERS):
        shop.place(("phone", 1), member_id=member.pk)
    shop.drain()
    return member


@pytest.fixture
def rename(shop: Shop, ada: Member) -> Callable[[str], None]:
    def change(name: str) -> None:
        change_member(member_id=ada.pk, name=name)
        shop.drain()

    return change


def names() -> list[str]:
    return list(OrderView.objects.order_by("placed_at", "id").values_list("member_name", flat=True))


def execute(sql: str, **parameters: Any) -> list[Any]:
    with connections["readmodel"].cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall()) if cursor.description else []


def state_of_names() -> tuple[str, str]:
    """What the audit makes of ``readmodel.names``: its state, and what it waits for."""
    (result,) = (each for each in audit().results if each.invariant.name == "readmodel.names")
    return result.state, result.waiting


def one_piece() -> int:
    return continue_renamings(seconds=0)


def test_a_few_orders_are_renamed_with_the_member(shop: Shop, ada: Member) -> None:
    bob = shop.member("bob")
    order = shop.place(("phone", 1), member_id=bob.pk)
    shop.drain()
    change_member(member_id=bob.pk, name="Robert")
    shop.drain()
    assert shop.view(order).member_name == "Robert"
    assert not Renaming.objects.exists()


def test_many_orders_are_renamed_piece_by_piece_the_oldest_first(rename: Callable[[str], None]) -> None:
    rename("Countess")
    assert names() == ["Ada"] * ORDERS
    for done in (3, 6, 9, 10):
        assert names()[done:] == ["Ada"] * (ORDERS - done)
        one_piece()
        assert names()[:done] == ["Countess"] * done
    assert one_piece() == 0
    assert not Renaming.objects.exists()


def test_no_transaction_renames_more_than_a_piece(rename: Callable[[str], None]) -> None:
    rename("Countess")
    continue_renamings(seconds=60)
    assert names() == ["Countess"] * ORDERS
    by_transaction = execute("SELECT count(*) FROM readmodel_orderview GROUP BY xmin::text")
    assert max(count for (count,) in by_transaction) == PIECE


def test_names_that_are_queued_wait_and_a_name_that_was_passed_over_is_broken(rename: Callable[[str], None]) -> None:
    rename("Countess")
    assert state_of_names() == ("waiting", "the orders of 1 members are being given their new names")
    one_piece()
    assert state_of_names()[0] == "waiting"
    oldest = OrderView.objects.order_by("placed_at", "id")[0]
    OrderView.objects.filter(pk=oldest.pk).update(member_name="Ada")
    assert state_of_names()[0] == "broken"
    OrderView.objects.filter(pk=oldest.pk).update(member_name="Countess")
    continue_renamings(seconds=60)
    assert state_of_names() == ("ok", "")


def test_a_second_name_meanwhile_is_what_all_of_them_show(rename: Callable[[str], None]) -> None:
    rename("Countess")
    one_piece()
    rename("Lady")
    continue_renamings(seconds=60)
    assert names() == ["Lady"] * ORDERS
    assert state_of_names() == ("ok", "")


def test_an_order_that_is_projected_meanwhile_shows_the_new_name(
    shop: Shop, ada: Member, rename: Callable[[str], None]
) -> None:
    rename("Countess")
    one_piece()
    order = shop.place(("phone", 1), member_id=ada.pk)
    shop.drain()
    assert shop.view(order).member_name == "Countess"
    continue_renamings(seconds=60)
    assert names() == ["Countess"] * (ORDERS + 1)


def test_a_piece_that_is_killed_is_done_again_and_those_before_it_are_kept(rename: Callable[[str], None]) -> None:
    rename("Countess")
    one_piece()
    fourth = OrderView.objects.order_by("placed_at", "id")[PIECE]
    other = connections["readmodel"].copy()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("SELECT FROM readmodel_orderview WHERE id = %s FOR UPDATE", [fourth.pk])
        piece = in_background(one_piece)
        blocked = "SELECT pid FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0"
        ((pid,),) = eventually(lambda: execute(blocked))
        execute("SELECT pg_terminate_backend(%(pid)s)", pid=pid)
        with pytest.raises(OperationalError):
            piece.result(timeout=10)
    other.rollback()
    other.close()
    assert names() == ["Countess"] * PIECE + ["Ada"] * (ORDERS - PIECE)
    continue_renamings(seconds=60)
    assert names() == ["Countess"] * ORDERS


def test_renamings_renamings_and_new_orders_at_once_end_with_one_name(
    shop: Shop, ada: Member, rename: Callable[[str], None]
) -> None:
    over = Event()

    def go_on() -> None:
        while not over.is_set():
            continue_renamings(seconds=0.05)

    workers = [in_background(go_on) for _ in range(2)]
    for number in range(8):
        shop.place(("phone", 1), member_id=ada.pk)
        rename(f"Ada {number}")
    over.set()
    for worker in workers:
        worker.result(timeout=30)
    continue_renamings(seconds=60)
    assert names() == ["Ada 7"] * (ORDERS + 8)
    assert state_of_names() == ("ok", "")
    assert shop.all_letters() == []


def test_a_piece_reads_the_next_orders_through_their_index(ada: Member) -> None:
    execute(
        "INSERT INTO readmodel_orderview"
        "    (id, member_id, member_name, status, total, currency, lines, placed_at, history)"
        "SELECT gen_random_uuid(), 1 + n %% 2, 'Ada', 'open', 1, 'CNY', '[]', now() - n * interval '1 s', '[]'"
        "FROM generate_series(1, 20000) AS n"
    )
    execute("ANALYZE readmodel_orderview")
    middle = OrderView.objects.filter(member_id=1).order_by("placed_at", "id")[6_000]
    parameters = {"member": 1, "placed_at": middle.placed_at, "order": middle.pk, "limit": 1000}
    plan = "\n".join(line for (line,) in execute("EXPLAIN ANALYZE " + services.PAGE, **parameters))
    assert "readmodel_order_member" in plan, plan
    assert "Sort" not in plan, plan
    assert "Rows Removed by Filter" not in plan, plan
