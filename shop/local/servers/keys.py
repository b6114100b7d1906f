"""The key that signs an instance's messages. It is made when it is first asked for, and stays."""

import contextlib
import os
import secrets

from shop.local.servers.addresses import instance_folder

BITS = 256


def message_key(instance: str) -> str:
    """Return the instance's key for messages, from a file that only its owner reads.

    :raises OSError: if it can be neither read nor made.
    """
    path = instance_folder(instance) / "message.key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(BITS // 8))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process was first: all take its key
            os.link(unfinished, path)
        unfinished.unlink()
    return path.read_text().strip()
