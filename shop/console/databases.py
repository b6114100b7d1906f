"""Creates databases that the settings name and the server does not have yet."""

from collections.abc import Iterable

from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper


def create_missing(aliases: Iterable[str]) -> list[str]:
    """Create the databases of these aliases that are missing; return those aliases.

    :raises OperationalError: when a server does not answer, or its user may not create databases.
    """
    return [alias for alias in aliases if _create_if_missing(connections[alias])]


def _create_if_missing(connection: BaseDatabaseWrapper) -> bool:
    name = connection.settings_dict["NAME"]
    try:
        connection.ensure_connection()
        return False
    except OperationalError:
        # Either the database is missing or the server is down: ask the server's database "postgres".
        with connection._nodb_cursor() as cursor:
            cursor.execute("SELECT FROM pg_database WHERE datname = %s", [name])
            if cursor.fetchone() is not None:
                raise
            cursor.execute(f"CREATE DATABASE {connection.ops.quote_name(name)} ENCODING 'UTF8' TEMPLATE template0")
        return True
