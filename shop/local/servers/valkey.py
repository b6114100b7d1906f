"""The embedded Valkey of an instance, on a Unix socket only, in a folder that only its user can enter.

It keeps nothing on disk: the broker is a hint.
"""

import os
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
port 0
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
        """Return whether it answers. One that listens on TCP too does not count: release 1.0 started it."""
        try:
            with self._client() as client:
                return bool(client.config_get("port")["port"] == "0")
        except (redis.RedisError, OSError):
            return False

    def url(self) -> str:
        """Return its address for tools that speak Redis's protocol. Celery's is ``addresses.broker_url``."""
        return f"unix://{self.sockets}/valkey.sock?db=0"

    def start(self) -> None:
        """Start it; the caller holds the instance's lock, and it is not running.

        :raises ServerError: with the last lines of its log.
        """
        self.stop()
        for folder in (self.home, self.sockets, self.log.parent):
            private_folder(folder)
        rotate(self.log)
        self.configuration.write_text(CONFIGURATION.format(sockets=self.sockets, log=self.log))
        os.chmod(self.configuration, 0o644)
        run(valkey_program(), self.configuration)
        if not self._answers():
            raise ServerError(f"Valkey of instance {self.instance!r} did not start.\n{tail(self.log)}")

    def stop(self) -> None:
        for process in working_in(self.sockets, "valkey-server"):
            end(process, patience=ANSWER_LIMIT)
        for leftover in ("valkey.pid", "valkey.sock"):
            (self.sockets / leftover).unlink(missing_ok=True)

    def _answers(self) -> bool:
        """Wait until it answers, or has ended."""
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
            unix_socket_path=str(self.sockets / "valkey.sock"),
            socket_timeout=ANSWER_LIMIT,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
