"""A lake for the tests of compaction: silver of two dates, a catalog, a ledger, and the job as it is deployed."""

from __future__ import annotations

import io
import json
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.transform.columns import arrow_type
from core.transform.silver import silver_files
from lake.compaction.fence import Fence
from lake.register.partitions import Partitions
from sluice.build import archive
from sluice.build.functions import Sources
from sluice.build.jobs import find_jobs
from sluice_pipeline.catalog.datasets import Dataset, parse_dataset
from sluice_pipeline.catalog.document import deployed_body
from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.dynamo.values import typed
from sluice_pipeline.objects.identity import Origin
from tests.support.engine_harness import RUNTIMES, Engine
from tests.support.glue_jobs import GlueJobs

RAW: dict[str, Any] = {
    "dataset": "orders", "partition_by": "at", "key": ["id"], "current_by": "version",
    "fields": {
        "id": {"type": "string", "required": True}, "version": {"type": "int64"},
        "at": {"type": "timestamp", "required": True}, "price": {"type": "decimal(12,2)"},
        "weight": {"type": "float64"}, "paid": {"type": "bool"}, "due": {"type": "date"}, "more": {"type": "json"},
    },
}  # fmt: skip
TYPES = {"id": "string", "version": "bigint", "at": "timestamp", "price": "decimal(12,2)", "weight": "double",
         "paid": "boolean", "due": "date", "more": "string", "_source_key": "string", "_source_version": "string",
         "_source_offset": "bigint", "_record_id": "string"}  # fmt: skip
DAYS = ("1100-02-03", "2026-03-01")


class Lake(GlueJobs):
    """A bucket, a catalog, a ledger and the job; ``latest``: of each key the newest row."""

    def __init__(self, engine: Engine, *, latest: bool = False) -> None:
        super().__init__(engine, seconds=600)
        self.dataset: Dataset = parse_dataset(RAW, "orders.yaml")
        self.database = self.bucket
        self.dynamodb = engine.client("dynamodb")
        self.dynamodb.create_table(
            TableName=self.bucket, BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        )  # fmt: skip
        self.glue.create_database(DatabaseInput={"Name": self.database})
        self.storage = {
            "Columns": [{"Name": name, "Type": kind} for name, kind in TYPES.items()],
            "Location": f"s3://{self.bucket}/silver/orders/",
            "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
        }
        table = {"Name": "orders", "StorageDescriptor": self.storage, "PartitionKeys": [{"Name": "dt", "Type": "date"}]}
        self.glue.create_table(DatabaseName=self.database, TableInput=table)
        self.fence = Fence(Table(self.dynamodb, self.bucket))
        self.partitions = Partitions(self.glue, self.database)
        self.put("datasets.json", deployed_body({"orders": RAW | ({"lake": {"latest": True}} if latest else {})}))
        self.tables: dict[str, pa.Table] = {}

    @cached_property
    def job(self) -> str:
        """The name of the Glue job."""
        (job,) = [one for one in find_jobs() if one.artifact == "job-lake-compact"]
        place = Path(RUNTIMES).parent / "cache" / f"{self.bucket}.zip"
        place.parent.mkdir(parents=True, exist_ok=True)
        archive.write_zip(place, job.library(Sources()))
        library = self.put("library.zip", place.read_bytes())
        place.unlink()
        arguments = {
            "--extra-py-files": library, "--database": self.database, "--ledger_table": self.bucket, "--dataset": "*",
            "--day": "*", "--silver_bucket": self.bucket, "--lake_bucket": self.bucket,
            "--datasets_bucket": self.bucket, "--datasets_key": "datasets.json", "--file_mb": "4", "--min_files": "3",
            "--small_mb": "1",
            "--keep_hours": "1", "--metrics_namespace": self.bucket, "--name": "first",
        }  # fmt: skip
        wanted: dict[str, Any] = {"GlueVersion": "6.0", "WorkerType": "G.1X", "NumberOfWorkers": 2, "Timeout": 10}
        return self.make(job.script.read_text(), "glueetl", DefaultArguments=arguments, **wanted)

    def commit(self, number: int, rows: int, *, seed: int = 0) -> None:
        """An object with rows of both days, as transform writes it; then what register does."""
        table = made(self.dataset, number, rows, seed)
        origin = Origin("bronze-b", f"bronze/orders/{number}.jsonl", "v1", f"{number:032x}")
        for file in silver_files(table, self.dataset, origin, 1):
            self.put(file.output["key"], file.body.to_pybytes())
            self.tables[file.output["key"]] = pq.read_table(io.BytesIO(file.body.to_pybytes()))
        received = f"2026-03-01T00:00:{number:02}.000Z"
        item = {
            "pk": f"object#{origin.object_id}",
            "sk": "object",
            "object_id": origin.object_id,
            "received_at": received,
        }
        self.dynamodb.put_item(TableName=self.bucket, Item=typed(item))
        days = {("orders", day) for day in DAYS} | self.fence.days_of(origin.object_id)
        entered = self.fence.enter(days)
        self.partitions.ensure("orders", DAYS)
        self.fence.leave(entered)

    def compact(self, name: str, **more: str) -> dict[str, Any]:
        """The run after its end, with its result."""
        arguments = {"--name": name} | {f"--{key}": value for key, value in more.items()}
        run = self.end(self.job, self.start(self.job, Arguments=arguments))
        return run | {"result": self.json(f"compaction/{name}.json"), "said": self.log(run, "error")[-20:]}

    def json(self, key: str) -> Any:
        try:
            return json.loads(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())
        except self.s3.exceptions.NoSuchKey:
            return None

    def locations(self) -> dict[str, str]:
        found = self.glue.get_partitions(DatabaseName=self.database, TableName="orders")["Partitions"]
        return {
            one["Values"][0]: one["StorageDescriptor"]["Location"].removeprefix(f"s3://{self.bucket}/") for one in found
        }

    def keys(self, prefix: str) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        keys = [one["Key"] for page in pages for one in page.get("Contents", [])]
        return [key for key in keys if not key.rsplit("/", 1)[-1].startswith(("_", "."))]

    def read(self, prefix: str) -> list[pa.Table]:
        found = []
        for key in self.keys(prefix):
            if key.endswith(".parquet"):
                body = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
                found.append(pq.read_table(io.BytesIO(body)))
        return found

    def rows(self, prefix: str) -> list[dict[str, Any]]:
        return in_order(pa.concat_tables([one.cast(SCHEMA) for one in self.read(prefix)]))

    def wanted(self, day: str) -> list[dict[str, Any]]:
        """What silver has of a day."""
        some = [table.cast(SCHEMA) for key, table in self.tables.items() if f"dt={day}/" in key]
        return in_order(pa.concat_tables(some))

    def states(self) -> dict[str, dict[str, Any]]:
        return {item["sk"]: item for item in self.fence.items("orders")}


def in_order(table: pa.Table) -> list[dict[str, Any]]:
    return list(table.sort_by("_record_id").to_pylist())


FIELDS = parse_dataset(RAW, "orders.yaml").fields
SCHEMA = pa.schema([
    *[(field.name, pa.string() if field.type == "json" else arrow_type(field)) for field in FIELDS],
    ("_source_key", pa.string()), ("_source_version", pa.string()), ("_source_offset", pa.int64()),
    ("_record_id", pa.string()),
])  # fmt: skip


def made(dataset: Dataset, number: int, rows: int, seed: int) -> pa.Table:
    """Rows of both days with values of every type at their ends, and none."""
    chance = random.Random(f"{number} {seed}")
    begins = [datetime.fromisoformat(day).replace(tzinfo=UTC) for day in DAYS]
    names = ("ä", "", "x" * 300, '"quoted", \n')
    values: dict[str, list[Any]] = {
        "id": [f"k{chance.randrange(rows)}" for _ in range(rows)],
        "version": [chance.choice([None, 1, 2, 2**63 - 1, -(2**63)]) for _ in range(rows)],
        "at": [begins[at % 2] + timedelta(microseconds=chance.randrange(86_399_999_999)) for at in range(rows)],
        "price": [chance.choice([None, Decimal("0.01"), Decimal("-9999999999.99")]) for _ in range(rows)],
        "weight": [chance.choice([None, 0.1, -0.0, 1.7e308]) for _ in range(rows)],
        "paid": [chance.choice([None, True, False]) for _ in range(rows)],
        "due": [chance.choice([None, date(1, 1, 1), date(9999, 12, 31), date(1582, 10, 10)]) for _ in range(rows)],
        "more": [chance.choice([None, "{}", json.dumps({"a": chance.choice(names)})]) for _ in range(rows)],
        "_source_offset": [at * 100 for at in range(rows)],
    }
    kinds = {field.name: arrow_type(field) for field in dataset.fields} | {"_source_offset": pa.int64()}
    return pa.table({name: pa.array(some, kinds[name]) for name, some in values.items()})
