"""``stack.json``: what outside tools need to know about a running stack.

It lies in the instance's folder, and in ``var/`` too unless another living stack has put its own there.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from shop.local.servers.addresses import CHECKOUT, instance_folder
from shop.local.servers.processes import gone

CLOCK_STEP = 2  # seconds by which a process's start may seem to move when the machine's clock is set

SHARED = CHECKOUT / "var" / "stack.json"


class StackFile:
    def __init__(self, instance: str) -> None:
        self.own = instance_folder(instance) / "stack.json"

    def write(self, content: dict[str, Any]) -> None:
        """Write the file at once: readers find either the previous one or this one, never a part."""
        me = psutil.Process()
        identity = {"up": me.pid, "up_since": me.create_time()}
        for path in self._ours():
            unfinished = path.with_name(f".{path.name}.{os.getpid()}")
            with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(content | identity, file, indent=2)
            unfinished.replace(path)

    def remove(self) -> None:
        """Remove the file, and the one in ``var/`` unless another living stack's: also those that a killed one left."""
        for path in self._ours():
            path.unlink(missing_ok=True)

    def _ours(self) -> Iterator[Path]:
        yield self.own
        if owner(SHARED) in (None, os.getpid()):
            yield SHARED


def read(path: Path) -> dict[str, Any] | None:
    """Return the content of a stack file, whoever left it; None if there is none."""
    with contextlib.suppress(OSError, ValueError):
        content: dict[str, Any] = json.loads(path.read_text())
        return content
    return None


def owner(path: Path) -> int | None:
    """Return the process that wrote a stack file; None if the file is stale, since that process ended."""
    content = read(path) or {}
    try:
        process = psutil.Process(int(content["up"]))
        # A process that began at another time has only inherited the number.
        same = abs(process.create_time() - float(content["up_since"])) < CLOCK_STEP
        return process.pid if same and not gone(process) else None
    except (KeyError, TypeError, ValueError, psutil.Error):
        return None
