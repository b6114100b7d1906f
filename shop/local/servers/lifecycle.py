"""Start and stop the embedded servers of an instance. See ``shop.local.servers.addresses`` for what an instance is."""

import contextlib
import fcntl
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from shop.local.servers import postgres, valkey
from shop.local.servers.addresses import CHECKOUT, broker_url, data_folder, instance_folder, socket_folder
from shop.local.servers.binaries import ServerError
from shop.local.servers.postgres import Postgres
from shop.local.servers.valkey import Valkey

__all__ = ["ServerError", "clean", "crash_postgres", "ensure_running", "needed_by", "running", "stop", "stop_limit"]

NAMES = ("postgres", "valkey")


def servers(instance: str, names: Iterable[str] = NAMES) -> list[Postgres | Valkey]:
    return [server for server in (Postgres(instance), Valkey(instance)) if server.name in names]


def needed_by(databases: Iterable[Mapping[str, Any]], broker: str, instance: str) -> list[str]:
    """Return the embedded servers that these database settings (``HOST``) and this broker URL refer to."""
    sockets = str(socket_folder(instance))
    postgres = any(database["HOST"] == sockets for database in databases)
    return ["postgres"] * postgres + ["valkey"] * (broker == broker_url(instance))


def running(instance: str) -> list[str]:
    """Return the names of the servers that answer."""
    return [server.name for server in servers(instance) if server.running()]


def ensure_running(instance: str, names: Iterable[str] = NAMES) -> list[str]:
    """Start those servers that do not run; they outlive this process. Returns the names of the started.

    :raises ServerError: with the server's last words.
    """
    wanted = servers(instance, names)
    if all(server.running() for server in wanted):
        return []
    with _lock(instance):  # another process may be starting them right now
        missing = [server for server in wanted if not server.running()]
        for server in missing:
            server.start()
        if data_folder(instance) != instance_folder(instance):  # says whose data it is, even when the checkout is gone
            (data_folder(instance) / "checkout").write_text(f"{CHECKOUT}\n")
    return [server.name for server in missing]


def stop_limit(names: Iterable[str]) -> int:
    """Return the seconds that ``stop`` takes at most for these servers."""
    limits = {"postgres": postgres.STOP_LIMIT + postgres.KILL_LIMIT, "valkey": valkey.ANSWER_LIMIT}
    return sum(limits[name] for name in set(names))


def stop(instance: str, names: Iterable[str] = NAMES, *, hurried: Callable[[], bool] = lambda: False) -> list[str]:
    """Stop those servers that run; kill PostgreSQL once ``hurried``. Returns their names."""
    with _lock(instance):
        living = [server for server in servers(instance, names) if server.pid()]
        for server in reversed(living):
            if isinstance(server, Postgres):
                server.stop(hurried=hurried)
            else:
                server.stop()
        with contextlib.suppress(OSError):  # not empty: another server still runs
            socket_folder(instance).rmdir()
    return [server.name for server in living]


def crash_postgres(instance: str, *, down: Callable[[], object]) -> None:
    """Stop PostgreSQL at once, without a checkpoint, and start it again when ``down`` returns.

    Nobody else starts it in between, and connections meanwhile are refused. What was committed is kept if the
    instance is durable.

    :raises ServerError: with the server's last words, when it does not start.
    """
    with _lock(instance):
        server = Postgres(instance)
        server.stop("immediate")
        try:
            down()
        finally:
            server.start()


def clean(instance: str) -> None:
    """Stop the servers and delete everything the instance keeps."""
    stop(instance)
    for folder in (socket_folder(instance), data_folder(instance), instance_folder(instance)):
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _lock(instance: str) -> Iterator[None]:
    """Let one process at a time start or stop an instance's servers."""
    folder = instance_folder(instance)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "servers.lock").open("w")
    except PermissionError as error:
        raise ServerError(f"{error}. This checkout belongs to another user: work in your own.") from None
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
