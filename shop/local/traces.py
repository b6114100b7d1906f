"""What servers leave behind: pid files, logs, processes."""

import contextlib
import signal
from pathlib import Path

import psutil

#: bytes; a log that has grown beyond this when its server starts makes way for a new one
LOG_LIMIT = 10_000_000


def live(pid_file: Path, name: str) -> psutil.Process | None:
    """The process that a pid file names, unless it is gone or its number belongs to another program by now."""
    try:
        process = psutil.Process(int(pid_file.read_text().split()[0]))
        if process.name().startswith(name) and process.status() != psutil.STATUS_ZOMBIE:
            return process
    except (OSError, ValueError, IndexError, psutil.Error):
        pass
    return None


def end(process: psutil.Process, ask: int = signal.SIGTERM, patience: float = 10) -> None:
    """See a process end: ask it by a signal, wait that many seconds, then kill it and its children."""
    with contextlib.suppress(psutil.Error):
        family = [process, *process.children(recursive=True)]
        process.send_signal(ask)
        psutil.wait_procs(family, timeout=patience)
        for member in family:
            with contextlib.suppress(psutil.Error):
                member.kill()
        psutil.wait_procs(family, timeout=patience)


def tail(log: Path, lines: int = 8) -> str:
    """The last lines of a log, under its path."""
    try:
        found = log.read_text(errors="replace").splitlines()[-lines:]
    except OSError:
        found = ["(no log)"]
    return "\n  ".join([f"{log}:", *found])


def rotate(log: Path) -> None:
    """Keep a log bounded: the one of before, and the current one."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))
