import os
import subprocess
import sys

from shop.local.servers import addresses, lifecycle


def manage(instance, *words):
    kept = {name: value for name, value in os.environ.items() if not name.endswith(("DATABASE_URL", "BROKER_URL"))}
    return subprocess.run(
        [sys.executable, str(addresses.CHECKOUT / "manage.py"), *words],
        env={**kept, "SHOP_INSTANCE": instance, "DJANGO_SETTINGS_MODULE": "shop.settings"},
        cwd="/",
        check=True,
        capture_output=True,
        text=True,
    )


def test_commands_that_need_no_database_start_no_server(instance):
    manage(instance, "help")
    manage(instance, "migrate", "--help")
    assert lifecycle.running(instance) == []


def test_migrate_starts_the_servers_creates_every_database_and_says_a_line_for_each(instance):
    first = manage(instance, "migrate")
    assert first.stderr.startswith("started postgres and valkey")
    assert "python -m shop.local stop" in first.stderr
    again = manage(instance, "migrate")
    assert again.stderr == ""
    assert again.stdout.splitlines() == [
        f"{alias}: database {context} up to date"
        for alias, context in [
            ("orders", "orders"),
            ("inventory", "inventory"),
            ("catalogue", "catalogue"),
            ("marketing", "marketing"),
            ("default", "members"),
            ("readmodel", "readmodel"),
        ]
    ]


def test_migrate_of_one_database_leaves_the_others_alone(instance):
    assert manage(instance, "migrate", "--database", "orders").stdout == "orders: database orders up to date\n"
