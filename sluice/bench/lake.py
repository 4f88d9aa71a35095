"""The lake: small queries and a scan of 10 million rows through Athena, DuckDB alone on the same files, a crawler,
and the compaction.

The scan is measured warm on both sides: the files are on this machine's disk after the first query.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluice.bench import compaction
from sluice.console import fail
from sluice.pipeline.stack import Stack
from sluice.polling import wait_until

ROWS, FILES = 10_000_000, 8
SMALL, SCANS = 30, 5
CRAWLED = 1_000
_POLL, _LONGEST = 0.005, 120.0
# Each question takes engine and client 4 ms of a processor that the scan needs. Athena's driver asks every 100 ms:
# https://docs.aws.amazon.com/athena/latest/ug/jdbc-v3-driver-advanced-connection-parameters.html
_SCAN_POLL = 0.02
SCAN = "SELECT kind, count(*) AS n, sum(amount) AS total, max(id) AS last FROM {} GROUP BY kind ORDER BY kind"


@dataclass(frozen=True)
class Lake:
    """Seconds: p50 of a small query, medians of the scan through Athena and by DuckDB, one crawl, and one compaction
    (None where Spark cannot run)."""

    small_s: float
    scan_s: float
    duckdb_s: float
    crawl_s: float
    compaction_s: float | None

    @property
    def ratio(self) -> float:
        """Athena's time in times of DuckDB's."""
        return self.scan_s / self.duckdb_s


def measure(stack: Stack) -> Lake:
    """Raises SluiceError when a query fails, or the two answers differ."""
    with _place(stack) as name, tempfile.TemporaryDirectory(prefix="sluice-bench-lake-") as folder:
        files = _files(Path(folder))
        s3 = stack.client("s3")
        for file in files:
            s3.upload_file(str(file), name, f"rows/{file.name}")
        _query(stack, name, _ddl(name))
        small = [_timed(lambda: _query(stack, name, "SELECT 1")) for _ in range(SMALL + 3)][3:]
        answer = _query(stack, name, SCAN.format("rows"), _SCAN_POLL)
        scans = [_timed(lambda: _query(stack, name, SCAN.format("rows"), _SCAN_POLL)) for _ in range(SCANS)]
        alone, rows = _duckdb(files)
        found = [[one.get("VarCharValue") for one in row["Data"]] for row in _rows(stack, answer)[1:]]
        if found != rows:
            fail(f"Athena answered {found[:2]}, DuckDB {rows[:2]}", 1)
        crawl = _crawl(stack, name)
        compacted = compaction.measure(stack, name, _database(name))
        return Lake(statistics.median(small), statistics.median(scans), alone, crawl, compacted)


@contextmanager
def _place(stack: Stack) -> Iterator[str]:
    """A bucket and a database of this name, gone at the end."""
    name = f"bench-{uuid.uuid4().hex[:8]}"
    s3, glue = stack.client("s3"), stack.client("glue")
    s3.create_bucket(Bucket=name)
    glue.create_database(DatabaseInput={"Name": _database(name)})
    try:
        yield name
    finally:
        glue.delete_database(Name=_database(name))
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
            listed = [{"Key": one["Key"]} for one in page.get("Contents") or []]
            if listed:
                s3.delete_objects(Bucket=name, Delete={"Objects": listed})
        s3.delete_bucket(Bucket=name)


def _database(name: str) -> str:
    return name.replace("-", "_")


def _files(folder: Path) -> list[Path]:
    import duckdb

    made = []
    with duckdb.connect() as connection:
        for at in range(FILES):
            file = folder / f"{at}.parquet"
            first = at * ROWS // FILES
            rows = (
                f"SELECT i AS id, 'k' || (hash(i) % 20) AS kind, CAST(hash(i) % 100000 AS DOUBLE) / 4 AS amount "
                f"FROM range({first}, {first + ROWS // FILES}) AS t(i)"
            )
            connection.execute(f"COPY ({rows}) TO '{file}' (FORMAT parquet, COMPRESSION zstd)")
            made.append(file)
    return made


def _ddl(name: str) -> str:
    return (
        f"CREATE EXTERNAL TABLE rows (id bigint, kind string, amount double) STORED AS PARQUET "
        f"LOCATION 's3://{name}/rows/'"
    )


def _query(stack: Stack, name: str, sql: str, poll: float = _POLL) -> str:
    """The query's id, once it has succeeded; asked for every ``poll`` seconds."""
    athena = stack.client("athena")
    started = str(
        athena.start_query_execution(
            QueryString=sql,
            QueryExecutionContext={"Database": _database(name)},
            ResultConfiguration={"OutputLocation": f"s3://{name}/results/"},
        )["QueryExecutionId"]
    )
    status: dict[str, Any] = {}

    def ended() -> bool:
        status.update(athena.get_query_execution(QueryExecutionId=started)["QueryExecution"]["Status"])
        return status["State"] not in ("QUEUED", "RUNNING")

    if not wait_until(ended, _LONGEST, poll) or status["State"] != "SUCCEEDED":
        fail(f"{sql}: {status.get('StateChangeReason') or status.get('State')}", 1)
    return started


def _rows(stack: Stack, query: str) -> list[Any]:
    found = stack.client("athena").get_query_results(QueryExecutionId=query)["ResultSet"]["Rows"]
    return list(found)


def _duckdb(files: list[Path]) -> tuple[float, list[list[str]]]:
    """Median of the seconds, and the rows in Athena's words."""
    import duckdb

    listed = "[" + ", ".join(f"'{file}'" for file in files) + "]"
    sql = SCAN.format(f"read_parquet({listed})")
    with duckdb.connect() as connection:
        rows = connection.execute(sql).fetchall()
        taken = statistics.median(_timed(lambda: connection.execute(sql).fetchall()) for _ in range(SCANS))
    return taken, [[kind, str(n), _java(total), str(last)] for kind, n, total, last in rows]


def _java(value: float) -> str:
    """A double from 10 million on as Java writes it: 1.25E10."""
    from decimal import Decimal

    digits = "".join(map(str, Decimal(repr(value)).as_tuple().digits)).rstrip("0")
    return f"{digits[0]}.{digits[1:] or '0'}E{len(str(int(value))) - 1}"


def _crawl(stack: Stack, name: str) -> float:
    """Seconds of a crawl over 1,000 files of JSON lines in 20 partitions."""
    s3, glue, iam = stack.client("s3"), stack.client("glue"), stack.client("iam")
    body = "".join(json.dumps({"id": at, "name": "abc", "value": at / 2}) + "\n" for at in range(20)).encode()
    for at in range(CRAWLED):
        s3.put_object(Bucket=name, Key=f"many/day={at % 20}/{at}.json", Body=body)
    trust = {"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
    glue.create_crawler(
        Name=name, Role=name, DatabaseName=_database(name), Targets={"S3Targets": [{"Path": f"s3://{name}/many/"}]}
    )
    try:

        def crawl() -> None:
            glue.start_crawler(Name=name)
            wait_until(lambda: glue.get_crawler(Name=name)["Crawler"]["State"] == "READY", _LONGEST, 0.05)

        taken = _timed(crawl)
        last = glue.get_crawler(Name=name)["Crawler"].get("LastCrawl") or {}
        if last.get("Status") != "SUCCEEDED":
            fail(f"the crawl has {last}", 1)
    finally:
        glue.delete_crawler(Name=name)
        iam.delete_role(RoleName=name)
    return taken


def _timed(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began
