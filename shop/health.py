"""For whoever runs the process: is it alive, and may it be sent requests?

``/livez`` answers without any I/O: it fails only when the process itself does, and then it is to be restarted.

``/readyz`` asks every dependency. The process is *ready* while it can do what cannot wait, accepting an order:
the databases ``default`` (who is asking?) and ``orders``. The others are reported, and make it ``degraded``, not
unready: every process sees the same ones, so that taking all of them out of service because a list, the stock or
the broker is away would turn one part's outage into the whole shop's. The relay catches up by itself. Without the
cache, each process counts limits for itself (:mod:`shop.cache`); one that is not shared is no dependency.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from django.core.cache import caches
from django.db import connections
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from shop.cache import SharedCache
from shop.reaching import reach_broker

NEEDED = ("default", "orders")  # database aliases without which no order is accepted
PATIENCE = 2  # seconds that all dependencies together are given to answer

_probers = ThreadPoolExecutor(max_workers=16, thread_name_prefix="readyz")
_asked: dict[str, Future[None]] = {}


@require_safe
@never_cache
def livez(request: HttpRequest) -> JsonResponse:
    """The process is alive."""
    return JsonResponse({"status": "alive"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Each dependency, ``ok`` or what is wrong with it; 503 unless every needed one is ``ok``."""
    answers = _ask({**{alias: _probe_of(alias) for alias in connections}, "broker": _reach_broker, **_cache()})
    unready = any(answers[alias] != "ok" for alias in NEEDED)
    degraded = any(answer != "ok" for answer in answers.values())
    dependencies = {name: {"answer": answer, "needed": name in NEEDED} for name, answer in answers.items()}
    status = "unready" if unready else "degraded" if degraded else "ready"
    return JsonResponse({"status": status, "dependencies": dependencies}, status=503 if unready else 200)


def _ask(probes: dict[str, Callable[[], None]]) -> dict[str, str]:
    """Probe all at once. One that still hangs from an earlier time is not asked again: threads do not pile up."""
    for name, probe in probes.items():
        if name not in _asked or _asked[name].done():
            _asked[name] = _probers.submit(probe)
    asked = {name: _asked[name] for name in probes}
    wait(asked.values(), timeout=PATIENCE)
    return {name: _answer(future) for name, future in asked.items()}


def _answer(future: Future[None]) -> str:
    """The kind of failure, not its text, which may hold addresses and names."""
    if not future.done():
        return f"no answer within {PATIENCE} s"
    error = future.exception()
    return "ok" if error is None else type(error).__name__


def _probe_of(alias: str) -> Callable[[], None]:
    def select_one() -> None:
        """On a connection of its own: can one be had, now?"""
        connection = connections[alias].copy()
        connection.settings_dict["OPTIONS"] = connection.settings_dict["OPTIONS"] | {"connect_timeout": PATIENCE}
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        finally:
            connection.close()

    return select_one


def _reach_broker() -> None:
    reach_broker(PATIENCE)


def _cache() -> dict[str, Callable[[], None]]:
    """The shared cache is asked itself, not its circuit: a process that counts nothing has never tried it."""
    shared = caches["default"]
    return {"cache": shared.reach} if isinstance(shared, SharedCache) else {}
