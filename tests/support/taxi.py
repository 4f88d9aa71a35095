"""Months of taxi trips in the end-to-end tests: files that are served, attempts, counts, and the notices about them."""

from __future__ import annotations

import json
import random
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fixtures.taxi import Truth, write_month
from fixtures.taxi_server import TaxiServer
from sluice.branches.taxi.months import Attempt, Months
from sluice.engine import reach
from sluice.engine.instance import Instance
from taxi.month import Month
from taxi.warehouse import Warehouse
from tests.support.pipeline import Pipeline, until

SECONDS = 400  # of a month through three jobs, while another suite uses the machine


class Taxi:
    """The branch of a stack, with a folder of files that a server of the test's own serves."""

    def __init__(self, pipe: Pipeline, instance: Instance, folder: Path, server: TaxiServer) -> None:
        self.pipe, self.instance, self.folder, self.server = pipe, instance, folder, server
        self.months = Months(pipe.stack)
        stack = pipe.stack
        self.warehouse = Warehouse(
            stack.client("redshift-data"), stack["taxi_workgroup"], stack["taxi_database"], stack["taxi_secret_arn"]
        )

    def publish(self, month: Month, rows: int = 500, **more: Any) -> Truth:
        """Its file, in place of a former one."""
        return write_month(self.folder, month.year, month.month, rows, **more)

    def start(self, month: Month, **more: Any) -> str:
        return str(self.months.start(month, self.server.url, **more)["batch"])

    def ended(self, batch: str) -> Attempt:
        until(f"{batch} to end", lambda: self.months.get(batch).status != "RUNNING", SECONDS)
        return self.months.get(batch)

    def load(self, month: Month) -> Attempt:
        """Loaded and verified, or the test fails with the attempt's error."""
        found = self.ended(self.start(month))
        assert found.outcome == "loaded", found
        return found

    def count(self, month: Month) -> int:
        [[found]] = self.warehouse.rows(
            "SELECT COUNT(*) FROM yellow_trips WHERE load_batch = :month", {"month": str(month)}
        )
        return int(found)

    def fares(self, month: Month) -> float:
        [[found]] = self.warehouse.rows(
            "SELECT CAST(COALESCE(SUM(fare_amount), 0) AS VARCHAR) FROM yellow_trips WHERE load_batch = :month",
            {"month": str(month)},
        )
        return float(found)

    def others(self, *months: Month) -> list[list[Any]]:
        """Counts and sums of every month but these."""
        rows = self.warehouse.rows(
            "SELECT load_batch, COUNT(*), CAST(SUM(total_amount) AS VARCHAR) FROM yellow_trips GROUP BY 1 ORDER BY 1"
        )
        return [row for row in rows if row[0] not in set(map(str, months))]

    def notices(self, batch: str) -> list[dict[str, Any]]:
        """Bodies of the notices about an attempt, in their order."""
        return [body for body in self.pipe.mail.notices() if body.get("batch") == batch]

    def attempts(self, month: Month) -> list[str]:
        return sorted(one.batch for one in self.months.last(1000, month))

    def clock(self, change: dict[str, Any] | None = None) -> dict[str, Any]:
        """The time of the engine's schedules; after a change, once all that came due has been called."""
        info = self.instance.info()
        assert info is not None
        body = json.dumps(change).encode() if change else None
        with urllib.request.urlopen(f"http://127.0.0.1:{info.port}/_sluice/clock", data=body, timeout=60) as answer:
            return dict(json.load(answer))

    def move_clock(self, seconds: int) -> None:
        self.clock({"move_seconds": seconds})


@contextmanager
def served(pipe: Pipeline, instance: Instance, folder: Path) -> Iterator[Taxi]:
    here = reach.place(instance)
    with TaxiServer(folder, bind=here.bind, name=here.name) as server:
        yield Taxi(pipe, instance, folder, server)


def any_month() -> Month:
    """One that no other test has, of a time when counts of passengers are whole numbers."""
    chance = random.SystemRandom()  # not the test's own chance, which begins alike in every test
    return Month(chance.randrange(2030, 2090), chance.randrange(1, 13))
