"""The lake's compaction: 1,000 files of 100 KB of one date, by the deployed job, on a bucket of the benchmark's own."""

from __future__ import annotations

import io
import random
from datetime import date
from typing import Any

from sluice.console import fail
from sluice.pipeline.stack import Stack
from sluice.polling import wait_until

FILES, FILE_BYTES = 1_000, 100_000
_DAY = date(2026, 3, 1).isoformat()
_ROW_BYTES = 1_000
_LONGEST = 600.0
_TYPES = {"payload": "string", "_source_key": "string", "_source_offset": "bigint", "_record_id": "string"}


def measure(stack: Stack, bucket: str, database: str) -> float | None:
    """Seconds of the job's run, Spark's session included; None where Spark cannot run. ``bucket``, ``database``: to be
    filled; the caller removes them. Raises SluiceError when the run fails."""
    if not stack.outputs.get("lake_compaction_arn"):
        return None
    s3, glue = stack.client("s3"), stack.client("glue")
    for number, body in enumerate(_files()):
        s3.put_object(Bucket=bucket, Key=f"silver/small/dt={_DAY}/{number:032x}-00001.parquet", Body=body)
    serde = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
    storage = {
        "Columns": [{"Name": name, "Type": kind} for name, kind in _TYPES.items()],
        "Location": f"s3://{bucket}/silver/small/",
        "SerdeInfo": {"SerializationLibrary": serde},
    }
    keys = [{"Name": "dt", "Type": "date"}]
    table = {"Name": "small", "StorageDescriptor": storage, "PartitionKeys": keys}
    glue.create_table(DatabaseName=database, TableInput=table)
    partition = {
        "Values": [_DAY],
        "StorageDescriptor": storage | {"Location": f"s3://{bucket}/silver/small/dt={_DAY}/"},
    }
    glue.create_partition(DatabaseName=database, TableName="small", PartitionInput=partition)
    run = _run(stack, bucket, database)
    if str(run.get("ErrorMessage") or "").startswith("LAUNCH ERROR"):
        return None
    location = glue.get_partition(DatabaseName=database, TableName="small", PartitionValues=[_DAY])["Partition"]
    if run["JobRunState"] != "SUCCEEDED" or "/compacted/" not in location["StorageDescriptor"]["Location"]:
        fail(f"the compaction is {run['JobRunState']}: {run.get('ErrorMessage')}", 1)
    return float(run["ExecutionTime"])


def _run(stack: Stack, bucket: str, database: str) -> dict[str, Any]:
    """The run after its end."""
    glue, job = stack.client("glue"), stack["lake_compaction_arn"].rsplit(":", 1)[-1]
    arguments = {"--silver_bucket": bucket, "--lake_bucket": bucket, "--database": database, "--name": bucket}
    started = glue.start_job_run(JobName=job, Arguments=arguments)["JobRunId"]
    run: dict[str, Any] = {}

    def ended() -> bool:
        run.update(glue.get_job_run(JobName=job, RunId=started)["JobRun"])
        return run["JobRunState"] not in ("WAITING", "STARTING", "RUNNING", "STOPPING")

    if not wait_until(ended, _LONGEST, 0.2):
        glue.batch_stop_job_run(JobName=job, JobRunIds=[started])
        fail(f"the compaction has not ended within {_LONGEST:g} s", 1)
    return run


def _files() -> Any:
    """Parquet that does not compress, so that each file is as large as it says."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    chance = random.Random(1)
    for number in range(FILES):
        rows = FILE_BYTES // _ROW_BYTES
        payload = [chance.randbytes(_ROW_BYTES // 2).hex() for _ in range(rows)]
        table = pa.table({
            "payload": payload,
            "_source_key": [f"bronze/small/{number}"] * rows,
            "_source_offset": [at * _ROW_BYTES for at in range(rows)],
            "_record_id": [f"{number:032x}-{at * _ROW_BYTES}" for at in range(rows)],
        })  # fmt: skip
        sink = io.BytesIO()
        pq.write_table(table, sink, compression="none", use_dictionary=False)
        yield sink.getvalue()
