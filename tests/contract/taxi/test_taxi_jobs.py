"""The scripts of ingest and transform, unchanged, as Glue jobs: every row of a month is in clean/ or in rejected/."""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fixtures import taxi
from fixtures.taxi_server import Fault, TaxiServer
from sluice.paths import ROOT
from tests.support.engine_harness import Engine
from tests.support.glue_jobs import GlueJobs
from tests.support.spark import needs_java

pytestmark = [pytest.mark.timeout(900), needs_java]
PUBLISHED = (
    ("vendor_id", pa.int32(), "VendorID"),
    ("pickup_datetime", pa.timestamp("us"), "tpep_pickup_datetime"),
    ("dropoff_datetime", pa.timestamp("us"), "tpep_dropoff_datetime"),
    ("passenger_count", pa.int32(), "passenger_count"),
    ("trip_distance", pa.float64(), "trip_distance"),
    ("pickup_location_id", pa.int32(), "PULocationID"),
    ("dropoff_location_id", pa.int32(), "DOLocationID"),
    ("payment_type", pa.int32(), "payment_type"),
    ("fare_amount", pa.float64(), "fare_amount"),
    ("tip_amount", pa.float64(), "tip_amount"),
    ("total_amount", pa.float64(), "total_amount"),
)
SEVERAL = """
import boto3, json, runpy, sys
from awsglue.utils import getResolvedOptions
given = getResolvedOptions(sys.argv, ["bucket", "script", "runs"])
boto3.client("s3").download_file(given["bucket"], given["script"], "script.py")
for words in json.loads(given["runs"]):
    sys.argv = ["script.py", *words]
    try:
        runpy.run_path("script.py", run_name="__main__")
    except Exception as error:
        print("failed:", error)
"""
"""Runs a script several times in one Java, whose start costs more than all else of a run."""
CLEAN = pa.schema([
    *[(name, kind) for name, kind, _ in PUBLISHED], ("load_batch", pa.string()), ("source", pa.string()),
])  # fmt: skip


class Jobs(GlueJobs):
    """Both jobs, with a folder that a server publishes."""

    def __init__(self, engine: Engine, server: TaxiServer) -> None:
        super().__init__(engine, seconds=600)
        self.server = server
        shell: dict[str, Any] = {"MaxCapacity": 1.0, "Timeout": 10}
        spark: dict[str, Any] = {"GlueVersion": "6.0", "WorkerType": "G.1X", "NumberOfWorkers": 2, "Timeout": 10}
        self.ingest = self.make((ROOT / "jobs/taxi/ingest.py").read_text(), "pythonshell", **shell)
        self.transform = self.make((ROOT / "jobs/taxi/transform.py").read_text(), "glueetl", **spark)
        self.several = self.make(SEVERAL, "glueetl", **spark)

    def arguments(self, month: str, attempt: int) -> dict[str, str]:
        year, number = month.split("-")
        return {
            "--year": year, "--month": number, "--bucket": self.bucket, "--prefix": "yellow",
            "--batch": f"{month}-{attempt}",
        }  # fmt: skip

    def go(self, job: str, month: str = "2024-09", attempt: int = 1, **more: str) -> dict[str, Any]:
        """The run after its end."""
        named = {f"--{name}": value for name, value in more.items()}
        return self.end(job, self.start(job, Arguments=self.arguments(month, attempt) | named))

    def ingested(self, month: str = "2024-09", attempt: int = 1) -> None:
        """What the server publishes is in raw/."""
        run = self.go(self.ingest, month, attempt, source_url=self.server.url)
        assert (run["JobRunState"], run.get("ErrorMessage")) == ("SUCCEEDED", None), self.log(run, "error")[-20:]

    def transform_all(self, *runs: tuple[str, int]) -> list[str]:
        """The script of transform for each month and attempt, in one run; what it printed."""
        words = [[word for pair in self.arguments(*run).items() for word in pair] for run in runs]
        given = {"--bucket": self.bucket, "--script": f"{self.transform}.py", "--runs": json.dumps(words)}
        run = self.end(self.several, self.start(self.several, Arguments=given))
        assert (run["JobRunState"], run.get("ErrorMessage")) == ("SUCCEEDED", None), self.log(run, "error")[-20:]
        return self.log(run)

    def both(self, month: str = "2024-09", attempt: int = 1) -> dict[str, Any]:
        """The report of transform."""
        self.ingested(month, attempt)
        run = self.go(self.transform, month, attempt)
        assert (run["JobRunState"], run.get("ErrorMessage")) == ("SUCCEEDED", None), self.log(run, "error")[-20:]
        return self.report("transform", month, attempt)

    def report(self, job: str, month: str = "2024-09", attempt: int = 1) -> dict[str, Any]:
        body = self.s3.get_object(Bucket=self.bucket, Key=f"reports/{job}/{month}/{month}-{attempt}.json")["Body"]
        return dict(json.loads(body.read()))

    def keys(self, prefix: str) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [one["Key"] for page in pages for one in page.get("Contents", [])]

    def table(self, prefix: str) -> pa.Table:
        """The rows of the files below a prefix."""
        found = []
        for key in self.keys(prefix):
            if key.endswith(".parquet"):
                found.append(pq.read_table(io.BytesIO(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())))
        return pa.concat_tables(found)


@pytest.fixture
def jobs(engine: Engine, tmp_path: Path) -> Iterator[Jobs]:
    with TaxiServer(tmp_path) as server:
        yield Jobs(engine, server)


def wanted(raw: pa.Table, month: str) -> tuple[list[tuple[Any, ...]], Counter[str]]:
    """What transform must make of a raw table, by Python alone: clean rows, and how many are rejected why."""
    names = {name.lower(): name for name in raw.column_names}
    columns = [(name, kind, names[source.lower()]) for name, kind, source in PUBLISHED]
    clean, rejected = [], Counter[str]()
    for row in raw.to_pylist():
        values = [as_type(row[source], kind) for _, kind, source in columns]
        begins, ends = values[1], values[2]
        if row[columns[1][2]] is None:
            rejected["no_pickup_time"] += 1
        elif row[columns[2][2]] is None:
            rejected["no_dropoff_time"] += 1
        elif not isinstance(begins, datetime) or not isinstance(ends, datetime):
            rejected["not_castable"] += 1
        elif f"{begins:%Y-%m}" != month:
            rejected["other_month"] += 1
        elif ends < begins:
            rejected["dropoff_before_pickup"] += 1
        elif any(value is None and row[name] is not None for value, (_, _, name) in zip(values, columns, strict=True)):
            rejected["not_castable"] += 1
        else:
            clean.append(tuple(values))
    return clean, rejected


def as_type(value: Any, kind: pa.DataType) -> Any:
    """None for a value that the type cannot hold."""
    if value is None or not pa.types.is_integer(kind):
        return value if not isinstance(value, int) else float(value)
    whole = float(value).is_integer() if abs(float(value)) < 2**31 else False
    return int(value) if whole else None


def in_order(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(rows, key=lambda row: [(value is not None, value) for value in row])


def assert_accounted(jobs: Jobs, month: str, attempt: int = 1) -> dict[str, Any]:
    """Clean rows, rejected rows and the report are those of the raw file; the report."""
    report, ingested = jobs.report("transform", month, attempt), jobs.report("ingest", month, attempt)
    raw = pq.read_table(io.BytesIO(jobs.s3.get_object(Bucket=jobs.bucket, Key=ingested["key"])["Body"].read()))
    clean, rejected = wanted(raw, month)
    folder = f"yellow/year={month[:4]}/month={month[5:]}/{month}-{attempt}/"
    table = jobs.table(f"clean/{folder}")
    assert [(field.name, field.type) for field in table.schema] == [(field.name, field.type) for field in CLEAN]
    assert set(table["load_batch"].to_pylist()) <= {month}
    assert set(table["source"].to_pylist()) <= {ingested["key"]}
    assert in_order([tuple(row.values())[:11] for row in table.to_pylist()]) == in_order(clean)
    kept = jobs.table(f"rejected/{folder}")
    assert Counter(kept["reason"].to_pylist()) == rejected
    assert kept.column_names == [
        *(f"{name}_" if name == "reason" else name for name in raw.column_names),
        "reason",
        "field",
    ]
    assert (report["raw"], report["clean"]) == (raw.num_rows, len(clean))
    assert {reason: count for reason, count in report["rejected"].items() if count} == dict(rejected)
    assert report["out_of_month"] == rejected["other_month"]
    assert sum(file["rows"] for file in report["files"]) == len(clean)
    for file in report["files"]:
        assert jobs.s3.head_object(Bucket=jobs.bucket, Key=file["key"])["ContentLength"] == file["bytes"]
    return report


@pytest.mark.thorough(
    "tests/e2e/taxi/test_taxi.py::test_a_month_is_the_same_however_often_it_is_loaded_and_a_corrected_file_replaces_it",
    "tests/contract/taxi/test_taxi_jobs.py::test_months_of_each_schema_and_any_rows_are_what_plain_python_makes_of_them",
    why="the deployed jobs load a month twice and a corrected file; rows are compared in the other",
)
def test_a_run_that_is_repeated_and_a_corrected_file(jobs: Jobs) -> None:
    folder = jobs.server.folder
    taxi.write_month(folder, 2024, 9, 800)
    first = jobs.both()
    assert jobs.both()["clean"] == first["clean"]
    assert_accounted(jobs, "2024-09")
    assert len(jobs.keys("raw/")) == 1
    taxi.write_month(folder, 2024, 9, 900, seed=2)
    jobs.server.faults.extend([Fault(cut_after=1000), Fault(status=503)])
    jobs.both(attempt=2)
    assert_accounted(jobs, "2024-09", 2)
    assert_accounted(jobs, "2024-09", 1)
    assert len(jobs.keys("raw/")) == 2


def test_files_that_are_no_month_fail_with_the_reason_and_leave_no_report(jobs: Jobs) -> None:
    jobs.ingested()  # nothing is published
    assert jobs.report("ingest")["published"] is False
    path = jobs.server.folder / "yellow_tripdata_2024-09.parquet"
    path.write_bytes(b"<html>")
    run = jobs.go(jobs.ingest, attempt=2, source_url=jobs.server.url)
    assert (run["JobRunState"], "is no Parquet file" in run["ErrorMessage"]) == ("FAILED", True)
    pq.write_table(pa.table({"VendorID": [1], "tpep_pickup_datetime": [datetime(2024, 9, 1)]}), path)
    jobs.ingested(attempt=3)
    unpublished, no_report, no_column = jobs.transform_all(*(("2024-09", attempt) for attempt in (1, 2, 3)))
    assert "the month is not published" in unpublished
    assert "reports/ingest/2024-09/2024-09-2.json is not there" in no_report
    assert "the raw file has no column tpep_dropoff_datetime; it has VendorID, tpep_pickup_" in no_column
    assert jobs.keys("reports/transform/") == []


def strange(seed: int, rows: int) -> pa.Table:
    """Rows of any values: no schema that was published, and the limits of each type."""
    chance = random.Random(seed)
    last = timedelta(microseconds=1)
    months = (datetime(2024, 9, 1) - last, datetime(2024, 9, 1), datetime(2024, 10, 1) - last, datetime(2024, 10, 1),
              datetime(1900, 1, 1), datetime(2261, 1, 1), None)  # fmt: skip
    starts = [chance.choice(months) or datetime(2024, 9, 1 + chance.randrange(28)) for _ in range(rows)]
    begins = [None if chance.random() < 0.05 else at for at in starts]
    ends = [None if chance.random() < 0.05 else at + timedelta(seconds=chance.choice([-1, 0, 1, 90])) for at in starts]
    doubles = (None, 0.0, -0.0, 1.0, 1.5, 2.0**31 - 1, 2.0**31, -(2.0**31) - 1, 1e300)
    nanos = pa.timestamp("ns") if seed % 2 else pa.timestamp("us")
    small = pa.float32() if seed % 3 else pa.float64()
    return pa.table({
        "vendorid": pa.array([chance.choice([None, 1, 2**31 - 1, 2**31, -(2**63)]) for _ in range(rows)], pa.int64()),
        "tpep_pickup_datetime": pa.array(begins, nanos),
        "tpep_dropoff_datetime": pa.array(ends, nanos),
        "Passenger_Count": pa.array([chance.choice(doubles) for _ in range(rows)]),
        "trip_distance": pa.array([chance.choice([None, 0.0, 1.25, 1e30]) for _ in range(rows)], small),
        "PULocationID": pa.array([chance.choice([None, 1, 265]) for _ in range(rows)], pa.int32()),
        "DOLocationID": pa.array([chance.choice([None, 1.0, 265.5]) for _ in range(rows)], pa.float64()),
        "payment_type": pa.array([chance.choice([None, 0, 5]) for _ in range(rows)], pa.int8()),
        "fare_amount": pa.array([chance.choice([None, -3.5, 1e9]) for _ in range(rows)]),
        "tip_amount": pa.array([chance.choice([0, 7]) for _ in range(rows)], pa.int64()),
        "total_amount": pa.array([chance.choice([None, 12.34]) for _ in range(rows)]),
        "reason": pa.array(["its own"] * rows),
        "vendor_id": pa.array([f"`{number}`" for number in range(rows)]),
    })  # fmt: skip


PUBLISHED_MONTHS = {
    "2022-05": taxi.Oddities(not_castable=4),
    "2024-12": taxi.Oddities(),
    "2025-02": taxi.Oddities(5, 1, 0),
}
"""One of each schema that was published, and its odd rows."""
SEEDS = {1: 1, 2: 2, 3: 6}
"""Attempts at one month, and the seed of its rows: each has other types."""


def test_months_of_each_schema_and_any_rows_are_what_plain_python_makes_of_them(jobs: Jobs) -> None:
    truths = {}
    for month, odd in PUBLISHED_MONTHS.items():
        truths[month] = taxi.write_month(jobs.server.folder, int(month[:4]), int(month[5:]), 2000, oddities=odd)
        jobs.ingested(month)
    for attempt, seed in SEEDS.items():
        pq.write_table(strange(seed, 300), jobs.server.folder / "yellow_tripdata_2024-09.parquet")
        jobs.ingested(attempt=attempt)
    said = jobs.transform_all(*((month, 1) for month in truths), *(("2024-09", attempt) for attempt in SEEDS))
    assert len(said) == len(truths) + len(SEEDS), said
    for month, truth in truths.items():
        report = assert_accounted(jobs, month)
        assert {reason: count for reason, count in report["rejected"].items() if count} == truth.rejected
        assert report["clean"] == truth.good
    for attempt in SEEDS:
        report = assert_accounted(jobs, "2024-09", attempt)
        assert report["clean"] > 0
        assert report["rejected"]["not_castable"] > 0
