"""SQL over silver: DuckDB on the Parquet files where they lie, one view for each dataset, nothing can be written.

DuckDB's own S3 access is an extension that must be downloaded, so pyarrow reads the files.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sluice.console import fail

if TYPE_CHECKING:
    from sluice.stack import Stack

CARRIERS = """
SELECT carrier, count(*) AS flights, round(avg(dep_delay), 2) AS avg_dep_delay_min
FROM flights GROUP BY carrier ORDER BY flights DESC, carrier LIMIT 10
"""
BUSIEST_DAYS = """
SELECT origin, make_date(year, month, day) AS busiest_day, count(*) AS flights
FROM flights GROUP BY origin, year, month, day
QUALIFY row_number() OVER (PARTITION BY origin ORDER BY count(*) DESC, make_date(year, month, day)) = 1
ORDER BY origin
"""


@dataclass(frozen=True)
class Result:
    """What a query gave."""

    columns: list[str]
    rows: list[tuple[Any, ...]]

    def to_dicts(self) -> list[dict[str, Any]]:
        """For JSON: decimals as numbers, dates and whatever else SQL has as text."""
        return [dict(zip(self.columns, map(_plain, row), strict=True)) for row in self.rows]


def run(tables: Mapping[str, Any], sql: str) -> Result:
    """Runs one query over the tables (pyarrow tables or datasets), in memory and away from the file system."""
    import duckdb

    connection = duckdb.connect(":memory:")
    try:
        for name, table in tables.items():
            connection.register(name, table)
        connection.execute("SET TimeZone = 'UTC'; SET enable_external_access = false; SET lock_configuration = true")
        answer = connection.execute(sql)
        return Result([column[0] for column in answer.description or []], answer.fetchall())
    except duckdb.CatalogException as error:
        have = ", ".join(sorted(tables)) or "none yet: `sluice seed flights` brings some"
        fail(f"{_first_line(error)} (datasets in silver: {have})")
    except duckdb.Error as error:
        fail(_first_line(error))
    finally:
        connection.close()


def silver(stack: Stack, object_ids: Collection[str] | None = None) -> dict[str, Any]:
    """A pyarrow dataset for each dataset that has files in silver; only the files of some objects when asked.

    ``dt``, the partition, is a column of type date.
    """
    import pyarrow as pa
    import pyarrow.dataset as ds

    from sluice.data import storage

    bucket = stack["silver_bucket"]
    files: dict[str, list[str]] = {}
    for key in storage.files(stack.client("s3"), bucket, "silver/"):
        if key.endswith(".parquet") and (object_ids is None or storage.owner_of(key) in object_ids):
            files.setdefault(key.split("/", 2)[1], []).append(f"{bucket}/{key}")
    partitioning = ds.partitioning(pa.schema([("dt", pa.date32())]), flavor="hive")
    filesystem = file_system(stack) if files else None
    return {
        name: ds.dataset(paths, filesystem=filesystem, format="parquet", partitioning=partitioning)
        for name, paths in files.items()
    }


def file_system(stack: Stack) -> Any:
    """pyarrow's S3 access to the stack, with the same credentials as its other clients."""
    from pyarrow import fs

    if stack.endpoint_url is None:
        return fs.S3FileSystem(region=stack.region)
    return fs.S3FileSystem(
        access_key="test", secret_key="test", endpoint_override=stack.endpoint_url, region=stack.region
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
