"""Who runs a command, for the log."""

import getpass
import os


def operator() -> str:
    """Return the user's name, as the system knows it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid {os.getuid()}"
