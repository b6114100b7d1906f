import os
import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from shop.local.servers import addresses, binaries, keys, lifecycle, processes, valkey
from shop.local.servers.postgres import Postgres
from shop.local.servers.valkey import Valkey
from tests.harness import eventually


@pytest.fixture
def started(instance):
    lifecycle.ensure_running(instance)
    return instance


def ask(instance, sql="SELECT 1"):
    with psycopg.connect(addresses.database_url("postgres", instance), autocommit=True) as connection:
        return connection.execute(sql).fetchone()[0]


def kill(pid):
    processes.end(psutil.Process(pid), signal.SIGKILL)


def test_the_servers_start_once_and_answer_at_the_addresses_known_beforehand(instance):
    database = addresses.database_url("postgres", instance)
    assert lifecycle.ensure_running(instance) == ["postgres", "valkey"]
    assert lifecycle.ensure_running(instance) == []
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with redis.Redis.from_url(Valkey(instance).url()) as client:
        assert client.ping()


def test_a_test_instance_is_fast_and_any_other_is_durable(started):
    assert ask(started, "SHOW fsync") == "off"
    assert "fsync" not in Postgres("dev").settings()


def test_databases_speak_utf8_whatever_the_locale(started):
    assert ask(started, "SELECT upper('手机 é')") == "手机 É"


def test_the_servers_outlive_who_started_them_and_the_terminals_interrupt(instance):
    lifecycle.stop(instance)
    code = f"from shop.local.servers.lifecycle import ensure_running; ensure_running({instance!r})"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=addresses.CHECKOUT)
    assert lifecycle.running(instance) == ["postgres", "valkey"]
    for server in lifecycle.servers(instance):
        assert os.getsid(server.pid()) != os.getsid(0)


def test_many_processes_may_start_them_at_once(instance):
    lifecycle.stop(instance)
    with ThreadPoolExecutor(8) as pool:
        started = list(pool.map(lifecycle.ensure_running, [instance] * 8))
    assert sorted(started)[-1] == ["postgres", "valkey"]
    assert sum(map(len, started)) == 2


def test_they_start_again_after_a_kill_and_committed_rows_are_there(started):
    with psycopg.connect(addresses.database_url("postgres", started), autocommit=True) as connection:
        connection.execute("SET synchronous_commit = on")
        connection.execute("CREATE TABLE kept (answer int)")
        connection.execute("INSERT INTO kept VALUES (42)")
    for server in lifecycle.servers(started):
        kill(server.pid())
    assert lifecycle.ensure_running(started) == ["postgres", "valkey"]
    assert ask(started, "SELECT answer FROM kept") == 42


def listening_on_tcp(pid):
    return [one for one in psutil.Process(pid).net_connections("inet") if one.status == psutil.CONN_LISTEN]


def test_no_server_listens_on_a_port(started):
    for server in lifecycle.servers(started):
        assert not listening_on_tcp(server.pid()), server.name
        assert server.sockets.stat().st_mode & 0o077 == 0


RELEASE_1_0 = """\
daemonize yes
bind 127.0.0.1
port {port}
unixsocket {sockets}/valkey.sock
unixsocketperm 700
pidfile {sockets}/valkey.pid
dir {sockets}
logfile "{log}"
save ""
appendonly no
"""


def test_a_valkey_that_the_release_before_left_running_on_a_port_is_replaced(started):
    """Its configuration too: started again, it does not go back to the port."""
    lifecycle.stop(started, ["valkey"])
    valkey = Valkey(started)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    valkey.configuration.write_text(RELEASE_1_0.format(port=port, sockets=valkey.sockets, log=valkey.log))
    binaries.run(binaries.valkey_program(), valkey.configuration)
    eventually(lambda: valkey.pid() and listening_on_tcp(valkey.pid()))
    assert lifecycle.ensure_running(started) == ["valkey"]
    assert not listening_on_tcp(valkey.pid())


def test_a_stale_pid_file_that_names_a_living_process_is_no_obstacle(started):
    postgres = Postgres(started)
    for server in lifecycle.servers(started):
        kill(server.pid())
    bystander = subprocess.Popen(["sleep", "60"])
    (postgres.data / "postmaster.pid").write_text(f"{bystander.pid}\n{postgres.data}\n0\n5432\n\n\n0 0\nready\n")
    (postgres.sockets / ".s.PGSQL.5432.lock").write_text(f"{bystander.pid}\n")
    (postgres.sockets / "valkey.pid").write_text(f"{bystander.pid}\n")
    assert lifecycle.running(started) == []
    assert lifecycle.ensure_running(started) == ["postgres", "valkey"]
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_they_start_again_when_their_sockets_were_swept_away(started):
    shutil.rmtree(addresses.socket_folder(started))
    assert lifecycle.running(started) == []
    lifecycle.ensure_running(started)
    assert lifecycle.running(started) == ["postgres", "valkey"]
    assert ask(started) == 1


def test_a_half_made_cluster_is_made_anew(instance):
    lifecycle.clean(instance)
    unfinished = addresses.data_folder(instance) / "postgres.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    lifecycle.ensure_running(instance)
    assert ask(instance) == 1


def test_a_server_that_cannot_start_says_which_why_and_the_way_out(instance):
    lifecycle.stop(instance)
    version = Postgres(instance).data / "PG_VERSION"
    version.write_text("9.6\n")
    with pytest.raises(lifecycle.ServerError, match=r"(?s)PostgreSQL of instance.*9\.6.*shop\.local clean"):
        lifecycle.ensure_running(instance)
    version.write_text("18\n")


def test_stop_ends_sessions_and_leaves_nothing(started):
    session = psycopg.connect(addresses.database_url("postgres", started))
    pids = [server.pid() for server in lifecycle.servers(started)]
    assert lifecycle.stop(started) == ["postgres", "valkey"]
    assert all(processes.gone(psutil.Process(pid)) for pid in pids if psutil.pid_exists(pid))
    assert lifecycle.stop(started) == []
    session.close()


def test_the_key_for_messages_is_made_once_and_only_its_owner_can_read_it(instance):
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(keys.message_key, [instance] * 8))
    assert len(made) == 1
    assert len(made.pop()) * 4 == keys.BITS
    [file] = addresses.instance_folder(instance).glob("*key*")
    assert file.stat().st_mode & 0o777 == 0o600


def test_two_checkouts_run_side_by_side_also_under_a_path_with_spaces_and_umlauts(tmp_path, instance):
    def copy(folder: Path) -> Path:
        (folder / "shop").mkdir(parents=True)
        (folder / "shop" / "__init__.py").touch()
        shutil.copytree(addresses.CHECKOUT / "shop" / "local", folder / "shop" / "local")
        return folder

    def act(folder: Path, act: str) -> str:
        command = [sys.executable, "-m", "shop.local", act, "--instance", instance]
        return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout

    copies = [copy(tmp_path / "Läden und Shops 商店"), copy(tmp_path / "b")]
    try:
        for folder in copies:
            assert "started postgres, valkey" in act(folder, "start")
        told = {line for folder in copies for line in act(folder, "status").splitlines() if "database" in line}
        assert len(told) == 2
        act(copies[0], "stop")
        assert act(copies[1], "status").count("runs, pid") == 2
    finally:
        for folder in copies:
            act(folder, "clean")


def test_an_instance_name_that_could_leave_its_folder_is_refused():
    with pytest.raises(ValueError, match="lower-case"):
        addresses.instance_folder("../etc")


def test_socket_paths_are_short_enough_for_every_system():
    assert len(str(addresses.socket_folder("x" * 40) / ".s.PGSQL.5432.lock")) < 100


def test_a_server_that_is_alive_but_does_not_answer_is_replaced(started, monkeypatch):
    monkeypatch.setattr(valkey, "ANSWER_LIMIT", 0.3)
    pid = Valkey(started).pid()
    os.kill(pid, signal.SIGSTOP)
    assert lifecycle.ensure_running(started) == ["valkey"]
    assert Valkey(started).pid() != pid
