"""The numbered SQL files beside this module, applied in order by yoyo: https://ollycope.com/software/yoyo/latest/"""

import os
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from yoyo import get_backend, read_migrations

from warehouse.database import CONTROL, Login
from warehouse.migrate.locks import LOCK_TIMEOUT

FOLDER: Final = Path(__file__).with_name("migrations")


class MigrationFailed(RuntimeError):
    """A migration is not applied; its name, and why."""


def apply(master: Login) -> list[str]:
    """Names of the migrations that were applied now; the caller holds the advisory lock.

    yoyo records a migration after it has run, so each file must be safe to run again. Its own lock is a row, which
    a function that dies leaves behind: the holder of the advisory lock may remove it.

    Raises:
        MigrationFailed: a migration failed, or yoyo skipped one that it could not read; those before it are applied.
        psycopg.errors.LockNotAvailable: a table was in use; those before it are applied.
    """
    os.environ.setdefault("USER", "migrate")  # yoyo logs who it was; a function's user has no name
    with master.connect("migrate") as connection:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(CONTROL)))
    wanted = read_migrations(str(FOLDER))
    backend = get_backend(_uri(master))
    try:
        backend.break_lock()
        with backend.lock():
            missing = backend.to_apply(wanted)
            for number, migration in enumerate(missing):
                _apply(backend, missing[number : number + 1], migration.id)
            left = [migration.id for migration in backend.to_apply(wanted)]
    finally:
        backend.connection.close()
    if left:
        raise MigrationFailed(f"migrations were not applied: {', '.join(left)}")
    return [migration.id for migration in missing]


def _apply(backend: Any, migrations: Any, name: str) -> None:
    """Applies one migration; PostgreSQL's error does not say in which file it is."""
    try:
        backend.apply_migrations(migrations)
    except psycopg.errors.LockNotAvailable:
        raise
    except Exception as error:
        raise MigrationFailed(f"migration {name} failed: {' '.join(str(error).split())}") from error


def _uri(master: Login) -> str:
    user, password = quote(master.username, safe=""), quote(master.password, safe="")
    options = urlencode({"schema": CONTROL, "options": f"-c lock_timeout={LOCK_TIMEOUT}", **master.encryption})
    return f"postgresql+psycopg://{user}:{password}@{master.host}:{master.port}/{master.dbname}?{options}"
