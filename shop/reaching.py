"""Says in a sentence which database or broker cannot be used, why, and the way out."""

from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import redis
from django.conf import settings
from django.db import Error, InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from kombu import Connection
from kombu.exceptions import OperationalError as BrokerError
from kombu.utils.url import sanitize_url

PATIENCE = 5  # seconds that a broker is given to answer; databases have connect_timeout

MISSING = "no such database"
MIGRATE = "Run manage.py migrate, which creates it."

#: What code meets when a server does not answer, or ends while it is used.
LOST = (
    OperationalError,
    InterfaceError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    BrokerError,
    redis.RedisError,
)


class Unreachable(Exception):
    """A server of one's own cannot be used; the message says which, why, and what to do."""


def ensure_reachable(aliases: Iterable[str], *, broker: bool) -> None:
    """Ask each database's server and the broker. A database that is missing is no obstacle: ``migrate`` makes it.

    :raises Unreachable: naming all that cannot be used.
    """
    if sentences := unreachable(aliases, broker=broker, missing=False):
        raise Unreachable("\n".join(sentences))


def unreachable(aliases: Iterable[str] | None = None, *, broker: bool = True, missing: bool = True) -> list[str]:
    """Return a sentence for each server that cannot be used.

    :param aliases: of databases; None for all.
    :param missing: whether a database that is missing counts.
    """
    wanted = list(settings.DATABASES if aliases is None else aliases)
    with ThreadPoolExecutor(max_workers=len(wanted) + 1) as pool:  # a network that swallows all costs one time-out
        asked = pool.submit(_reason_of_broker) if broker else None
        reasons = dict(zip(wanted, pool.map(lambda alias: _reason(alias, missing=missing), wanted), strict=True))
        reason = asked.result() if asked else None
    servers: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
    for alias, why in reasons.items():
        if why:
            database = connections[alias].settings_dict
            address = f"{database['HOST'] or 'localhost'}:{database['PORT'] or 5432}"
            servers[settings.DATABASE_SETTINGS[alias], address, why.replace(database["NAME"], "…")].append(alias)
    sentences = [
        f"PostgreSQL at {address} cannot be used for {', '.join(_name(alias) for alias in of)}: "
        f"{reasons[of[0]]}. {MIGRATE if reasons[of[0]] == MISSING else _way_out(setting)}"
        for (setting, address, _), of in servers.items()
    ]
    if reason:
        name = "" if settings.BROKER_IS_EMBEDDED else "BROKER_URL"
        sentences.append(
            f"The broker at {sanitize_url(settings.BROKER_URL)} cannot be used: {reason}. {_way_out(name)}"
        )
    return sentences


def reach_broker(patience: float = PATIENCE) -> None:
    """Connect to the broker once. :raises Exception: of the transport's, if that fails."""
    options = {"socket_connect_timeout": patience, "socket_timeout": patience}
    with Connection(settings.BROKER_URL, connect_timeout=patience, transport_options=options) as broker:
        broker.ensure_connection(max_retries=1, interval_start=0, interval_step=0)


def _way_out(setting: str) -> str:
    if not setting:
        return f"It is an embedded server: python -m shop.local start --instance {settings.INSTANCE}"
    return f"Start it or correct {setting}; without {setting} an embedded one is used."


def _name(alias: str) -> str:
    return str(connections[alias].settings_dict["NAME"])


def _reason(alias: str, *, missing: bool) -> str | None:
    """Return why a database cannot be used; None if it can."""
    connection: BaseDatabaseWrapper = connections[alias].copy()
    try:
        connection.connect()
        return None
    except (Error, psycopg.Error) as error:
        exists = _exists(connection)
        if exists is False:
            return MISSING if missing else None
        return _cause(error)
    finally:
        connection.close()


def _exists(connection: BaseDatabaseWrapper) -> bool | None:
    """Ask the server's database ``postgres``; None if it does not answer either."""
    try:
        parameters = connection.get_connection_params() | {"dbname": "postgres"}
        parameters = {key: parameters[key] for key in parameters.keys() - {"cursor_factory", "context"}}
        with psycopg.connect(**parameters) as server:
            found = server.execute("SELECT FROM pg_database WHERE datname = %s", [connection.settings_dict["NAME"]])
            return found.fetchone() is not None
    except psycopg.Error:
        return None


def _cause(error: BaseException) -> str:
    """Return the server's own words in psycopg's message, which names addresses and gives advice too."""
    lines = str(error).strip().splitlines()
    fatal = [line.partition("FATAL:")[2] for line in lines if "FATAL:" in line]
    failed = [line.rpartition("failed: ")[2] for line in lines if "failed: " in line]
    return (fatal or failed or lines or [type(error).__name__])[-1].strip().rstrip(".")


def _reason_of_broker() -> str | None:
    try:
        reach_broker()
    except Exception as error:  # each transport has its own
        return (str(error).strip() or type(error).__name__).rstrip(".")
    return None
