"""Glue job: small files of the lake become large ones. Glue 6.0, glueetl; lambdas/lake/compaction has the protocol.

Arguments: infra/branches/lake/compaction.tf. A date that fails is logged and in the result; the run fails at its end.
"""

import json
import sys
import threading
import uuid

import boto3
from awsglue.utils import getResolvedOptions
from botocore.config import Config

from lake.compaction.aws import Aws
from lake.compaction.fence import Fence
from lake.compaction.partition import EVERY_ROW, Compaction, Done, Limits, Written
from lake.compaction.places import compacted_folder, silver_folder
from lake.compaction.run import Run, result_of
from lake.schema import LAKE
from sluice_pipeline.catalog.current import current_select
from sluice_pipeline.catalog.document import parse_deployed
from sluice_pipeline.dynamo.table import Table as DynamoTable
from sluice_pipeline.ledger.items import OBJECT_SK, object_pk

ARGUMENTS = (
    "name", "dataset", "day", "database", "ledger_table", "silver_bucket", "lake_bucket",
    "datasets_bucket", "datasets_key", "file_mb", "min_files", "small_mb", "keep_hours", "metrics_namespace",
)  # fmt: skip
EVERY = "*"
# Rows of one object stay together, by pieces of this many bytes of it, so that a large object is no single file.
PIECE = 16 * 2**20


class SparkAws(Aws):
    """S3 and Glue, and Spark for the rows."""

    def __init__(self, arguments, datasets, ledger):
        region_calls = Config(retries={"mode": "standard", "max_attempts": 8}, max_pool_connections=20)
        # A swap that takes longer is dead for register (fence.SWAP_SECONDS).
        once = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 1})
        super().__init__(
            boto3.client("s3", config=region_calls),
            boto3.client("glue", config=region_calls),
            boto3.client("glue", config=once),
            arguments["silver_bucket"],
            arguments["database"],
        )
        self._root = f"s3://{arguments['silver_bucket']}/"
        self._datasets = datasets
        self._ledger = ledger
        self._lock = threading.Lock()
        self._made = None

    @property
    def spark(self):
        """Made when the first date is worth it: most runs of a schedule have nothing to do."""
        from pyspark.sql import SparkSession

        with self._lock:
            if self._made is None:
                self._made = SparkSession.builder.getOrCreate()
                for name, value in {
                    "spark.sql.session.timeZone": "UTC",
                    "spark.sql.ansi.enabled": "true",
                    "spark.sql.ansi.doubleQuotedIdentifiers": "true",
                    # As silver's files: no calendar but the proleptic Gregorian one, microseconds of UTC.
                    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
                    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
                    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
                }.items():
                    self._made.conf.set(name, value)
            return self._made

    def write(self, table, day, files, generation, count):
        """As partition.Ports says. Rows are counted on their way, and once more in the files that were written."""
        from pyspark.sql import Observation
        from pyspark.sql import functions as f

        spark = self.spark  # before the functions, which need its context
        columns = ", ".join(f"`{column['Name']}` {column['Type']}" for column in table.columns)
        sums = f.count(f.lit(1)).alias("rows"), f.coalesce(f.bit_xor(f.xxhash64("_record_id")), f.lit(0)).alias("ids")
        seen, kept = Observation(), Observation()
        rows = spark.read.schema(columns).parquet(self._root + silver_folder(table.dataset, day))
        rows = rows.observe(seen, *sums)
        expected = None
        if table.rule != EVERY_ROW:
            expected = self._keys(table, day, columns)
            rows = self._newest(rows, table, files)
        rows = rows.observe(kept, *sums)
        piece = f.expr(f"`_source_offset` div {PIECE}")
        rows = rows.repartition(count, "_source_key", piece).sortWithinPartitions("_source_key", "_source_offset")
        target = self._root + compacted_folder(table.dataset, day, generation)
        # The folder has no reader before the swap, so the quicker committer is right.
        quick = ("mapreduce.fileoutputcommitter.algorithm.version", "2")
        rows.write.mode("overwrite").option(*quick).parquet(target)
        made = spark.read.schema("`_record_id` string").parquet(target).agg(*sums).first()
        return Written(
            read=seen.get["rows"],
            expected=kept.get["rows"] if expected is None else expected,
            rows=made["rows"],
            expected_digest=kept.get["ids"],
            digest=made["ids"],
        )

    def _newest(self, rows, table, files):
        """The newest row of each key, by the SELECT of ``<dataset>_current``."""
        dataset = self._datasets[table.dataset]
        names = [column["Name"] for column in table.columns]
        objects = sorted({file.object_id for file in files})
        found = self._ledger.get_many((object_pk(one), OBJECT_SK) for one in objects)
        arrived = [(item["object_id"], item["received_at"]) for item in found]
        arrivals = self.spark.createDataFrame(arrived, "object_id string, received_at string")
        view = f"{table.dataset}_{threading.get_ident()}"
        rows.createOrReplaceTempView(f"rows_{view}")
        arrivals.createOrReplaceTempView(f"arrivals_{view}")
        return self.spark.sql(
            current_select(
                dataset, names, source=f"rows_{view}", arrivals=f"arrivals_{view}",
                object_id="substring_index(_record_id, '-', 1)", has=names,
            )
        )  # fmt: skip

    def _keys(self, table, day, columns):
        """How many keys the date has, counted in another way."""
        names = {column["Name"] for column in table.columns}
        keys = [name for name in self._datasets[table.dataset].key if name in names]
        rows = self.spark.read.schema(columns).parquet(self._root + silver_folder(table.dataset, day))
        return rows.select(*[f"`{name}`" for name in keys]).distinct().count()


def main():
    """Raises SystemExit with the failed dates."""
    arguments = getResolvedOptions(sys.argv, list(ARGUMENTS))
    s3 = boto3.client("s3")
    body = s3.get_object(Bucket=arguments["datasets_bucket"], Key=arguments["datasets_key"])["Body"].read()
    catalog = parse_deployed(body)
    rules = {
        name: "latest " + json.dumps([catalog.datasets[name].key, catalog.datasets[name].current_by])
        for name, section in LAKE.all(catalog).items()
        if section.latest
    }
    ledger = DynamoTable(boto3.client("dynamodb"), arguments["ledger_table"])
    fence = Fence(ledger)
    aws = SparkAws(arguments, catalog.datasets, ledger)
    megabyte = 2**20
    limits = Limits(
        int(arguments["file_mb"]) * megabyte, int(arguments["min_files"]), int(arguments["small_mb"]) * megabyte
    )
    compaction = Compaction(aws, fence, limits, f"{arguments['name']}/{uuid.uuid4().hex}")
    run = Run(aws, fence, compaction, float(arguments["keep_hours"]) * 3600, lambda text: print(text, flush=True))
    tables = [table for table in aws.tables(rules) if arguments["dataset"] in (EVERY, table.dataset)]
    outcomes = run.process(tables, "" if arguments["day"] == EVERY else arguments["day"])
    result = result_of(outcomes, arguments["name"])
    key = f"compaction/{arguments['name']}.json"
    s3.put_object(Bucket=arguments["lake_bucket"], Key=key, Body=json.dumps(result, indent=1).encode())
    measure(arguments["metrics_namespace"], result)
    failed = [one for one in outcomes if one.done == Done.FAILED]
    if failed:
        first = failed[0]
        raise RuntimeError(f"{len(failed)} dates failed, first {first.dataset} {first.day}: {first.reason}")


def measure(namespace, result):
    """Metrics of the service ``lake``, as the functions' are named (sluice_pipeline/runtime/telemetry.py)."""
    dates = result["dates"]
    values = {
        "PartitionsCompacted": dates[Done.COMPACTED],
        "PartitionsFailed": dates[Done.FAILED],
        "FilesCompacted": result["before"]["files"],
        "FilesWritten": result["after"]["files"],
    }
    dimensions = [{"Name": "service", "Value": "lake"}]
    data = [
        {"MetricName": name, "Dimensions": dimensions, "Value": value, "Unit": "Count"}
        for name, value in values.items()
    ]
    boto3.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=data)


if __name__ == "__main__":
    main()
