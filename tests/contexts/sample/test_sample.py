"""A context that is added in one place takes part in everything: the sample's folder is all that there is of it."""

from celery import current_app
from django.db import connections
from django.urls import reverse

from shop.console.roles import ensure_roles
from shop.local.stack.running import programs
from shop.messaging.contexts import context
from tests.contexts.admin.conftest import Browser, boss  # noqa: F401
from tests.contexts.sample.models import Cursor, Greeting, Subscription
from tests.contexts.sample.services import greet
from tests.harness import Shop


def test_its_events_reach_its_reaction(shop: Shop) -> None:
    greet("Ada")
    shop.drain()
    assert Greeting.objects.get(pk="Ada").heard
    assert {each.acknowledged for each in Subscription.objects.all()} == {
        each.position for each in Cursor.objects.all()
    }


def test_its_tables_are_in_a_database_of_its_own(shop: Shop) -> None:
    assert context("sample").database == "sample"
    assert "sample_greeting" in connections["sample"].introspection.table_names()
    assert "sample_greeting" not in connections["default"].introspection.table_names()
    assert "orders_order" not in connections["sample"].introspection.table_names()


def test_it_has_queues_and_a_worker() -> None:
    assert {"sample", "sample.relay"} <= current_app.amqp.queues.keys()
    assert "worker-sample" in [program.name for program in programs("localhost", 8000, 1, 1)]


def test_beat_scans_its_outbox_makes_its_partitions_and_sends_its_sweeps() -> None:
    entries = {
        name: (entry["task"], entry["options"]["queue"])
        for name, entry in current_app.conf.beat_schedule.items()
        if "sample" in entry["options"]["queue"]
    }
    assert entries == {
        "scan-outbox-sample": ("shop.messaging.tasks.scan_outbox", "sample.relay"),
        "create-partitions-sample": ("shop.messaging.tasks.create_partitions", "sample.relay"),
        "ask-sources-sample": ("shop.messaging.tasks.ask_sources", "sample"),
        "retry-letters-sample": ("shop.messaging.tasks.retry_letters", "sample"),
        "forget-greetings": ("tests.contexts.sample.tasks.forget_greetings", "sample"),
    }
    assert {entry["task"] for entry in current_app.conf.beat_schedule.values()} <= current_app.tasks.keys()


def test_its_roles_have_their_permissions_and_operators_its_machinery(shop: Shop) -> None:
    groups = ensure_roles()
    assert [each.codename for each in groups["greeters"].permissions.all()] == ["view_greeting"]
    machinery = groups["operations"].permissions.filter(content_type__app_label="sample")
    assert set(machinery.values_list("codename", flat=True)) == {
        "view_outboxevent",
        "view_fence",
        "view_subscription",
        "change_subscription",
        "view_cursor",
        "change_cursor",
        "view_deadletter",
        "change_deadletter",
        "view_letterretry",
    }


def test_the_admin_shows_it_and_its_machinery(shop: Shop, boss: Browser) -> None:  # noqa: F811
    greet("Ada")
    shop.drain()
    groups = {
        group["title"]: [item["title"] for item in group["items"]]
        for group in boss.client.get(reverse("admin:index")).context["sidebar_navigation"]
    }
    assert groups["Sample"] == ["Greetings"]
    machinery = {title for title in groups["Machinery"] if title.startswith("Sample")}
    assert machinery == {
        f"Sample: {what}" for what in ("events", "fences", "subscriptions", "cursors", "dead letters", "retries")
    }
    for model in ("greeting", "outboxevent", "fence", "subscription", "cursor", "deadletter", "letterretry"):
        assert boss.listed(f"sample_{model}").status_code == 200
