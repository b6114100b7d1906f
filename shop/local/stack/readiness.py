"""Which workers of a stack are ready: each leaves a file, named by its pid. (Celery's remote control is off.)"""

import os
import shutil
from pathlib import Path

from shop.local.servers.addresses import instance_folder


def expect_workers(instance: str) -> None:
    """Begin to note the workers of an instance that become ready."""
    shutil.rmtree(_folder(instance), ignore_errors=True)
    _folder(instance).mkdir(parents=True)


def announce(instance: str) -> None:
    """Note that this process, a worker, is ready, where a stack of its instance waits for workers."""
    if _folder(instance).is_dir():
        (_folder(instance) / str(os.getpid())).touch()


def is_ready(instance: str, pid: int | None) -> bool:
    """Return whether the worker of that pid has become ready."""
    return (_folder(instance) / str(pid)).is_file()


def _folder(instance: str) -> Path:
    return instance_folder(instance) / "ready"
