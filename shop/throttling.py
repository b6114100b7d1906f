"""How often something may be done: limits that hold across processes, counted in the shared cache.

A *window* begins with the first act under a key and lasts as long as the rate's period; in it, so many acts are
admitted. All keys of an act (the member, the address) are looked at and counted in one atomic step and one round
trip: of many acts at the same instant, none slips through. What is refused counts for nothing.

While the cache is away, or without ``CACHE_URL``, each process counts for itself.
"""

import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address
from threading import Lock
from typing import NamedTuple

from django.core.cache import caches

from shop.cache import CacheAway, SharedCache

ADMIT = """
local wait = 0
for i, key in ipairs(KEYS) do
  if tonumber(redis.call('GET', key) or 0) >= tonumber(ARGV[2 * i - 1]) then
    wait = math.max(wait, redis.call('PTTL', key), 1)
  end
end
if wait == 0 then
  for i, key in ipairs(KEYS) do
    if redis.call('INCR', key) == 1 then redis.call('PEXPIRE', key, ARGV[2 * i]) end
  end
end
return wait
"""
"""Count one under each key, for (limit, milliseconds) in pairs; where one is full, count none, and return the wait."""

TAKE_BACK = """
for _, key in ipairs(KEYS) do
  if tonumber(redis.call('GET', key) or 0) > 0 then redis.call('DECR', key) end
end
return 0
"""

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

OWN_COUNTERS = 10_000  # that a process keeps at most; the oldest windows are forgotten first


class Rate(NamedTuple):
    """So many within so many seconds."""

    number: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> "Rate | None":
        """Read ``30/m`` or ``10/15m`` (s, m, h, d); ``off`` is no limit. :raises ValueError:"""
        if text == "off":
            return None
        found = re.fullmatch(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,3})?([smhd])", text)
        if found is None:
            raise ValueError(f"{text!r} is not a rate: write 30/m, 10/15m (s, m, h or d), or off")
        number, periods, unit = found.groups()
        return cls(int(number), int(periods or 1) * SECONDS[unit])


class Limit(NamedTuple):
    """How often something may be done under a key."""

    key: str
    rate: Rate | None


def admit(*limits: Limit) -> float:
    """Count an act under each key and return 0; or count nothing, and return the seconds until it may be tried again.

    Without a limit that is on, it costs nothing.
    """
    on = [(limit.key, limit.rate) for limit in limits if limit.rate]
    if not on:
        return 0
    numbers = [number for _, rate in on for number in (rate.number, rate.seconds * 1000)]
    if isinstance(shared := caches["default"], SharedCache):
        try:
            return shared.run(ADMIT, [key for key, _ in on], numbers) / 1000
        except CacheAway:
            pass
    return _own.admit(on)


def take_back(*limits: Limit) -> None:
    """Let an act that was admitted count no longer."""
    keys = [limit.key for limit in limits if limit.rate]
    if keys and isinstance(shared := caches["default"], SharedCache):
        try:
            shared.run(TAKE_BACK, keys, ())
            return
        except CacheAway:
            pass
    _own.take_back(keys)


def key_of_address(address: str) -> str:
    """Return what stands for a client's address: of IPv6 its /64, since a client has all of those."""
    try:
        found = ip_address(address)
    except ValueError:  # a server on a socket knows none
        return "unknown"
    if not isinstance(found, IPv6Address):
        return str(found)
    return str(found.ipv4_mapped or IPv6Address(int(found) >> 64 << 64))


def key_of_text(text: str) -> str:
    """Return a short key for a text of any length and content; upper and lower case are the same."""
    return hashlib.sha256(text.casefold().encode("utf-8", "replace")).hexdigest()[:32]


class OwnCounters:
    """The same within one process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._windows: OrderedDict[str, tuple[int, float]] = OrderedDict()  # key -> count, end

    def admit(self, limits: Sequence[tuple[str, Rate]]) -> float:
        now = time.monotonic()
        with self._lock:
            windows = [self._window(key, now, rate.seconds) for key, rate in limits]
            full = [end - now for (count, end), (_, rate) in zip(windows, limits, strict=True) if count >= rate.number]
            if full:
                return max(full)
            for (key, _), (count, end) in zip(limits, windows, strict=True):
                self._windows[key] = (count + 1, end)
            while len(self._windows) > OWN_COUNTERS:
                self._windows.popitem(last=False)
        return 0

    def take_back(self, keys: Sequence[str]) -> None:
        with self._lock:
            for key in keys:
                count, end = self._windows.get(key, (0, 0.0))
                if count:
                    self._windows[key] = (count - 1, end)

    def _window(self, key: str, now: float, seconds: float) -> tuple[int, float]:
        count, end = self._windows.get(key, (0, 0.0))
        if end > now:
            return count, end
        self._windows.pop(key, None)  # so that a new window is the youngest
        return 0, now + seconds


_own = OwnCounters()
