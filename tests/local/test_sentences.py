"""A wrong setting, a taken port or a server that is away is a sentence with the values and the way out."""

import os
import re
import socket
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured

from shop import server_urls
from shop.local.servers import lifecycle
from shop.local.servers.addresses import CHECKOUT


@pytest.fixture
def nobody():
    """A port of this machine at which nobody answers, while the test runs."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
def free():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def taken():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def run(instance, *words, **settings):
    """Run a command that is to fail; what it says."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith(("DATABASE_URL", "BROKER_URL"))}
    own = {"SHOP_INSTANCE": instance, "DJANGO_SETTINGS_MODULE": "shop.settings", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, *words], env={**kept, **own, **settings}, cwd=CHECKOUT, capture_output=True, text=True
    )
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("url", ["mysql://u:secret@db/shop", "db.example/shop", "postgresql://u:secret@db:99999/shop"])
def test_a_url_that_is_not_postgresqls_is_refused_without_its_password(url):
    with pytest.raises(ImproperlyConfigured, match=r"^DATABASE_URL=.*postgresql://user.*embedded") as refused:
        server_urls.database_url("DATABASE_URL", url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["mysql://u:secret@mq/1", "redis://mq:0/0", "amqp://mq:x", "redis://mq/0;http://mq"])
def test_a_url_that_is_not_a_brokers_is_refused_without_its_password(url):
    with pytest.raises(ImproperlyConfigured, match=r"^BROKER_URL=.*redis://host.*embedded") as refused:
        server_urls.broker_url("BROKER_URL", url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["redis://:p%40ss@mq:6379/0", "rediss://mq/0", "amqp://u:p@mq:5672/shop", "redis+socket:///tmp/x/valkey.sock"],
)
def test_urls_that_can_be_used_are_left_as_they_are(url):
    assert server_urls.broker_url("BROKER_URL", url) == url


@pytest.mark.parametrize("words", [("manage.py", "up"), ("-m", "celery", "-A", "celery_app", "worker")])
def test_a_wrong_url_is_a_sentence_of_every_command(instance, words):
    said = run(instance, *words, ORDERS_DATABASE_URL="mysql://u:secret@db/shop")
    assert re.search(r"^ORDERS_DATABASE_URL=mysql://db/shop is not a URL of PostgreSQL\. .*$", said, re.MULTILINE)


@pytest.mark.parametrize("words", [("up",), ("migrate",), ("audit",), ("runserver", "0")])
def test_a_database_server_that_is_away_is_named_with_its_setting_before_anything_starts(instance, nobody, free, words):
    words = [str(free) if word == "0" else word for word in words]
    url = f"postgresql://u:secret@127.0.0.1:{nobody}/shop"
    said = run(instance, "manage.py", *words, DATABASE_URL=url, BROKER_URL=f"redis://:secret@127.0.0.1:{nobody}/0")
    assert f"PostgreSQL at 127.0.0.1:{nobody} cannot be used for shop_" in said
    assert "Connection refused. Start it or correct DATABASE_URL" in said
    assert ("Start it or correct BROKER_URL" in said) == (words[0] in ("up", "migrate"))
    assert "secret" not in said
    assert lifecycle.running(instance) == []


def test_the_demo_says_once_why_its_shop_does_not_start(instance, nobody):
    said = run(instance, "manage.py", "demo", "--buyers", "1", BROKER_URL=f"amqp://127.0.0.1:{nobody}//")
    assert said.count("cannot be used") == 1
    assert f"127.0.0.1:{nobody}" in said
    assert lifecycle.running(instance) == []


@pytest.mark.parametrize("words", [("up", "--port"), ("runserver",)])
def test_a_port_that_cannot_be_is_refused_and_a_taken_one_found_before_servers_start(instance, taken, words):
    assert "'99999' is not a port: choose one from 1 to 65535" in run(instance, "manage.py", *words, "99999")
    said = run(instance, "manage.py", *words, str(taken))
    assert f"Port {taken} of 127.0.0.1 cannot be used: Address already in use. Choose another port." in said
    assert lifecycle.running(instance) == []


def test_make_adds_nothing_to_a_clear_message(instance, tmp_path):
    (recipe,) = re.findall(r"^\t@HUSH_MAKE=\$\$PPID exec .* manage\.py up ", (CHECKOUT / "Makefile").read_text(), re.M)
    recipe = recipe.replace("$(PYTHON)", sys.executable)
    (tmp_path / "Makefile").write_text(f"up:\n{recipe}--port 99999\n")
    env = {**os.environ, "SHOP_INSTANCE": instance, "DJANGO_SETTINGS_MODULE": "shop.settings"}
    done = subprocess.run(
        ["make", "-f", str(tmp_path / "Makefile"), "up"], cwd=CHECKOUT, env=env, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "is not a port" in done.stderr
    assert "***" not in done.stderr
