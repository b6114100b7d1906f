"""A port for the web server that no other stack on this machine is about to take."""

import fcntl
import os
import socket

from shop.local.servers.addresses import SOCKETS
from shop.local.servers.binaries import ServerError


def reserve(host: str, port: int, *, or_next: bool) -> socket.socket:
    """Hold a port for a server of this user that binds with SO_REUSEPORT; the caller closes the socket at the end.

    Such servers would share a port without an error, and take each other's requests. So each holds its port by
    a socket that does not listen, and looks for others before it does.

    :param or_next: whether the next free port will do.
    :raises ServerError: when the port is taken.
    """
    turn = os.open(SOCKETS, os.O_RDONLY)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)  # one process at a time looks for a port and takes it
        for candidate in range(port, port + 100 if or_next else port + 1):
            try:
                _bound(host, candidate, socket.SO_REUSEADDR).close()
                return _bound(host, candidate, socket.SO_REUSEPORT)
            except OSError as error:
                reason = error
        raise ServerError(f"Port {port} of {host} cannot be used: {reason.strerror}. Choose another with --port.")
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
