"""The numbered SQL files beside this module, applied in order by yoyo: https://ollycope.com/software/yoyo/latest/"""

import os
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

from psycopg import sql
from yoyo import get_backend, read_migrations

from pipeline.warehouse import CONTROL, Login

FOLDER: Final = Path(__file__).with_name("migrations")


def apply(master: Login) -> list[str]:
    """Names of the migrations that were applied now; the caller holds the advisory lock.

    yoyo notes a migration after it has run, so each file has to bear being run again. Its own lock is a row, which a
    function that dies leaves behind: whoever holds the advisory lock may remove it.

    Raises:
        RuntimeError: yoyo passed over a migration that it could not read.
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
            backend.apply_migrations(missing)
            left = [migration.id for migration in backend.to_apply(wanted)]
    finally:
        backend.connection.close()
    if left:
        raise RuntimeError(f"migrations were not applied: {', '.join(left)}")
    return [migration.id for migration in missing]


def _uri(master: Login) -> str:
    user, password = quote(master.username, safe=""), quote(master.password, safe="")
    options = urlencode({"schema": CONTROL})
    return f"postgresql+psycopg://{user}:{password}@{master.host}:{master.port}/{master.dbname}?{options}"
