import socket

import pytest

from shop.local.servers.binaries import ServerError
from shop.local.stack import ports

HOST = "127.0.0.1"


@pytest.fixture
def free():
    """A port with room for others after it."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return min(probe.getsockname()[1], 60000)


def test_two_stacks_never_get_the_same_port(free):
    with ports.reserve(HOST, free, or_next=True) as one, ports.reserve(HOST, free, or_next=True) as other:
        assert one.getsockname() != other.getsockname()


def test_the_reserved_port_is_free_for_a_server_that_shares_ports(free):
    with ports.reserve(HOST, free, or_next=True) as held, socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        server.bind(held.getsockname())
        server.listen()
        with socket.create_connection(held.getsockname()):
            server.accept()[0].close()


def test_a_port_that_was_asked_for_is_taken_or_refused_never_replaced(free):
    with ports.reserve(HOST, free, or_next=True) as held:
        taken = held.getsockname()[1]
        with pytest.raises(ServerError, match=f"Port {taken} .* Choose another port"):
            ports.reserve(HOST, taken, or_next=False)
