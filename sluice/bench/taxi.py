"""A month of taxi trips from its raw file to a verified table, by the deployed workflow.

The file is made here and served by this process. No real month is touched.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from sluice.bench.stage import Stage
from sluice.console import fail
from sluice.engine import reach

ROWS, MONTH = 3_500_000, "2098-09"
# A small month first: the first job of a kind installs what it runs in, which is set-up and not the month's work.
WARM_UP_ROWS, WARM_UP_MONTH = 1_000, "2098-08"


@dataclass(frozen=True)
class Taxi:
    """``month_s``: from the start to the verified table; ``steps``: job -> seconds."""

    month_s: float
    steps: dict[str, float]


def measure(own: Stage) -> Taxi | None:
    """None where the branch is off. Raises SluiceError when a month is not loaded as it was made."""
    if not own.stack.outputs.get("taxi_state_machine_arn"):
        return None
    _load(own, WARM_UP_MONTH, WARM_UP_ROWS)
    return _load(own, MONTH, ROWS)


def _load(own: Stage, text: str, rows: int) -> Taxi:
    from fixtures import taxi
    from fixtures.taxi_server import TaxiServer
    from sluice.branches.taxi.months import LOADED, Months, month_of

    stack, here = own.stack, reach.place(own.instance)
    months, month = Months(stack), month_of(text)
    with tempfile.TemporaryDirectory(prefix="sluice-bench-taxi-") as folder:
        truth = taxi.write_month(Path(folder), month.year, month.month, rows)
        with TaxiServer(Path(folder), bind=here.bind, name=here.name) as server:
            began = time.monotonic()
            done = months.follow(months.start(month, server.url)["batch"])
            took = time.monotonic() - began
    if (done.outcome, done.rows.get("loaded")) != (LOADED, truth.good):
        fail(f"the month {text} is {done.status}: {done.error or done.rows}", 1)
    glue, jobs, steps = stack.client("glue"), stack.outputs["taxi_jobs"], {}
    for job, run in months.job_runs(done.batch):
        steps[job] = float(glue.get_job_run(JobName=jobs[job], RunId=run)["JobRun"]["ExecutionTime"])
    return Taxi(took, steps)
