"""Processes that end with their parent, even when it is killed (on Linux).

As a program, ``python parent_death.py COMMAND...`` becomes COMMAND, tied to the process that started it.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent(signal_number: int = signal.SIGTERM) -> None:
    """Receive a signal as soon as the parent ends. It survives ``exec`` but not ``fork``."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal_number))


if __name__ == "__main__":
    parent = os.getppid()
    die_with_parent()
    if os.getppid() == parent:  # else it ended before we were tied to it
        os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606
