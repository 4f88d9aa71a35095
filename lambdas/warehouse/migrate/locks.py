"""Locks of tables that others use: a change waits for them for seconds only, for all that come after it wait behind it.

https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-LOCK-TIMEOUT
https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
"""

import time
from collections.abc import Callable
from typing import Any, Final

import psycopg
from aws_lambda_powertools import Logger

LOCK_TIMEOUT: Final = "5s"
TRIES: Final = 8
_PAUSE_SECONDS: Final = 10  # in which loads and questions go on; all tries end within the function's 300 seconds
_logger = Logger(child=True)


def limit_waits(connection: psycopg.Connection[Any]) -> None:
    """From here on a statement fails that does not get a lock in time; the setting ends with the session."""
    connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")


def patiently[T](step: Callable[[], T]) -> T:
    """Does a step that may be repeated, again when it did not get a lock in time.

    Raises:
        psycopg.errors.LockNotAvailable: it never got it.
    """
    for left in reversed(range(TRIES)):
        try:
            return step()
        except psycopg.errors.LockNotAvailable:
            if not left:
                raise
            _logger.warning("a table is in use", extra={"tries_left": left})
            time.sleep(_PAUSE_SECONDS)
    raise AssertionError("unreachable")
