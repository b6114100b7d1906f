"""The pure rules of intake and of the ledger."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from inventory.events import Shortage
from inventory.policies import ADJUSTED, EFFECTS, RECEIVED, RELEASED, RESERVED, RETURNED, SHIPPED, needs_of, shortages
from orders.events import LineCampaign
from orders.policies import Sale, Wanted, beyond_limit, faults, merge, price

WANTED = st.lists(st.builds(Wanted, st.sampled_from("abc"), st.integers(1, 9)))


def offer(sku: str, **fields: Any) -> Any:
    return SimpleNamespace(
        **{"sku": sku, "name": sku.title(), "category": "things", "price": 10, "listed": True, "sold_out": False}
        | fields
    )


# Intake


def test_lines_of_one_sku_are_merged_in_the_order_of_first_mention() -> None:
    assert merge([Wanted("b", 1), Wanted("a", 2), Wanted("b", 3)]) == [("b", 4), ("a", 2)]


@given(WANTED)
def test_merging_loses_no_piece_and_leaves_each_sku_once(lines: list[Wanted]) -> None:
    merged = merge(lines)
    assert sum(line.quantity for line in merged) == sum(line.quantity for line in lines)
    assert len({line.sku for line in merged}) == len(merged)
    assert merge(merged) == merged


def test_a_sale_prices_its_line_and_no_other() -> None:
    sale = Sale(UUID(int=7), price=4, limit=2, allotment=9)
    sold, usual = price([Wanted("a", 1), Wanted("b", 1)], {"a": offer("a"), "b": offer("b")}, {"a": sale, "c": sale})
    assert (sold.price, sold.campaign) == (4, LineCampaign(id=sale.id, allotment=9))
    assert (usual.price, usual.campaign) == (10, None)
    assert "order at most 1." in beyond_limit(sold, taken=1, limit=2)["detail"]


def test_every_faulty_line_is_named() -> None:
    lines = [Wanted("phone", 1), Wanted("gone", 1), Wanted("never", 1), Wanted("case", 2)]
    offers = {
        "phone": offer("phone"),
        "gone": offer("gone", listed=False, sold_out=True),
        "case": offer("case", sold_out=True),
    }
    refused = faults(lines, offers)
    assert [(fault["sku"], fault["code"]) for fault in refused] == [
        ("gone", "not_listed"),
        ("never", "unknown_product"),
        ("case", "sold_out"),
    ]
    assert refused[-1]["detail"] == "Case is sold out. Order without it, or try again when it is back in stock."


def test_a_line_is_a_snapshot_of_what_the_product_is_called_and_costs() -> None:
    product = offer("phone", price=300)
    [line] = price([Wanted("phone", 2)], {"phone": product})
    product.price, product.name = 999, "Other"
    assert (line.sku, line.name, line.category, line.price, line.quantity) == ("phone", "Phone", "things", 300, 2)


# The ledger


def test_each_kind_of_movement_does_what_it_says() -> None:
    assert EFFECTS == {
        RECEIVED: (1, 0),
        RESERVED: (-1, 1),
        RELEASED: (1, -1),
        SHIPPED: (0, -1),
        RETURNED: (1, 0),
        ADJUSTED: (1, 0),
    }


def test_reserving_and_releasing_leave_the_sum_alone() -> None:
    assert all(sum(EFFECTS[kind]) == 0 for kind in (RESERVED, RELEASED))


def test_an_order_needs_the_sum_of_its_lines() -> None:
    assert needs_of([("a", 1), ("b", 2), ("a", 3)]) == {"a": 4, "b": 2}


def test_every_short_sku_is_named_with_what_there_is() -> None:
    found = shortages({"a": 2, "b": 1, "c": 3}, {"a": 1, "b": 1})
    assert found == (Shortage(sku="a", requested=2, available=1), Shortage(sku="c", requested=3, available=0))


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 5)),
    st.dictionaries(st.sampled_from("abcd"), st.integers(0, 5)),
)
def test_nothing_is_short_exactly_when_everything_can_be_taken(
    needs: dict[str, int], available: dict[str, int]
) -> None:
    can_be_taken = all(available.get(sku, 0) - quantity >= 0 for sku, quantity in needs.items())
    assert (shortages(needs, available) == ()) is can_be_taken
