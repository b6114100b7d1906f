"""Which URLs of servers the shop can use. The settings check theirs here, so that a wrong one is a sentence.

Messages never hold a password: they show a URL without its account.
"""

from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

DATABASES = ("postgresql", "postgres", "pgsql")
BROKERS = ("redis", "rediss", "redis+socket", "sentinel", "amqp", "amqps", "pyamqp")


def database_url(name: str, url: str) -> str:
    """Return the URL of the setting ``name``. :raises ImproperlyConfigured: unless PostgreSQL can be at it."""
    _check(name, url, DATABASES, "PostgreSQL", "postgresql://user:password@host:5432/name")
    return url


def broker_url(name: str, urls: str) -> str:
    """Return the URL of a broker, or several between semicolons. :raises ImproperlyConfigured: unless it is known."""
    for url in urls.split(";"):
        _check(name, url, BROKERS, "Redis, Valkey or RabbitMQ", "redis://host:6379/0 or amqp://host:5672/name")
    return urls


def _check(name: str, url: str, schemes: tuple[str, ...], servers: str, example: str) -> None:
    out = f"Write it as {example}, or leave {name} out to use an embedded server."
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}={_shown(url)} is not a URL: {error}. {out}") from None
    if parts.scheme not in schemes:
        raise ImproperlyConfigured(f"{name}={_shown(url)} is not a URL of {servers}. {out}")
    if port == 0:
        raise ImproperlyConfigured(f"{name}={_shown(url)} has port 0: ports are 1 to 65535. {out}")


def _shown(url: str) -> str:
    scheme, found, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if found else repr(url.rpartition("@")[2])
