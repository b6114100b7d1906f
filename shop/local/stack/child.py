"""A whole stack as a child process, for as long as it is needed; it ends with us, even if we are killed."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from django.conf import settings

from shop.local.servers.addresses import CHECKOUT, instance_folder
from shop.local.servers.binaries import ServerError
from shop.local.stack import parent_death
from shop.local.stack.file import StackFile, read
from shop.local.stack.interrupts import Interrupts

READY_LIMIT = 180  # seconds until everything must answer
FREE_LIMIT = 60  # seconds that an earlier stack of this instance may take to end
STOP_LIMIT = 90  # seconds that ours may take, until it is killed; it needs less by far
LOOK = 0.1  # seconds between two looks

Say = Callable[[str], None]


@contextmanager
def stack_as_child(
    *, say: Say, interrupts: Interrupts, environment: Mapping[str, str] | None = None
) -> Iterator[dict[str, Any]]:
    """Run ``manage.py up``; yield the content of its ``stack.json`` once everything answers.

    :param say: is given each line that it prints.
    :param environment: settings for it, beside those of our own environment.
    :raises ServerError: when it does not start, or one of this instance runs already.
    """
    _await_free(say)
    process: subprocess.Popen[str] | None = None
    try:
        with interrupts.held():
            process = _started(environment or {})
        threading.Thread(target=_repeat, args=[process, say], daemon=True).start()
        yield _ready(process)
    finally:
        interrupts.hold()
        if process is not None:
            _stop(process, interrupts)


def _await_free(say: Say) -> None:
    """Wait until no other stack of this instance runs: that of a killed demo ends by itself."""
    folder = instance_folder(settings.INSTANCE)
    folder.mkdir(parents=True, exist_ok=True)
    limit = time.monotonic() + FREE_LIMIT
    said = False
    with (folder / "up.lock").open("w") as lock:
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            if time.monotonic() > limit:
                raise ServerError(
                    f"A stack of instance {settings.INSTANCE!r} runs: stop it first (Ctrl-C where it runs)."
                )
            if not said:
                say(f"waiting for an earlier stack of instance {settings.INSTANCE!r} to end")
                said = True
            time.sleep(LOOK)


def _started(environment: Mapping[str, str]) -> "subprocess.Popen[str]":
    command = (sys.executable, parent_death.__file__, sys.executable, "manage.py", "up")
    return subprocess.Popen(
        command,
        cwd=CHECKOUT,
        env={**os.environ, **environment, "SHOP_INSTANCE": settings.INSTANCE, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # Ctrl-C is for us; we stop it in order
    )


def _repeat(process: "subprocess.Popen[str]", say: Say) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        say(line.rstrip())


def _ready(process: "subprocess.Popen[str]") -> dict[str, Any]:
    own = StackFile(settings.INSTANCE).own
    limit = time.monotonic() + READY_LIMIT
    while time.monotonic() < limit:
        if process.poll() is not None:
            raise ServerError("The shop did not start; the lines above say why.")
        stack = read(own)
        if stack and stack.get("up") == process.pid:
            return stack
        time.sleep(LOOK)
    raise ServerError(f"The stack was not ready within {READY_LIMIT} s.")


def _stop(process: "subprocess.Popen[str]", interrupts: Interrupts) -> None:
    """Stop it; a second Ctrl-C is passed on, so that it kills what it is stopping."""
    process.send_signal(signal.SIGTERM)
    limit = time.monotonic() + STOP_LIMIT
    passed_on = False
    while process.poll() is None:
        if interrupts.hurry and not passed_on:
            process.send_signal(signal.SIGTERM)
            passed_on = True
        if time.monotonic() > limit:
            process.kill()
        time.sleep(LOOK)
