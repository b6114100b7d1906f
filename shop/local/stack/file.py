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

SHARED = CHECKOUT / "var" / "stack.json"


class StackFile:
    def __init__(self, instance: str) -> None:
        self.own = instance_folder(instance) / "stack.json"

    def write(self, content: dict[str, Any]) -> None:
        """Write the file at once: readers find either the previous one or this one, never a part."""
        for path in self._ours():
            unfinished = path.with_name(f".{path.name}.{os.getpid()}")
            with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(content | {"up": os.getpid()}, file, indent=2)
            unfinished.replace(path)

    def remove(self) -> None:
        for path in self._ours():
            path.unlink(missing_ok=True)

    def _ours(self) -> Iterator[Path]:
        yield self.own
        if owner(SHARED) in (None, os.getpid()):
            yield SHARED


def read(path: Path) -> dict[str, Any] | None:
    """Return the content of a stack file; None if there is none."""
    with contextlib.suppress(OSError, ValueError):
        content: dict[str, Any] = json.loads(path.read_text())
        return content
    return None


def owner(path: Path) -> int | None:
    """Return the process that wrote a stack file, if it still lives."""
    try:
        pid = int((read(path) or {})["up"])
        # A process younger than the file has only inherited the number.
        return pid if psutil.Process(pid).create_time() <= path.stat().st_mtime else None
    except (KeyError, OSError, psutil.Error):
        return None
