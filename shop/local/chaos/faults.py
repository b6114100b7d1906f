"""How each fault is done to a running stack. What one breaks for a while, it mends before it returns."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Event

import psutil

from celery_app import app
from shop.local.chaos.plan import Fault, Kind
from shop.local.servers import lifecycle
from shop.local.servers.binaries import ServerError
from shop.local.stack.file import StackFile, read

FROZEN = 3.0  # seconds from SIGSTOP to SIGCONT
DOWN = 1.0  # seconds from PostgreSQL's end to its start
BACK_WITHIN = 60  # seconds until a process that died must run again
LOOK = 0.05  # seconds between two looks until then

Say = Callable[[str], None]


class Faults:
    """Breaks the stack of an instance.

    :param say: is given a line for each thing that is done, as it is done.
    :param over: once it is set, nothing stays broken a moment longer.
    """

    def __init__(self, instance: str, *, say: Say, over: Event) -> None:
        self._instance = instance
        self._file = StackFile(instance)
        self._say = say
        self._over = over

    def cause(self, fault: Fault) -> None:
        """Do it, and mend it if it does not mend itself.

        :raises ServerError: when a process or server that died before does not come back.
        """
        match fault.kind:
            case Kind.WORKER_KILLED:
                self._kill(f"worker-{fault.context}", _workers(fault.context))
            case Kind.WORKER_FROZEN:
                self._freeze(f"worker-{fault.context}", _workers(fault.context))
            case Kind.BEAT_KILLED:
                self._kill("beat", "beat")
            case Kind.BROKER_WIPED:
                self._say("FLUSHALL: the broker has forgotten every message")
                wipe_broker()
            case Kind.POSTGRES_RESTARTED:
                self._restart_postgres()

    def _kill(self, name: str, words: str) -> None:
        group = self._group(name)
        self._say(f"SIGKILL {words}")
        signal_group(group, signal.SIGKILL)

    def _freeze(self, name: str, words: str) -> None:
        group = self._group(name)
        self._say(f"SIGSTOP {words}")
        signal_group(group, signal.SIGSTOP)
        try:
            self._over.wait(FROZEN)
        finally:
            signal_group(group, signal.SIGCONT)
            self._say(f"SIGCONT {words}")

    def _restart_postgres(self) -> None:
        self._say("PostgreSQL: immediate shutdown, of all databases")
        lifecycle.crash_postgres(self._instance, down=lambda: self._over.wait(DOWN))
        self._say("PostgreSQL runs again")

    def _group(self, name: str) -> int:
        """The process group of a program of the stack, as soon as it runs.

        The stack's file may still name a process that died, and whose number belongs to another by now: so it
        must descend from the stack.
        """
        limit = time.monotonic() + BACK_WITHIN
        while True:
            stack = read(self._file.own) or {}
            pid = stack.get("pids", {}).get(name, 0)
            with suppress(psutil.Error):
                if pid and stack["up"] in (parent.pid for parent in psutil.Process(pid).parents()):
                    return int(pid)
            if time.monotonic() > limit or self._over.wait(LOOK):
                raise ServerError(f"{name} did not run again within {BACK_WITHIN} s; log: {self._file.own.parent}/log/")


def signal_group(group: int, number: int) -> None:
    """Signal a program with all of its processes, which lead a group; one that is gone is left in peace."""
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def wipe_broker() -> None:
    """Have the broker forget every message and every queue."""
    with app.connection_for_write() as connection:
        client = getattr(connection.default_channel, "client", None)
        if client is None:  # not a Redis
            app.control.purge()
        else:
            client.flushall()


def _workers(context: str) -> str:
    return f"{context}' worker" if context.endswith("s") else f"{context}'s worker"
