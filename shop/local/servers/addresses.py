"""Where the embedded servers of an instance are found.

An *instance* is a set of servers with a name (``dev``, ``demo``, ``test``). Its addresses follow from the
checkout, the user and the name alone: settings may be read before any server runs, and two checkouts, users
or instances never meet.
"""

import hashlib
import os
import re
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

CHECKOUT = Path(__file__).resolve().parents[3]

#: Not ``tempfile.gettempdir()``: TMPDIR may differ between the processes of one stack, and a socket's path
#: may be no longer than 107 characters.
SOCKETS = Path("/tmp")  # noqa: S108

#: As root, servers run under another user, who may not be able to enter the checkout.
ROOTS_DATA = Path("/var/lib")


def _name(instance: str) -> str:
    """Return a short name that is unique to this checkout, user and instance."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", instance):
        raise ValueError(f"SHOP_INSTANCE={instance!r}: use up to 40 lower-case letters, digits and dashes")
    identity = f"{CHECKOUT}\0{os.getuid()}\0{instance}"
    return "shop-" + hashlib.sha256(os.fsencode(identity)).hexdigest()[:12]


def instance_folder(instance: str) -> Path:
    """Return this instance's folder in the checkout: logs, ``stack.json``, beat's schedule, a user's data."""
    _name(instance)
    return CHECKOUT / "var" / instance


def data_folder(instance: str) -> Path:
    """Return the servers' own folder: the database cluster and the servers' logs."""
    return ROOTS_DATA / _name(instance) if os.getuid() == 0 else instance_folder(instance)


def socket_folder(instance: str) -> Path:
    return SOCKETS / _name(instance)


def database_url(database: str, instance: str) -> str:
    """Return the URL of a database of the embedded PostgreSQL, for psycopg and dj-database-url alike."""
    return f"postgresql://shop@{quote(str(socket_folder(instance)), safe='')}:5432/{database}"


def broker_url(instance: str) -> str:
    """Return the URL of the embedded Valkey, for Celery. For other tools: ``Valkey.url``."""
    return f"redis+socket://{socket_folder(instance)}/valkey.sock?virtual_host=0"


def cache_url(broker: str, instance: str) -> str:
    """Return the URL of the cache on a broker's server, for redis-py; none if the broker is no Redis or Valkey.

    Of the embedded one it is another database. Elsewhere there may be only one, and keys have a prefix anyway.
    """
    url = urlsplit(broker.partition(";")[0])  # of several for failover, the first
    options = dict(parse_qsl(url.query))
    if "ssl_cert_reqs" in options:  # Celery's name for it is CERT_REQUIRED
        options["ssl_cert_reqs"] = options["ssl_cert_reqs"].removeprefix("CERT_").lower()
    scheme = url.scheme
    if scheme == "redis+socket":
        scheme, database = "unix", options.pop("virtual_host", "0").strip("/")
        options["db"] = "1" if broker == broker_url(instance) else database
    if scheme not in ("redis", "rediss", "unix"):
        return ""
    query = f"?{urlencode(options)}" if options else ""
    return f"{scheme}://{url.netloc}{url.path}{query}"
