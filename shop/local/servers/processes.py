"""What servers leave behind: pid files, logs, processes."""

import contextlib
import signal
import time
from pathlib import Path

import psutil

#: bytes; a log that has grown beyond this when its server starts makes way for a new one
LOG_LIMIT = 10_000_000


def live(pid_file: Path, name: str) -> psutil.Process | None:
    """Return the process that a pid file names, unless it has ended or another program has its pid by now."""
    try:
        process = psutil.Process(int(pid_file.read_text().split()[0]))
        return process if process.name().startswith(name) and not gone(process) else None
    except (OSError, ValueError, IndexError, psutil.Error):
        return None


def working_in(folder: Path, name: str) -> list[psutil.Process]:
    """Return the processes of that name that run in this folder, even if it was deleted meanwhile.

    Servers work in a folder of their own, so this finds them (and a killed server's children) without pid files.
    """

    def here(process: psutil.Process) -> bool:
        try:
            return process.name() == name and process.cwd().removesuffix(" (deleted)") == str(folder)
        except psutil.Error:
            return False

    return [process for process in psutil.process_iter() if here(process)]


def gone(process: psutil.Process) -> bool:
    """Return whether a process has ended, reaped by its parent or not."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def end(process: psutil.Process, ask: int = signal.SIGTERM, patience: float = 10) -> None:
    """End a process: ask it by a signal, wait ``patience`` seconds, then kill it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(ask)
        limit = time.monotonic() + patience
        while not gone(process) and time.monotonic() < limit:
            time.sleep(0.01)
        process.kill()
        while not gone(process):
            time.sleep(0.01)


def tail(log: Path, lines: int = 8) -> str:
    """Return the last lines of a log, under its path."""
    try:
        found = log.read_text(errors="replace").splitlines()[-lines:]
    except OSError:
        found = ["(no log)"]
    return "\n  ".join([f"{log}:", *found])


def rotate(log: Path) -> None:
    """Keep a log bounded: the current one and the one before it."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))
