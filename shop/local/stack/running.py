"""The whole shop on one machine: servers, web, a worker for each context, beat."""

import fcntl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar
from urllib.parse import quote

from celery import current_app
from django.conf import settings
from django.core.management import call_command
from django.db import connections

from shop.console.audit import wait_until_at_rest
from shop.local.seed import Logins, seed
from shop.local.servers import lifecycle
from shop.local.servers.addresses import instance_folder
from shop.local.servers.binaries import ServerError
from shop.local.servers.processes import tail
from shop.local.servers.valkey import Valkey
from shop.local.stack import ports, reach, readiness
from shop.local.stack.file import StackFile, owner, read
from shop.local.stack.interrupts import Interrupts
from shop.local.stack.supervision import Program, Supervisor
from shop.reaching import LOST, ensure_reachable

#: seconds until everything must answer
READY_LIMIT = 120
#: seconds that a stack with a backlog is given to work it off before it is called ready all the same
REST_LIMIT = 20
#: seconds that a server may be out of reach, though it did not die, before the start is given up
LOST_LIMIT = 10

T = TypeVar("T")
Say = Callable[[str], None]


@contextmanager
def running_stack(
    *, host: str, port: int | None, web_workers: int, concurrency: int, say: Say, interrupts: Interrupts
) -> Iterator["Stack"]:
    """Migrate, seed, start everything and wait until all of it answers; at the end, stop what was started.

    :param port: None takes 8000, or the next free one.
    :raises ServerError: when something does not start, the port is taken, a stack of this instance runs already, or
        others could reach it and get in.
    :raises Unreachable: when a server of one's own does not answer.
    """
    reach.check_key(host)
    with ExitStack() as undo:
        stack = Stack(say, interrupts)
        stack.claim(undo)
        reserved = undo.enter_context(ports.reserve(host, port or ports.DEFAULT, or_next=port is None))
        needed = stack.embedded()
        own = [alias for alias, setting in settings.DATABASE_SETTINGS.items() if setting]
        ensure_reachable(own, broker="valkey" not in needed)
        try:
            stack.start_servers(undo)
            stack.persist(lambda: call_command("migrate", verbosity=1))
            stack.logins = stack.persist(seed)
            reach.check_logins(host, stack.logins)
            reach.raise_limits(host, say)
            connections.close_all()
            stack.start_programs(undo, programs(host, reserved.getsockname()[1], web_workers, concurrency))
            stack.base_url = f"http://{_reachable(host)}:{reserved.getsockname()[1]}"
            stack.await_ready()
            # Sample products can be ordered once every context knows them.
            stack.persist(lambda: wait_until_at_rest(limit=REST_LIMIT))
            undo.callback(stack.file.remove)
            stack.persist(stack.publish)
            yield stack
        finally:
            interrupts.hold()
            say(f"stopping, up to {stack.stop_limit()} s (Ctrl-C kills at once)")
            undo.close()
            kept = lifecycle.running(settings.INSTANCE)
            say(f"stopped; {' and '.join(kept)} ran before and run on" if kept else "stopped")


# Connections that it holds open at once: an idle one, or a body that is yet to come, costs memory and no thread.
WEB_SERVER = "granian shop.asgi:application --interface asginl --no-ws --backlog 2048 --backpressure 10000"


def programs(host: str, port: int, web_workers: int, concurrency: int) -> list[Program]:
    celery = ("python", "-m", "celery", "-A", "celery_app", "--quiet")
    workers = [
        Program(
            f"worker-{context}",
            (
                *celery,
                *("worker", "-n", f"{context}@%h", "-Q", f"{context},{context}.relay", "-c", str(concurrency)),
                *("--without-gossip", "--without-mingle", "--without-heartbeat"),
            ),
            rank=1,
            patience=5,  # a batch that is not done by then is rolled back, and comes again
        )
        for context in settings.CONTEXTS
    ]
    beat = Program("beat", (*celery, "beat"), rank=2, patience=2)
    web = Program(
        "web",
        (
            *("python", "-m", *WEB_SERVER.split(), "--host", host, "--port", str(port), "--workers", str(web_workers)),
            *("--respawn-failed-workers", "--respawn-interval", "0.5", "--workers-kill-timeout", "4"),
        ),
        rank=3,
        patience=5,
    )
    return [*workers, beat, web]


class Stack:
    """A running stack. ``watch`` it for as long as it is to run."""

    base_url: str
    logins: Logins
    supervisor: Supervisor

    def __init__(self, say: Say, interrupts: Interrupts) -> None:
        self.instance: str = settings.INSTANCE
        self.folder = instance_folder(self.instance)
        self.file = StackFile(self.instance)
        self.say = say
        self.interrupts = interrupts
        self._servers: dict[str, int | None] = {}  # pids of the embedded servers in use
        self._started: set[str] = set()  # the servers that this stack started, and stops
        self._programs_limit = 0  # seconds that the programs may take to stop
        self._killing = False

    def claim(self, undo: ExitStack) -> None:
        """Make sure that this is the instance's only stack."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = undo.enter_context((self.folder / "up.lock").open("w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            living = owner(self.file.own) is not None
            address = (read(self.file.own) or {})["base_url"] if living else "it is still starting"
            raise ServerError(
                f"A stack of instance {self.instance!r} runs already ({address}). To run another beside it: "
                "SHOP_INSTANCE=other manage.py up"
            ) from None
        self.file.remove()  # one that is there was left by a stack that was killed

    def embedded(self) -> list[str]:
        """Return the names of the embedded servers that the settings refer to."""
        return lifecycle.needed_by(settings.DATABASES.values(), settings.BROKER_URL, self.instance)

    def start_servers(self, undo: ExitStack) -> None:
        needed = self.embedded()
        undo.callback(lambda: lifecycle.stop(self.instance, self._started, hurried=self.hurried))
        with self.interrupts.held():
            self._started.update(lifecycle.ensure_running(self.instance, needed))
        for server in lifecycle.servers(self.instance, needed):
            self._servers[server.name] = server.pid()
            self.say(f"{server.name} runs as pid {server.pid()}")

    def start_programs(self, undo: ExitStack, wanted: list[Program]) -> None:
        self.supervisor = Supervisor(self.folder, wanted, self.say)
        self._programs_limit = self.supervisor.stop_limit
        undo.callback(lambda: self.supervisor.stop(hurried=self.hurried))
        readiness.expect_workers(self.instance)
        with self.interrupts.held():
            self.supervisor.start()

    def await_ready(self) -> None:
        """Wait until the web server is ready and every worker answers.

        :raises ServerError: naming what does not, and the end of its log.
        """
        limit = time.monotonic() + READY_LIMIT
        while missing := self.persist(self._missing):
            if time.monotonic() > limit:
                logs = "\n".join(tail(self.folder / "log" / f"{name}.log") for name in missing)
                raise ServerError(f"No answer after {READY_LIMIT} s from {', '.join(missing)}.\n{logs}")
            self.supervisor.watch(0.2)
            self.revive()
        self.supervisor.watch(0)

    def watch(self, seconds: float) -> None:
        """Watch for ``seconds``: restart what dies, report it, and keep the stack file up to date."""
        moved = self.supervisor.watch(seconds)
        if self.revive() or moved:
            self.persist(self.publish)

    def revive(self) -> bool:
        """Start those servers again that died; return whether any did."""
        died = False
        for server in lifecycle.servers(self.instance, self._servers):
            before = self._servers[server.name]
            if server.pid() is None:
                with self.interrupts.held():
                    self._started.update(lifecycle.ensure_running(self.instance, [server.name]))
            now = server.pid()
            if now != before:  # a worker that found it missing may have started it first
                self.say(f"{server.name} (pid {before}) died; runs again as pid {now}")
                died = True
            self._servers[server.name] = now
        return died

    def persist(self, step: Callable[[], T]) -> T:
        """Take a step, which may be repeated: again, after a server that died under it was started again.

        :raises Exception: of the step, once a server has been out of reach for ``LOST_LIMIT`` though none died.
        """
        limit = time.monotonic() + LOST_LIMIT
        while True:
            try:
                return step()
            except LOST:
                connections.close_all()
                # Celery's connections may be to a server that is gone.
                current_app.pool.force_close_all(close_pool=False)  # type: ignore[attr-defined]
                if self.revive():
                    limit = time.monotonic() + LOST_LIMIT
                elif time.monotonic() > limit:
                    raise
                time.sleep(0.2)

    def stop_limit(self) -> int:
        """Return the seconds that stopping takes at most."""
        return self._programs_limit + lifecycle.stop_limit(self._started)

    def hurried(self) -> bool:
        """Return whether a second Ctrl-C asked to kill what is being stopped; say so, once."""
        if self.interrupts.hurry and not self._killing:
            self._killing = True
            self.say("killing")
        return self.interrupts.hurry

    def publish(self) -> None:
        self.file.write(
            {
                "instance": self.instance,
                "base_url": self.base_url,
                **self.logins,
                "broker_url": Valkey(self.instance).url() if "valkey" in self._servers else settings.BROKER_URL,
                "database_urls": {alias: _url(database) for alias, database in settings.DATABASES.items()},
                "pids": self.supervisor.pids,
                "servers": self._servers,
            }
        )

    def _missing(self) -> list[str]:
        pids = self.supervisor.pids
        workers = [f"worker-{context}" for context in settings.CONTEXTS]
        missing = [name for name in workers if not readiness.is_ready(self.instance, pids.get(name))]
        if "beat" not in pids:
            missing.append("beat")
        if not self._web_is_ready():
            missing.append("web")
        return missing

    def _web_is_ready(self) -> bool:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(f"{self.base_url}/readyz", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:  # an error status too
            return False


def _reachable(host: str) -> str:
    """Return the address at which this machine reaches a server that listens on ``host``."""
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{address}]" if ":" in address else address


def _url(database: dict[str, Any]) -> str:
    password = f":{quote(database['PASSWORD'], safe='')}" if database["PASSWORD"] else ""
    account = f"{quote(database['USER'], safe='')}{password}@" if database["USER"] else ""
    port = f":{database['PORT']}" if database["PORT"] else ""
    return f"postgresql://{account}{quote(database['HOST'], safe='')}{port}/{database['NAME']}"
