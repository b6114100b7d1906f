"""The cache that all processes share (``CACHE_URL``), which no request waits for while it is away.

A cache that does not answer costs whoever asks a time-out. So the first failure is logged and opens a *circuit*: from
then on nobody asks, each process uses a cache of its own, and a thread that serves no request looks every two seconds
whether the shared one answers again.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, cached_property, wraps
from threading import Lock, Thread
from typing import Any

import redis
from django.conf import settings
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from django.core.checks import CheckMessage, Tags, Warning, register
from redis.backoff import NoBackoff
from redis.retry import Retry

from shop.logs import get_logger

log = get_logger(__name__)

TIMEOUT = 0.5  # seconds to connect, and for each answer
PAUSE = 2  # seconds between two looks at a cache that is away

FAILURES = (redis.RedisError, OSError)


class CacheAway(Exception):
    """The shared cache does not answer, or refuses to."""


class Circuit:
    """Whether the shared cache may be asked.

    :param probe: raises one of ``FAILURES`` while the cache is away.
    """

    def __init__(self, probe: Callable[[], object]) -> None:
        self._probe = probe
        self._lock = Lock()
        self._prober: Thread | None = None
        self.is_open = False

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Ask the cache inside. :raises CacheAway: at once while it is away; after a time-out, if it is from now on."""
        if self.is_open:
            self._ensure_prober()
            raise CacheAway
        try:
            yield
        except FAILURES as error:
            self._open(error)
            raise CacheAway from error

    def _open(self, error: Exception) -> None:
        with self._lock:
            if self.is_open:
                return
            self.is_open = True
        log.warning("cache away: each process counts for itself", error=f"{type(error).__name__}: {error}")
        self._ensure_prober()

    def _ensure_prober(self) -> None:
        """Threads do not survive a fork, and at times no further one can be started."""
        with self._lock:
            if self._prober is None or not self._prober.is_alive():
                self._prober = Thread(target=self._close_when_it_answers, name="cache-probe", daemon=True)
                with suppress(RuntimeError):
                    self._prober.start()

    def _close_when_it_answers(self) -> None:
        while self.is_open:
            time.sleep(PAUSE)
            try:
                self._probe()
            except FAILURES:
                continue
            self.is_open = False
            log.warning("cache answers again")


class JSON:
    """What is kept in the cache. Django pickles: whoever can write to the server could run code here."""

    def dumps(self, obj: Any) -> bytes:
        return json.dumps(obj).encode()

    def loads(self, data: Any) -> Any:
        return json.loads(data)


class Client(RedisCacheClient):
    """The connections to one server, and their circuit."""

    def __init__(self, servers: list[str]) -> None:
        # A connection that the server closed meanwhile is opened again, once; a time-out is not waited for twice.
        retry = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
        timeouts: dict[str, Any] = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT, "retry": retry}
        # RESP2 without CLIENT SETINFO: a new connection needs no further round trips.
        super().__init__(servers, serializer=JSON(), protocol=2, driver_info=None, **timeouts)
        self.circuit = Circuit(self.write_something)

    def run(self, script: str, keys: Sequence[str], arguments: Sequence[int]) -> int:
        """Run a Lua script, in one round trip, and return its number. :raises CacheAway:"""
        with self.circuit.closed():
            return int(self.get_client(write=True).eval(script, len(keys), *keys, *arguments))

    def write_something(self) -> None:
        """Raise one of ``FAILURES`` while the cache is away. A replica, or a full server, answers a PING too."""
        self.get_client(write=True).set("shop-probe", 1, px=1000)


@cache
def client_of(servers: tuple[str, ...]) -> Client:
    """Return the process's one client of a server. Django makes a cache for each thread."""
    return Client(list(servers))


def _with_a_substitute(name: str) -> Callable[..., Any]:
    shared, own = getattr(RedisCache, name), getattr(LocMemCache, name)

    @wraps(shared)
    def method(self: "SharedCache", *args: Any, **kwargs: Any) -> Any:
        try:
            with self.client.circuit.closed():
                return shared(self, *args, **kwargs)
        except CacheAway:
            return own(self.own, *args, **kwargs)

    return method


class SharedCache(RedisCache):
    """Django's Redis cache; while it is away, the process's own memory."""

    add, get, set, touch, delete, get_many, has_key, incr, set_many, delete_many = map(
        _with_a_substitute,
        ("add", "get", "set", "touch", "delete", "get_many", "has_key", "incr", "set_many", "delete_many"),
    )

    def __init__(self, server: list[str], params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self.client = client_of(tuple(server))
        self.own = LocMemCache("while-the-shared-cache-is-away", params)

    @cached_property
    def _cache(self) -> Client:
        return self.client

    def reach(self) -> None:
        """Ask the shared cache itself, whatever is known of it, for a second at most.

        :raises redis.RedisError, OSError: while it is away.
        """
        self.client.write_something()

    def run(self, script: str, keys: Sequence[str], arguments: Sequence[int]) -> int:
        """Run a Lua script on keys, with the deployment's prefix, in one round trip. :raises CacheAway:"""
        return self.client.run(script, [self.make_and_validate_key(key) for key in keys], arguments)


@register(Tags.caches, deploy=True)
def check_that_there_is_one(app_configs: object, **kwargs: object) -> list[CheckMessage]:
    """Limits hold across processes only where these share a cache."""
    if settings.CACHE_URL:
        return []
    hint = "Set CACHE_URL to a Redis or Valkey."
    return [Warning("Without a shared cache, each web process counts its limits for itself.", hint, id="shop.W001")]
