"""The embedded Valkey of an instance.

Our own processes use its Unix socket, whose address never changes. It also listens on a free port of this
machine, for tools that speak TCP only (``redis-cli -u``). It keeps nothing on disk: the broker is a hint.
"""

import contextlib
import os
import re
import socket
import time

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from shop.local.servers.addresses import data_folder, socket_folder
from shop.local.servers.binaries import ServerError, private_folder, run, valkey_program
from shop.local.servers.processes import end, live, rotate, tail, working_in

#: seconds
START_LIMIT = 10
ANSWER_LIMIT = 2

CONFIGURATION = """\
daemonize yes
bind 127.0.0.1
port {port}
unixsocket {sockets}/valkey.sock
unixsocketperm 700
pidfile {sockets}/valkey.pid
dir {sockets}
logfile "{log}"
save ""
appendonly no
"""


class Valkey:
    name = "valkey"

    def __init__(self, instance: str) -> None:
        self.instance = instance
        self.home = data_folder(instance)
        self.log = self.home / "log" / "valkey.log"
        self.sockets = socket_folder(instance)
        self.configuration = self.home / "valkey.conf"

    def pid(self) -> int | None:
        """Return the pid of the live server, ready or not."""
        process = live(self.sockets / "valkey.pid", "valkey-server")
        return process.pid if process else None

    def running(self) -> bool:
        """Return whether it answers."""
        try:
            with self._client() as client:
                return bool(client.ping())
        except (redis.RedisError, OSError):
            return False

    def public_url(self) -> str:
        """Return its address for tools that speak TCP; it may change when the server is restarted."""
        with self._client() as client:
            port = client.config_get("port")["port"]
        return f"redis://127.0.0.1:{port}/0"

    def start(self) -> None:
        """Start it; the caller holds the instance's lock, and it is not running.

        :raises ServerError: with the last lines of its log.
        """
        self.stop()
        for folder in (self.home, self.sockets, self.log.parent):
            private_folder(folder)
        rotate(self.log)
        for port in (self._last_port(), _free_port(), _free_port()):  # another process may take it first
            if self._started_on(port):
                return
        raise ServerError(f"Valkey of instance {self.instance!r} did not start.\n{tail(self.log)}")

    def stop(self) -> None:
        for process in working_in(self.sockets, "valkey-server"):
            end(process, patience=ANSWER_LIMIT)
        for leftover in ("valkey.pid", "valkey.sock"):
            (self.sockets / leftover).unlink(missing_ok=True)

    def _started_on(self, port: int) -> bool:
        self.configuration.write_text(CONFIGURATION.format(port=port, sockets=self.sockets, log=self.log))
        os.chmod(self.configuration, 0o644)
        run(valkey_program(), self.configuration)
        limit = time.monotonic() + START_LIMIT
        appeared = False
        while time.monotonic() < limit:
            if self.running():
                return True
            alive = self.pid() is not None
            if appeared and not alive:
                return False
            appeared = appeared or alive
            time.sleep(0.02)
        return False

    def _client(self) -> redis.Redis:
        return redis.Redis(
            unix_socket_path=str(self.sockets / "valkey.sock"), socket_timeout=ANSWER_LIMIT, retry=Retry(NoBackoff(), 0)
        )

    def _last_port(self) -> int:
        """Return the port it had before, if free, so that outside tools find it again."""
        with contextlib.suppress(OSError):
            if found := re.search(r"^port (\d+)$", self.configuration.read_text(), re.MULTILINE):
                return _free_port(int(found[1]))
        return _free_port()


def _free_port(wish: int = 0) -> int:
    """:raises OSError: if the requested port is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", wish))
        port: int = probe.getsockname()[1]
        return port
