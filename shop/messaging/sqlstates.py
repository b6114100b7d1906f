"""What PostgreSQL says went wrong, read from SQLSTATEs and fields of the error, never from its text."""

from collections.abc import Iterator

import psycopg

LOCK_NOT_AVAILABLE = "55P03"
QUERY_CANCELED = "57014"
CHECK_VIOLATION = "23514"
UNIQUE_VIOLATION = "23505"


def lock_timed_out(error: BaseException) -> bool:
    """Tell whether the statement waited for a lock for longer than ``lock_timeout``."""
    return any(cause.sqlstate == LOCK_NOT_AVAILABLE for cause in database_errors(error))


def was_canceled(error: BaseException) -> bool:
    """Tell whether the statement took longer than ``statement_timeout``, or an administrator ended it."""
    return any(cause.sqlstate == QUERY_CANCELED for cause in database_errors(error))


def violated_unique(error: BaseException) -> str | None:
    """Return the name of the unique constraint that the statement violated; ``None`` if it did not."""
    names = (cause.diag.constraint_name for cause in database_errors(error) if cause.sqlstate == UNIQUE_VIOLATION)
    return next(names, None)


def lacks_partition(error: BaseException) -> bool:
    """Tell whether a row found no partition of its table.

    It shares its SQLSTATE with a violated check, which names the constraint; this one names the table alone.
    """
    return any(
        cause.sqlstate == CHECK_VIOLATION and bool(cause.diag.table_name) and cause.diag.constraint_name is None
        for cause in database_errors(error)
    )


def database_errors(error: BaseException | None) -> Iterator[psycopg.Error]:
    """Yield the driver's errors among an exception and its causes, outermost first."""
    while error is not None:
        if isinstance(error, psycopg.Error):
            yield error
        error = error.__cause__
