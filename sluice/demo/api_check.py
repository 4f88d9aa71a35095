"""The demo's questions to the analytics API, once the run's rows are in the warehouse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sluice.branches.api.client import Client
from sluice.console import FAILED, fail
from sluice.demo.checks import Check
from sluice.demo.inputs import Input

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack


@dataclass(frozen=True)
class Revenue:
    """What revenue_analysis answered: rows as the API gave them, and the milliseconds it took."""

    rows: Sequence[dict[str, Any]]
    milliseconds: float


def deployed(stack: Stack) -> bool:
    return stack.outputs.get("api_id") is not None


def ask(stack: Stack, given: Input) -> tuple[Revenue, list[Check]]:
    """The run's rows, counted over the API, and revenue by week. Raises SluiceError when the API answers an error."""
    client = Client.of(stack)

    def rows(operation: str, **parameters: Any) -> tuple[list[dict[str, Any]], float]:
        answer = client.ask(operation, **parameters)
        if not answer.ok:
            fail(f"the API answered {answer.status}: {answer.body.get('error')}", FAILED)
        return answer.body["data"], float(answer.body["executionTime"])

    folder = given.mixed.key.rsplit("/", 2)[-2]
    checks = []
    for dataset, expected in {"flights": given.flights_rows, **given.feed.good}.items():
        query = f"SELECT count(*) AS rows FROM silver.{dataset} WHERE _source_key LIKE '%/{folder}/%'"
        found, _ = rows("custom_query", sql=query)
        checks.append(Check(f"API: {dataset} of this run in the warehouse", expected, found[0]["rows"]))
    return Revenue(*rows("revenue_analysis", group_by="date", limit=7)), checks
