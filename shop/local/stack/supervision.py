"""Keeps programs running: supervisord restarts what dies; this reports each exit and its cause.

It is a child of ours that ends, in order, everything it started when it gets SIGTERM or when we die. We read
its log: one line for each process that is spawned or exits.
"""

import os
import queue
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from shop.local.servers.addresses import CHECKOUT
from shop.local.servers.binaries import ServerError
from shop.local.servers.processes import tail
from shop.local.stack import parent_death

PRIVATE = 0o600

SPAWNED = re.compile(r"spawned: '(?P<name>[^']+)' with pid (?P<pid>\d+)")
EXITED = re.compile(r"exited: (?P<name>\S+) \((?P<cause>.+?)(?:; (?:not )?expected)?\)$")
CONFIGURATION = """\
[supervisord]
nodaemon = true
logfile = {folder}/log/supervisord.log
logfile_maxbytes = 10MB
logfile_backups = 1
pidfile = {folder}/supervisord.pid
minfds = 1024
{user}
"""
PROGRAM = """
[program:{name}]
command = python shop/local/stack/parent_death.py {command}
priority = {priority}
autorestart = true
; Never give up: the pause between attempts grows by a second each time.
startretries = 1000000
stopwaitsecs = {patience}
killasgroup = true
redirect_stderr = true
stdout_logfile = {folder}/log/{name}.log
stdout_logfile_maxbytes = 10MB
stdout_logfile_backups = 2
"""
GROUP = """
[group:{name}]
programs = {programs}
priority = {priority}
"""


@dataclass(frozen=True)
class Program:
    """A command to keep running in the checkout; ``python`` is this environment's.

    They stop from the last rank to the first; those of one rank together.
    """

    name: str
    command: tuple[str, ...]
    rank: int
    patience: int  # seconds from SIGTERM to SIGKILL


TICK = 1  # seconds that supervisord may take to notice that a program's patience is over
LOOK = 0.05  # seconds between two looks at whether it has ended


def _never() -> bool:
    return False


class Supervisor:
    """Runs programs until ``stop``.

    :param folder: takes the configuration and the logs (``log/<name>.log``).
    :param say: is called with a line for each process that died and runs again.
    """

    def __init__(self, folder: Path, programs: list[Program], say: Callable[[str], None]) -> None:
        self.folder = folder
        self.programs = programs
        self.say = say
        self.pids: dict[str, int] = {}
        self._deaths: dict[str, str] = {}  # by program that is not back yet: what happened
        self._log: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        (self.folder / "log").mkdir(parents=True, exist_ok=True)
        for log in (self.folder / "log").iterdir():  # of a release that left them to everybody
            log.chmod(PRIVATE)
        configuration = self.folder / "supervisord.conf"
        configuration.write_text(self._configuration())
        reader, writer = os.pipe()
        self._process = subprocess.Popen(
            [
                sys.executable,
                parent_death.__file__,
                sys.executable,
                "-m",
                "supervisor.supervisord",
                "-c",
                str(configuration),
            ],
            stdin=reader,  # holds the pipe open: when we are killed, its last lines must not fail for lack of a reader
            stdout=writer,
            stderr=writer,
            cwd=CHECKOUT,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"},
            start_new_session=True,  # Ctrl-C is for us; we stop it in order
            umask=0o077,  # of its programs too: logs name people
        )
        os.close(writer)
        threading.Thread(target=self._listen, args=[reader], daemon=True).start()

    def watch(self, seconds: float) -> bool:
        """Wait at most ``seconds`` for news, act on it and report it; return whether any pid changed.

        :raises ServerError: when supervisord itself cannot start.
        """
        before = dict(self.pids)
        for line in self._news(seconds):
            self._understand(line)
        return self.pids != before

    @property
    def stop_limit(self) -> int:
        """Seconds that ``stop`` takes at most: those of one rank stop together."""
        ranks = {program.rank for program in self.programs}
        return sum(TICK + max(each.patience for each in self.programs if each.rank == rank) for rank in ranks)

    def stop(self, *, hurried: Callable[[], bool] = _never) -> None:
        """Stop everything, in order; what does not end within its patience is killed, or all once ``hurried``."""
        if self._process is not None:
            self._process.terminate()
        self._reap(hurried)
        self._kill_groups()

    def _reap(self, hurried: Callable[[], bool] = _never) -> None:
        """Wait for supervisord to end, as long as its programs may take; then kill it, so that it restarts nothing."""
        if self._process is None:
            return
        limit = time.monotonic() + self.stop_limit
        while self._process.poll() is None:
            if hurried() or time.monotonic() > limit:
                self._process.kill()
                self._process.wait()
            time.sleep(LOOK)

    def _listen(self, reader: int) -> None:
        with open(reader, errors="replace") as lines:
            for line in lines:
                self._log.put(line.rstrip())
        self._log.put(None)

    def _news(self, seconds: float) -> Iterator[str | None]:
        with suppress(queue.Empty):
            yield self._log.get(timeout=seconds)
            while True:
                yield self._log.get_nowait()

    def _understand(self, line: str | None) -> None:
        if line is None:
            if not self.pids and not self._deaths:
                raise ServerError(f"supervisord did not start.\n{tail(self.folder / 'log' / 'supervisord.log')}")
            self._kill_groups()
            self._reap()
            self.start()
        elif found := EXITED.search(line):
            name, pid = found["name"], self.pids.pop(found["name"], 0)
            self._kill_group(pid)
            self._deaths[name] = f"{name} (pid {pid}) died: {found['cause']}"
        elif found := SPAWNED.search(line):
            name, pid = found["name"], int(found["pid"])
            self.pids[name] = pid
            if death := self._deaths.pop(name, None):
                self.say(f"{death}; runs again as pid {pid}")
        elif "spawnerr" in line or " CRIT " in line:
            self.say(line)

    def _kill_groups(self) -> None:
        for name, pid in self.pids.items():
            self._kill_group(pid)
            self._deaths[name] = f"{name} (pid {pid}) died: its supervisor did"
        self.pids.clear()

    def _kill_group(self, pid: int) -> None:
        """Kill a program's process group: a killed parent leaves children that would go on working."""
        if pid:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    def _configuration(self) -> str:
        # Paths are relative: the checkout's path may contain any character, the format's comment signs too.
        folder = self.folder.relative_to(CHECKOUT)
        parts = [CONFIGURATION.format(folder=folder, user="user = root" if os.getuid() == 0 else "")]
        for program in self.programs:
            command = shlex.join(program.command).replace("%", "%%")
            parts.append(
                PROGRAM.format(
                    name=program.name, command=command, priority=program.rank, patience=program.patience, folder=folder
                )
            )
        for rank in sorted({program.rank for program in self.programs}):
            names = ",".join(program.name for program in self.programs if program.rank == rank)
            parts.append(GROUP.format(name=f"rank{rank}", programs=names, priority=rank))
        return "".join(parts)
