"""`sluice query`: SQL over silver, by DuckDB or by Athena."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sluice import console
from sluice.options import Where, with_tables

if TYPE_CHECKING:
    from sluice.pipeline.query import Answer

PANEL, ORDER = "Data", 34

_ROWS = 50


class Engine(StrEnum):
    DUCKDB = "duckdb"
    ATHENA = "athena"


@with_tables
def query(
    sql: Annotated[str, typer.Argument(help="One SELECT; each dataset in silver is a table. - reads stdin.")] = "",
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Read the SQL from a file.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many rows.")] = _ROWS,
    all_: Annotated[bool, typer.Option("--all", help="Every row.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV; NULL is nothing, an empty text quoted.")] = False,
    engine: Annotated[Engine, typer.Option("--engine", help="Who answers; athena needs lake_enabled.")] = Engine.DUCKDB,
    *,
    where: Where,
) -> None:
    """Ask silver in SQL (DuckDB, read-only): sluice query "SELECT carrier, count(*) FROM flights GROUP BY ALL".

    Times are in UTC. --engine athena asks the lake, in Athena's SQL. `sluice api query` asks the warehouse; all have
    the same table names.
    """
    if engine == Engine.ATHENA:
        from sluice.pipeline.query_athena import asking
    else:
        from sluice.pipeline.query import asking

    text = _sql(sql, file)
    if csv and where.json:
        console.fail("give --csv or --json, one of them")
    with asking(where.stack, text, None if all_ else limit + 1) as answer:
        count, more = _print(answer, None if all_ else limit, csv=csv, json=where.json)
    if more:
        console.note(f"the first {count:,} rows; there are more: --limit {count * 10} or --all")
    elif not (csv or where.json or answer.is_plan):
        console.note(f"{count:,} row{'' if count == 1 else 's'}")


def _sql(sql: str, file: Path | None) -> str:
    if bool(sql) == bool(file):
        console.fail("give the SQL as an argument, with --file, or on stdin with -")
    try:
        if file:
            return file.read_text(encoding="utf-8-sig")
        return sys.stdin.read() if sql == "-" else sql
    except (OSError, UnicodeDecodeError) as error:
        console.fail(f"{file or 'stdin'} cannot be read: {error}")


def _print(answer: Answer, limit: int | None, *, csv: bool, json: bool) -> tuple[int, bool]:
    """Prints up to ``limit`` rows; how many they were, and whether there are more."""
    from itertools import islice

    from sluice.pipeline import sql_values

    rows = islice(answer.rows, limit)
    count = 0
    if csv or json:
        out = sys.stdout
        out.write(sql_values.as_csv(answer.columns) + "\n" if csv else "[")
        for count, row in enumerate(rows, 1):
            line = sql_values.as_csv(row) if csv else sql_values.as_json(answer.columns, row)
            out.write(f"{line}\n" if csv else f"{',' if count > 1 else ''}\n  {line}")
        out.write("" if csv else "\n]\n" if count else "]\n")
    elif answer.is_plan:
        for _, text in rows:
            count += 1
            for line in str(text).rstrip("\n").split("\n"):
                console.print_line(line)
    else:
        found = [[sql_values.shown(value) for value in row] for row in rows]
        count = len(found)
        console.print_result(answer.columns, found, numeric=answer.numeric)
    return count, limit is not None and next(answer.rows, None) is not None
