"""Lists read a page through an index, count nothing, and search exactly."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from inventory import services as inventory
from inventory.models import StockMovement
from orders.models import OutboxEvent
from readmodel.models import OrderView
from shop.catalogue.models import Product
from tests.contexts.admin.conftest import Browser
from tests.harness import Shop

BIG = (
    "orders_outboxevent",
    "orders_order",
    "inventory_stockitem",
    "inventory_stockmovement",
    "inventory_claim",
    "catalogue_product",
    "marketing_campaign",
    "members_member",
    "auth_user",
    "authtoken_tokenproxy",
    "readmodel_orderview",
)


@contextmanager
def queries() -> Iterator[list[str]]:
    said: list[str] = []
    with ExitStack() as stack:
        captured = [stack.enter_context(CaptureQueriesContext(connections[alias])) for alias in connections]
        yield said
        said += [query["sql"] for capture in captured for query in capture]


def shown(boss: Browser, model: str, query: str = "") -> list[str]:
    return [str(row.pk) for row in boss.listed(model, query).context["cl"].result_list]


def test_a_big_list_counts_nothing_and_reads_each_page_with_a_limit(shop: Shop, boss: Browser) -> None:
    shop.member()
    shop.sell("phone", stock=3)
    shop.drain()
    shop.place(("phone", 1))
    shop.drain()
    for model in BIG:
        with queries() as said:
            assert boss.listed(model).status_code == 200
        table = "authtoken_token" if model == "authtoken_tokenproxy" else model
        assert not [sql for sql in said if "COUNT(" in sql.upper()], model
        reads = [sql for sql in said if f'FROM "{table}"' in sql and "ORDER BY" in sql]
        assert reads, model
        assert any("LIMIT 51" in sql for sql in reads), reads
        assert all("LIMIT" in sql for sql in reads), reads


def test_the_number_of_queries_does_not_grow_with_the_rows(shop: Shop, boss: Browser) -> None:
    shop.member()
    shop.sell("phone", stock=50)
    shop.drain()
    for model in ("orders_outboxevent", "orders_order", "inventory_claim", "orders_subscription", "members_member"):
        shop.place(("phone", 1))
        shop.drain()
        with queries() as few:
            boss.listed(model)
        for number in range(3):
            shop.place(("phone", 1))
            shop.member(f"{model}{number}")
        shop.drain()
        with queries() as many:
            boss.listed(model)
        assert len(many) == len(few)


def test_pages_follow_each_other_without_a_gap_or_a_repetition(shop: Shop, boss: Browser) -> None:
    for number in range(70):
        inventory.receive_stock(sku=f"s_{number:02}", quantity=1, at=timezone.now())
    everything = [f"s_{number:02}" for number in range(70)]
    first = boss.listed("inventory_stockitem")
    assert [row.pk for row in first.context["cl"].result_list] == everything[:50]
    older = re.search(r'href="(\?before=[^"]+)"', first.content.decode())
    assert older is not None
    assert shown(boss, "inventory_stockitem", older[1]) == everything[50:]


def test_orders_with_one_time_of_placing_page_by_id(shop: Shop, boss: Browser) -> None:
    shop.sell("phone", stock=100)
    shop.drain()
    placed = [shop.place(("phone", 1)) for _ in range(60)]
    shop.drain()
    OrderView.objects.update(placed_at=timezone.now())
    first = boss.listed("readmodel_orderview")
    older = re.search(r'href="(\?before=[^"]+)"', first.content.decode())
    assert older is not None
    pages = [str(row.pk) for row in first.context["cl"].result_list]
    pages += shown(boss, "readmodel_orderview", older[1].replace("&amp;", "&"))
    assert pages == sorted((str(order.pk) for order in placed), reverse=True)


def test_a_page_that_begins_nowhere_leads_back_to_the_list(boss: Browser) -> None:
    for query in ("?before=nothing", "?before=1&before=2"):
        answer = boss.listed("orders_outboxevent", query)
        assert answer.status_code == 302
        assert answer.url.endswith("?e=1")


def test_a_search_finds_exactly_what_was_typed_and_never_fails(shop: Shop, boss: Browser) -> None:
    shop.sell("phone", stock=3)
    shop.drain()
    order, other = shop.place(("phone", 1)), shop.place(("phone", 1), member_id=7)
    position = OutboxEvent.objects.get(key=str(other.pk)).pk
    assert shown(boss, "orders_order", f"?q={order.pk}") == [str(order.pk)]
    assert shown(boss, "orders_order", "?q=7") == [str(other.pk)]
    assert shown(boss, "orders_outboxevent", f"?q={position}") == [str(position)]
    assert shown(boss, "orders_outboxevent", f"?q={other.pk}") == [str(position)]
    assert shown(boss, "inventory_stockitem", "?q=phone") == ["phone"]
    assert shown(boss, "inventory_stockitem", "?q=phon") == []
    for text in ("no uuid", "9" * 40, "%00", "'", "-1", "%E6%89%8B"):
        for model in BIG:
            assert boss.listed(model, f"?q={text}").status_code == 200


def test_a_member_is_found_by_its_id_and_by_its_user_name(shop: Shop, boss: Browser) -> None:
    ada, bob = shop.member("ada"), shop.member("bob")
    assert shown(boss, "members_member", "?q=bob") == [str(bob.pk)]
    assert shown(boss, "members_member", f"?q={ada.pk}") == [str(ada.pk)]


def test_a_list_can_be_filtered_only_where_an_index_serves(shop: Shop, boss: Browser) -> None:
    shop.sell("phone", stock=3)
    shop.sell("case", stock=3)
    listed = boss.listed("inventory_stockmovement", "?sku=phone").context["cl"].result_list
    assert {move.sku for move in listed} == {"phone"}
    assert boss.listed("inventory_stockmovement", "?note__contains=x").status_code == 400
    assert boss.listed("orders_order", "?member_id__gt=1").status_code == 400


@pytest.fixture
def long_ledger(shop: Shop) -> list[int]:
    """100,000 movements, most of them reservations of one SKU; the ids of its receipts, newest first."""
    shop.sell("phone", stock=3)
    with connections["inventory"].cursor() as cursor:
        cursor.execute(
            "INSERT INTO inventory_stockmovement (sku, kind, quantity, order_id, at, note) "
            "SELECT CASE WHEN n % 10 = 0 THEN 'case' ELSE 'phone' END, 'reserved', 1, gen_random_uuid(), now(), '' "
            "FROM generate_series(1, 100000) AS n"
        )
        cursor.execute("ANALYZE inventory_stockmovement")
    inventory.receive_stock(sku="phone", quantity=1, at=timezone.now())
    return list(StockMovement.objects.filter(kind="received").order_by("-id").values_list("pk", flat=True))


def plans(said: list[str], table: str) -> list[str]:
    """How PostgreSQL carries out the reads of a table that were made."""
    with connections["inventory"].cursor() as cursor:
        found = []
        for sql in said:
            if f'FROM "{table}"' in sql:
                cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF) {sql}")
                found.append("\n".join(line for (line,) in cursor.fetchall()))
    return found


def test_a_long_ledger_is_filtered_by_kind_through_an_index(boss: Browser, long_ledger: list[int]) -> None:
    with queries() as of_the_admin:
        assert shown(boss, "inventory_stockmovement", "?sku=phone&kind=received") == [str(pk) for pk in long_ledger]
    with queries() as of_the_api:
        page = boss.client.get("/api/inventory/stock/phone/movements/?kind=received").json()
    assert [movement["quantity"] for movement in page["results"]] == [1, 3]
    for said in (of_the_admin, of_the_api):
        (plan,) = plans(said, "inventory_stockmovement")
        assert "inventory_movement_kind" in plan, plan
        assert "Rows Removed by Filter" not in plan, plan
        assert "Sort" not in plan, plan


def test_kinds_are_offered_for_one_sku_alone(shop: Shop, boss: Browser) -> None:
    shop.sell("phone", stock=3)
    assert "kind=received" in boss.listed("inventory_stockmovement", "?sku=phone").content.decode()
    assert "kind=received" not in boss.listed("inventory_stockmovement").content.decode()


def test_an_address_cannot_sort_a_list_by_another_column(shop: Shop, boss: Browser) -> None:
    shop.sell("b", stock=9)
    shop.sell("a", stock=1)
    assert shown(boss, "inventory_stockitem", "?o=-1") == ["a", "b"]


def test_an_action_on_everything_runs_on_what_was_selected_alone(shop: Shop, boss: Browser) -> None:
    for sku in ("a", "b"):
        shop.sell(sku)
    boss.select("catalogue_product", "delist_products", "a", select_across="1")
    assert list(Product.objects.order_by("sku").values_list("listed", flat=True)) == [False, True]


def test_open_orders_can_be_listed_alone(shop: Shop, boss: Browser) -> None:
    shop.sell("phone", stock=3)
    shop.drain()
    shop.place(("phone", 1))
    shop.drain()
    order = shop.place(("phone", 1))
    assert shown(boss, "orders_order", "?open=yes") == [str(order.pk)]
