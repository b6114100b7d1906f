"""A port for the web server that no other stack on this machine is about to take."""

import errno
import fcntl
import os
import socket
from argparse import ArgumentTypeError

from shop.local.servers.addresses import SOCKETS
from shop.local.servers.binaries import ServerError

DEFAULT = 8000
LAST = 65535
TRIED = 100  # ports from the first one on, where the next free one will do


def port(text: str) -> int:
    """Read a port from the command line. :raises ArgumentTypeError: if it is none."""
    if text.isascii() and text.isdigit() and 1 <= int(text) <= LAST:
        return int(text)
    raise ArgumentTypeError(f"{text!r} is not a port: choose one from 1 to {LAST}, or leave it out")


def reserve(host: str, port: int, *, or_next: bool) -> socket.socket:
    """Hold a port for a server of this user that binds with SO_REUSEPORT; the caller closes the socket at the end.

    Such servers would share a port without an error, and take each other's requests. So each holds its port by
    a socket that does not listen, and looks for others before it does.

    :param or_next: whether the next free port will do.
    :raises ServerError: when the port is taken, or the host is not an address of this machine.
    """
    turn = os.open(SOCKETS, os.O_RDONLY)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)  # one process at a time looks for a port and takes it
        last = min(port + TRIED - 1, LAST) if or_next else port
        for candidate in range(port, last + 1):
            try:
                _bound(host, candidate, socket.SO_REUSEADDR).close()
                return _bound(host, candidate, socket.SO_REUSEPORT)
            except (socket.gaierror, UnicodeError):
                raise ServerError(f"There is no host {host!r}. Choose another.") from None
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:
                    raise ServerError(f"{host} is not an address of this machine. Choose another.") from None
                reason = error
        which = f"Ports {port} to {last}" if or_next else f"Port {port}"
        raise ServerError(f"{which} of {host} cannot be used: {reason.strerror}. Choose another port.")
    finally:
        os.close(turn)


def _bound(host: str, port: int, option: int) -> socket.socket:
    probe = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        probe.setsockopt(socket.SOL_SOCKET, option, 1)
        probe.bind((host, port))
    except OSError:
        probe.close()
        raise
    return probe
