"""`sluice psql`: the warehouse in PostgreSQL's own client."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from sluice import console
from sluice.environment import without, without_libpq
from sluice.options import Where, on_stack

if TYPE_CHECKING:
    from sluice.branches.warehouse.login import Login

PANEL, ORDER = "Data", 35


@on_stack
def psql(
    arguments: Annotated[list[str] | None, typer.Argument(help="More arguments for psql, after `--`.")] = None,
    command: Annotated[str | None, typer.Option("--command", "-c", metavar="SQL", help="Run this SQL and end.")] = None,
    *,
    where: Where,
) -> None:
    """Open the warehouse as sluice_reader, in psql; -c also works where psql is not installed."""
    import shutil

    if where.json and command is None:
        console.fail("--json needs -c SQL")
    from sluice.branches.warehouse import login

    stack = where.stack
    found = login.reader(stack, _port_of_engine() if stack.endpoint_url else None)
    program = shutil.which("psql")
    if command is not None and (where.json or program is None):
        with without_libpq() if stack.endpoint_url else nullcontext():
            _ask(found, command, where.json)
    elif program is not None:
        # The password is in the environment, because every user of the machine can read a process's arguments.
        words = [program, found.address, *(["-c", command] if command is not None else []), *(arguments or [])]
        # The engine's server is named in full; an account's may need the user's PGSSLROOTCERT and the like.
        shell = without(os.environ, "PG") if stack.endpoint_url else dict(os.environ)
        os.execvpe(program, words, shell | {"PGPASSWORD": found.password})
    else:
        console.fail(
            f"psql is not installed: use `sluice psql -c SQL`, or any PostgreSQL client with {found.address} and the"
            " password in SLUICE_WAREHOUSE_DSN of `sluice env`",
            console.FAILED,
        )


def _port_of_engine() -> int | None:
    from sluice.engine.instance import Instance

    info = Instance.default().info()
    return info.postgres_port if info else None


def _ask(login: Login, sql: str, json: bool) -> None:
    """Runs the SQL through Python's driver and prints its last result."""
    import psycopg

    try:
        with psycopg.connect(login.dsn, connect_timeout=5, application_name="sluice psql") as connection:
            cursor = connection.execute(sql.encode())
            columns = [column.name for column in cursor.description or ()]
            rows = cursor.fetchall() if cursor.description else []
    except psycopg.Error as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        console.fail(f"PostgreSQL: {lines[0]}", console.FAILED)
    if json:
        console.print_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif columns:
        console.print_result(columns, rows)
