"""The whole shop on one machine: servers, web, a worker for each context, beat."""

import fcntl
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
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
from shop.local.stack import ports, reach
from shop.local.stack.file import StackFile, read
from shop.local.stack.interrupts import Interrupts
from shop.local.stack.supervision import Program, Supervisor

#: seconds until everything must answer
READY_LIMIT = 120
#: seconds that a stack with a backlog is given to work it off before it is called ready all the same
REST_LIMIT = 20

Say = Callable[[str], None]


@contextmanager
def running_stack(
    *, host: str, port: int | None, web_workers: int, concurrency: int, say: Say, interrupts: Interrupts
) -> Iterator["Stack"]:
    """Migrate, seed, start everything and wait until all of it answers; at the end, stop what was started.

    :param port: None takes 8000, or the next free one.
    :raises ServerError: when something does not start, a stack of this instance runs already, or others could reach
        it and get in.
    """
    reach.check_key(host)
    with ExitStack() as undo:
        try:
            stack = Stack(say, interrupts)
            stack.claim(undo)
            stack.start_servers(undo)
            call_command("migrate", verbosity=1)
            stack.logins = seed()
            reach.check_logins(host, stack.logins)
            reach.raise_limits(host, say)
            connections.close_all()
            reserved = undo.enter_context(ports.reserve(host, port or 8000, or_next=port is None))
            stack.start_programs(undo, programs(host, reserved.getsockname()[1], web_workers, concurrency))
            stack.base_url = f"http://{_reachable(host)}:{reserved.getsockname()[1]}"
            stack.await_ready()
            wait_until_at_rest(limit=REST_LIMIT)  # sample products can be ordered once every context knows them
            undo.callback(stack.file.remove)
            stack.publish()
            yield stack
        finally:
            interrupts.hold()
            say("stopping")
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
            patience=20,
        )
        for context in settings.CONTEXTS
    ]
    beat = Program("beat", (*celery, "beat"), rank=2, patience=5)
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

    def claim(self, undo: ExitStack) -> None:
        """Make sure that this is the instance's only stack."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = undo.enter_context((self.folder / "up.lock").open("w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            address = (read(self.file.own) or {}).get("base_url", "it is still starting")
            raise ServerError(
                f"A stack of instance {self.instance!r} runs already ({address}). To run another beside it: "
                "SHOP_INSTANCE=other manage.py up"
            ) from None

    def start_servers(self, undo: ExitStack) -> None:
        needed = lifecycle.needed_by(settings.DATABASES.values(), settings.BROKER_URL, self.instance)
        undo.callback(lambda: lifecycle.stop(self.instance, self._started))
        with self.interrupts.held():
            self._started.update(lifecycle.ensure_running(self.instance, needed))
        for server in lifecycle.servers(self.instance, needed):
            self._servers[server.name] = server.pid()
            self.say(f"{server.name} runs as pid {server.pid()}")

    def start_programs(self, undo: ExitStack, wanted: list[Program]) -> None:
        self.supervisor = Supervisor(self.folder, wanted, self.say)
        undo.callback(self.supervisor.stop)
        with self.interrupts.held():
            self.supervisor.start()

    def await_ready(self) -> None:
        """Wait until the web server is ready and every worker answers.

        :raises ServerError: naming what does not, and the end of its log.
        """
        limit = time.monotonic() + READY_LIMIT
        while missing := self._missing():
            if time.monotonic() > limit:
                logs = "\n".join(tail(self.folder / "log" / f"{name}.log") for name in missing)
                raise ServerError(f"No answer after {READY_LIMIT} s from {', '.join(missing)}.\n{logs}")
            self.supervisor.watch(0.2)
        self.supervisor.watch(0)

    def watch(self, seconds: float) -> None:
        """Watch for ``seconds``: restart what dies, report it, and keep the stack file up to date."""
        with_news = self.supervisor.watch(seconds)
        for server in lifecycle.servers(self.instance, self._servers):
            before, now = self._servers[server.name], server.pid()
            if now is None:
                self._started.update(lifecycle.ensure_running(self.instance, [server.name]))
                now = server.pid()
            if now != before:  # a worker that found it missing may have started it first
                self.say(f"{server.name} (pid {before}) died; runs again as pid {now}")
                with_news = True
            self._servers[server.name] = now
        if with_news:
            self.publish()

    def publish(self) -> None:
        self.file.write(
            {
                "instance": self.instance,
                "base_url": self.base_url,
                **self.logins,
                "broker_url": Valkey(self.instance).public_url() if "valkey" in self._servers else settings.BROKER_URL,
                "database_urls": {alias: _url(database) for alias, database in settings.DATABASES.items()},
                "pids": self.supervisor.pids,
                "servers": self._servers,
            }
        )

    def _missing(self) -> list[str]:
        host = socket.gethostname()
        nodes = {f"{context}@{host}": f"worker-{context}" for context in settings.CONTEXTS}
        answers = {node for answer in current_app.control.ping(list(nodes), timeout=1) or () for node in answer}
        missing = [name for node, name in nodes.items() if node not in answers]
        if "beat" not in self.supervisor.pids:
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
