"""Failures that pass by themselves: tried again, nothing acknowledged, nothing parked."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import InterfaceError, OperationalError, ProgrammingError, connections, transaction

from readmodel.models import Cursor, DeadLetter
from shop.messaging.batches import Received
from shop.messaging.consumer import receiving
from shop.messaging.consumer.transient import is_transient
from shop.messaging.producer.relay import relay
from tests.messaging.probe import NAME, SOURCE, Probe, in_lane

A, B = in_lane(0, 2)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "PAUSE", 0)


def raises(state: str) -> Callable[[Received], None]:
    """A rule that has PostgreSQL itself raise an SQLSTATE."""

    def rule(event: Received) -> None:
        with connections[NAME].cursor() as cursor:
            cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION 'told to' USING ERRCODE = '{state}'; END $$")

    return rule


def loses_its_connection(event: Received) -> None:
    with connections[NAME].cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


TRANSIENT = {
    "connection_failure": "08006",
    "deadlock_detected": "40P01",
    "serialization_failure": "40001",
    "too_many_connections": "53300",
    "disk_full": "53100",
    "admin_shutdown": "57P01",
    "cannot_connect_now": "57P03",
    "lock_not_available": "55P03",
    "idle_in_transaction_session_timeout": "25P03",
    "read_only_sql_transaction": "25006",
    "insufficient_privilege": "42501",
    "query_canceled": "57014",
}

LASTING = {
    "unique_violation": "23505",
    "check_violation": "23514",
    "division_by_zero": "22012",
    "undefined_table": "42P01",
    "raise_exception": "P0001",
}


@pytest.mark.parametrize("state", TRANSIENT.values(), ids=TRANSIENT.keys())
def test_a_transient_failure_acknowledges_nothing_and_parks_nothing(probe: Probe, state: str) -> None:
    probe.publish(A, B)
    batch = probe.batch()
    probe.when(B, raises(state))
    with pytest.raises(Exception, match="told to") as failure:
        batch.deliver()
    assert is_transient(failure.value)
    assert not DeadLetter.objects.exists()
    assert probe.noted() == []
    assert Cursor.objects.get(source=SOURCE, lane=0).position == 0
    with pytest.raises(AssertionError, match="nothing was acknowledged"):
        probe.acknowledgement()
    probe.when(B, None)
    batch.deliver()
    assert probe.noted() == [1, 2]


@pytest.mark.parametrize("state", LASTING.values(), ids=LASTING.keys())
def test_any_other_failure_is_the_event_s_own(probe: Probe, state: str) -> None:
    probe.publish(A, B)
    probe.when(B, raises(state))
    probe.batch().deliver()
    assert probe.noted() == [1]
    assert DeadLetter.objects.get().key == B


def test_a_failure_that_passes_soon_is_not_noticed(probe: Probe) -> None:
    failures = iter([raises("40P01"), raises("40001")])
    probe.publish(A, B)
    probe.when(B, lambda event: next(failures, lambda event: None)(event))
    probe.batch().deliver()
    assert probe.noted() == [1, 2]
    probe.acknowledgement()
    assert Cursor.objects.get(source=SOURCE, lane=0).attempts == 0


def test_a_lost_connection_is_transient(probe: Probe) -> None:
    losses = iter([loses_its_connection])
    probe.publish(A, B)
    probe.when(B, lambda event: next(losses, lambda event: None)(event))
    probe.batch().deliver()
    assert probe.noted() == [1, 2]
    assert not DeadLetter.objects.exists()


def test_a_transient_failure_is_no_attempt_that_killed_a_worker(probe: Probe) -> None:
    """Otherwise a database that is down for long would halve every batch, and park its first event unseen."""
    probe.publish(A, B)
    batch = probe.batch()
    probe.when(B, raises("40P01"))
    for _ in range(5):
        with pytest.raises(OperationalError):
            batch.deliver()
    assert Cursor.objects.get(source=SOURCE, lane=0).attempts == 0


def test_a_transient_failure_in_half_of_a_batch_keeps_what_was_committed(probe: Probe) -> None:
    keys = in_lane(0, 4)
    probe.publish(*keys)
    probe.when(keys[1], lambda event: 1 / 0)  # poisonous: the batch is halved
    probe.when(keys[3], raises("40P01"))
    batch = probe.batch()
    with pytest.raises(OperationalError):
        batch.deliver()
    assert probe.noted() == [1]
    probe.when(keys[3], None)
    batch.deliver()
    assert probe.noted() == [1, 3, 4]
    assert [letter.key for letter in DeadLetter.objects.all()] == [keys[1]]


def test_a_consumer_that_waits_for_a_lock_in_vain_is_sent_the_batch_again(probe: Probe) -> None:
    other = connections[NAME].copy()
    waits = iter([True])

    def wait(event: Received) -> None:
        if next(waits, False):
            with connections[NAME].cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '50ms'")
                cursor.execute("SELECT FROM readmodel_deadletter")
                cursor.execute("LOCK TABLE readmodel_membername IN EXCLUSIVE MODE")

    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("LOCK TABLE readmodel_membername IN EXCLUSIVE MODE")
    probe.publish(A)
    probe.when(A, wait)
    probe.batch().deliver()
    other.rollback()
    other.close()
    assert probe.noted() == [1]


def test_a_statement_that_takes_too_long_parks_nothing_and_is_not_tried_again_at_once(probe: Probe) -> None:
    tries = []

    def dawdle(event: Received) -> None:
        tries.append(event)
        with connections[NAME].cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = '50ms'")
            cursor.execute("SELECT pg_sleep(60)")

    probe.publish(A, B)
    batch = probe.batch()
    probe.when(A, dawdle)
    for _ in range(5):
        with pytest.raises(OperationalError, match="statement timeout"):
            batch.deliver()
    assert len(tries) == 5
    assert not DeadLetter.objects.exists()
    assert Cursor.objects.get(source=SOURCE, lane=0).attempts == 0
    probe.when(A, None)
    batch.deliver()
    assert probe.noted() == [1, 2]


def raised(error: Exception, *, cause: Exception | None = None) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (raised(OperationalError(), cause=psycopg.errors.DeadlockDetected()), True),
        (raised(OperationalError(), cause=psycopg.OperationalError("server closed the connection")), True),
        (raised(InterfaceError(), cause=psycopg.InterfaceError("the cursor is closed")), True),
        (InterfaceError("connection already closed"), True),
        (raised(RuntimeError(), cause=psycopg.errors.LockNotAvailable()), True),
        (raised(OperationalError(), cause=psycopg.errors.QueryCanceled()), True),
        (psycopg.errors.UniqueViolation(), False),
        (psycopg.ProgrammingError("no SQLSTATE"), False),
        (ValueError("deadlock detected"), False),
        (KeyError("40P01"), False),
    ],
    ids=repr,
)
def test_sqlstates_decide_what_is_transient_never_texts(error: Exception, transient: bool) -> None:
    assert is_transient(error) is transient


def test_a_reaction_that_is_transient_in_a_retry_leaves_the_letter_as_it_is(probe: Probe) -> None:
    from shop.messaging import consumers
    from shop.messaging.consumer import deadletters

    probe.publish(A)
    probe.when(A, lambda event: 1 / 0)
    probe.batch().deliver()
    before: Any = DeadLetter.objects.values().get()
    probe.when(A, raises("40P01"))
    assert (NAME, SOURCE) in consumers._consumers
    with pytest.raises(OperationalError):
        deadletters.retry(NAME, source=SOURCE, key=A)
    assert DeadLetter.objects.values().get() == before
    with transaction.atomic(using=NAME):
        assert Cursor.objects.select_for_update(nowait=True).count()


def test_a_user_that_may_not_ask_for_the_server_s_identity_is_told_so_and_nothing_is_parked(probe: Probe) -> None:
    with connections[SOURCE].cursor() as cursor:
        cursor.execute(
            "CREATE ROLE limited; GRANT ALL ON ALL TABLES IN SCHEMA public TO limited;"
            "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO limited;"
            "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC; SET ROLE limited"
        )
        try:
            with pytest.raises(ProgrammingError, match="permission denied for function pg_control_system") as denied:
                probe.publish(A)
            assert is_transient(denied.value)
            with pytest.raises(ProgrammingError, match="permission denied for function pg_control_system"):
                relay(SOURCE)
        finally:
            cursor.execute(
                "RESET ROLE; GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC; DROP OWNED BY limited;"
                "DROP ROLE limited"
            )
    probe.publish(A)
    probe.drain()
    assert probe.noted() == [1]
