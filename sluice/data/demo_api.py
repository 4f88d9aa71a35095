"""The demo's questions to the analytics API, once the run's rows are in the warehouse."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sluice.console import FAILED, fail
from sluice.data.demo_checks import Check
from sluice.data.demo_input import Input
from sluice.data.ledger import LedgerView
from sluice.data.seed import Uploaded

if TYPE_CHECKING:
    from sluice.stack import Stack

DEADLINE = 120.0  # seconds for the last load; it is there some seconds after the last commit


@dataclass(frozen=True)
class Revenue:
    """What revenue_analysis answered: rows as the API gave them, and the milliseconds it took."""

    rows: Sequence[dict[str, Any]]
    milliseconds: float


def deployed(stack: Stack) -> bool:
    return stack.outputs.get("api_id") is not None


def wait_for_loads(stack: Stack, uploaded: Sequence[Uploaded]) -> None:
    """Until every object is loaded, or has failed, as the ledger says. Raises SluiceError after the deadline."""
    from pipeline.items import State

    ledger = LedgerView(stack.client("dynamodb"), stack["ledger_table"])
    end = time.monotonic() + DEADLINE
    waiting = {item.object_id for item in uploaded}
    while True:
        for object_id in list(waiting):
            entry = ledger.one(object_id)
            if entry is not None and (entry.state in (State.FAILED, State.MISSING) or entry.item.get("loaded_run")):
                waiting.discard(object_id)
        if not waiting:
            return
        if time.monotonic() > end:
            fail(f"{len(waiting)} objects are not in the warehouse after {DEADLINE:.0f} s: sluice logs load", FAILED)
        time.sleep(0.5)


def ask(stack: Stack, given: Input) -> tuple[Revenue, list[Check]]:
    """The run's rows, counted over the API, and revenue by week. Raises SluiceError when the API answers an error."""
    from sluice.branches.api_client import Client

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
