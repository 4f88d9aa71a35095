"""The demo's questions to Athena, once the run's objects are registered in the lake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluice.demo.checks import Check
from sluice.demo.inputs import Input
from sluice.pipeline.query_athena import asking
from sluice.polling import poll

if TYPE_CHECKING:
    from sluice.pipeline.sql_values import Value
    from sluice.pipeline.stack import Stack

REGISTERED_SECONDS = 60.0  # until objects that are committed are registered; it takes a second or two


def deployed(stack: Stack) -> bool:
    return stack.outputs.get("lake_workgroup") is not None


def ask(stack: Stack, given: Input) -> list[Check]:
    """The run's rows by dataset, counted in silver by Athena, and the sums of the ledger's table.

    Raises SluiceError when Athena fails.
    """
    folder = given.mixed.key.rsplit("/", 2)[-2]
    objects = len(given.flights) + 1
    ledger = (
        "SELECT count(*), sum(rows_in), sum(rows_silver + rows_quarantined) "
        f"FROM {stack['lake_ledger_database']}.objects WHERE source_key LIKE '%/{folder}/%'"
    )
    sums = poll(
        lambda: _row(stack, ledger), lambda row: row[0] == objects, seconds=REGISTERED_SECONDS, interval=0.5
    ).value
    checks = [
        Check("Athena: committed objects of this run in the ledger's table", objects, sums[0]),
        Check("Athena: rows in = rows in silver + rejected rows", sums[1], sums[2]),
    ]
    for dataset, expected in {"flights": given.flights_rows, **given.feed.good}.items():
        [found] = _row(stack, f"SELECT count(*) FROM {dataset} WHERE _source_key LIKE '%/{folder}/%'")
        checks.append(Check(f"Athena: {dataset} of this run", expected, found))
    return checks


def _row(stack: Stack, sql: str) -> tuple[Value, ...]:
    with asking(stack, sql) as answer:
        return next(answer.rows)
