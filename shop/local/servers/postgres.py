"""The embedded PostgreSQL of an instance, on a Unix socket only."""

import contextlib
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable
from typing import Literal

from shop.local.servers.addresses import data_folder, socket_folder
from shop.local.servers.binaries import ServerError, postgres_program, private_folder, run
from shop.local.servers.processes import end, live, rotate, tail, working_in

SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "max_connections": "300",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "wal_level": "logical",  # a follower may stream the log
    "max_prepared_transactions": "50",  # the measurements beside two-phase commit
    "jit": "off",  # compiles for longer than our statements run
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %d ",
}

#: seconds that a server with a large checkpoint to write is given to stop; one that is killed recovers when it starts
STOP_LIMIT = 10
KILL_LIMIT = 2  # seconds from SIGQUIT to SIGKILL
LOOK = 0.02  # seconds between two looks at whether it has ended

#: Nobody misses a test's data after a power cut.
SETTINGS_OF_TESTS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Postgres:
    name = "postgres"

    def __init__(self, instance: str) -> None:
        self.instance = instance
        self.home = data_folder(instance)
        self.data = self.home / "postgres"
        self.log = self.home / "log" / "postgres.log"
        self.sockets = socket_folder(instance)

    def pid(self) -> int | None:
        """Return the pid of the live server, ready or not."""
        process = live(self.data / "postmaster.pid", "postgres")
        return process.pid if process else None

    def running(self) -> bool:
        """Return whether it accepts connections."""
        if self.pid() is None:
            return False
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.sockets / ".s.PGSQL.5432"))
            return "ready" in (self.data / "postmaster.pid").read_text().splitlines()[-1]
        return False

    @property
    def durable(self) -> bool:
        """Whether a crash loses nothing that was committed: not if the instance's name starts with ``test``."""
        return not self.instance.startswith("test")

    def settings(self) -> dict[str, str]:
        """Be durable, unless the instance's name starts with ``test``."""
        tests = {} if self.durable else SETTINGS_OF_TESTS
        return SETTINGS | tests | {"unix_socket_directories": str(self.sockets), "unix_socket_permissions": "0700"}

    def start(self) -> None:
        """Start it; the caller holds the instance's lock, and it is not running.

        :raises ServerError: with the last lines of its log.
        """
        self._clear()
        for folder in (self.home, self.sockets, self.log.parent):
            private_folder(folder)
        if not self.data.exists():
            self._initialise()
        self._configure()
        rotate(self.log)
        result = run(
            postgres_program("pg_ctl"), "start", "--silent", "--wait", "--timeout=300", "-D", self.data, "-l", self.log
        )
        if result.returncode != 0:
            raise ServerError(
                f"PostgreSQL of instance {self.instance!r} did not start. {result.stdout.strip()}\n"
                f"{tail(self.log)}\n"
                f"Its data is in {self.data}; if nothing in it is needed: "
                f"python -m shop.local clean --instance {self.instance}"
            )

    def stop(self, mode: Literal["fast", "immediate"] = "fast", *, hurried: Callable[[], bool] = lambda: False) -> None:
        """Stop it and close its connections; kill it if it does not end in time, or once ``hurried``.

        :param mode: ``immediate`` leaves no time for a checkpoint: the next start recovers, as after a crash.
        """
        if self.pid():
            run(postgres_program("pg_ctl"), "stop", "--silent", "--no-wait", f"--mode={mode}", "-D", self.data)
        limit = time.monotonic() + STOP_LIMIT
        while self.pid() and time.monotonic() < limit and not hurried():
            time.sleep(LOOK)
        self._clear()

    def _clear(self) -> None:
        """Clear the way for a new server after a crash, a reboot, or a deleted folder.

        PostgreSQL would refuse to start while backends of a killed server live, or when the number in a stale
        postmaster.pid by now belongs to another process of the same user.
        """
        for process in working_in(self.data, "postgres"):
            end(process, signal.SIGQUIT, KILL_LIMIT)
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        for leftover in self.sockets.glob(".s.PGSQL.5432*"):
            leftover.unlink(missing_ok=True)

    def _initialise(self) -> None:
        """Create the cluster in a folder beside, then rename it: it is complete or absent."""
        unfinished = private_folder(self.home / "postgres.unfinished")
        shutil.rmtree(unfinished)
        result = run(
            *(postgres_program("initdb"), "-D", unfinished, "--username=shop", "--auth=trust", "--encoding=UTF8"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions"),
            *(("--no-sync",) if self.instance.startswith("test") else ()),
        )
        if result.returncode != 0:
            raise ServerError(
                f"PostgreSQL of instance {self.instance!r} could not be created.\n{result.stdout.strip()}"
            )
        unfinished.rename(self.data)

    def _configure(self) -> None:
        lines = [f"{name} = '{value}'\n" for name, value in self.settings().items()]
        (self.data / "postgresql.conf").write_text("".join(lines))
        os.chmod(self.data / "postgresql.conf", 0o644)
