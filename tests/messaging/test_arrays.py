"""What is written set-wise is read back as it was, whatever it holds."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shop.setwise import arrays

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))
TRICKY = st.sampled_from(
    ["", "NULL", "null", "{", "}", "{}", '"', "\\", '\\"', "'", "a,b", " ", "\n", "\t", "%s", "手机"]
)
JSON = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | TEXT | TRICKY | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)) | st.just(
    datetime(2026, 2, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30)))
)

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read_back(literal: str, kind: str) -> list[Any]:
    with connections["orders"].cursor() as cursor:
        cursor.execute(f"SELECT v FROM unnest(%s::{kind}[]) WITH ORDINALITY AS u (v, n) ORDER BY n", [literal])
        return [value for (value,) in cursor.fetchall()]


@pytest.mark.django_db(databases=["orders"])
@quick
@given(st.lists(TEXT | TRICKY | st.none()))
def test_text(values: list[str | None]) -> None:
    assert read_back(arrays.of_text(values), "text") == values


@pytest.mark.django_db(databases=["orders"])
@quick
@given(st.lists(JSON, max_size=5))
def test_json(values: list[Any]) -> None:
    import json

    assert [None if v is None else json.loads(v) for v in read_back(arrays.of_json(values), "jsonb")] == values


@pytest.mark.django_db(databases=["orders"])
@quick
@given(st.lists(TIMES | st.none()))
def test_times(values: list[datetime | None]) -> None:
    assert read_back(arrays.of_times(values), "timestamptz") == values


@pytest.mark.django_db(databases=["orders"])
@quick
@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.none()), st.lists(st.booleans()), st.lists(st.uuids()))
def test_numbers_booleans_and_uuids(numbers: list[int | None], booleans: list[bool], ids: list[UUID]) -> None:
    assert read_back(arrays.of_plain(numbers), "bigint") == numbers
    assert read_back(arrays.of_plain(booleans), "boolean") == booleans
    assert read_back(arrays.of_plain(ids), "uuid") == ids
