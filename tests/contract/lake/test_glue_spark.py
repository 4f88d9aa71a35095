"""Spark jobs of Glue. They need Java; the first one sets up the environment of Spark (a minute, 500 MB)."""

import io
import json
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.support.engine_harness import Engine, eventually
from tests.support.glue_jobs import GlueJobs
from tests.support.spark import needs_java

pytestmark = [
    pytest.mark.timeout(900),
    needs_java,
]
HEAD = """
import sys
from awsglue.context import GlueContext
from awsglue.dynamicframe import DynamicFrame
from awsglue.job import Job
from awsglue.transforms import ApplyMapping, ResolveChoice
from awsglue.utils import getResolvedOptions
from pyspark.context import SparkContext
args = getResolvedOptions(sys.argv, ["JOB_NAME", "bucket"])
glue = GlueContext(SparkContext.getOrCreate())
spark, bucket = glue.spark_session, args["bucket"]
job = Job(glue)
job.init(args["JOB_NAME"], args)
"""


class Spark(GlueJobs):
    """Spark jobs."""

    def make(self, script: str, kind: str = "glueetl", **more: Any) -> str:
        wanted = {"GlueVersion": "6.0", "WorkerType": "G.1X", "NumberOfWorkers": 2, "Timeout": 10}
        return super().make(HEAD + script, kind, **(wanted | more))

    def go(self, job: str, **arguments: str) -> dict[str, Any]:
        """Run a job to its end."""
        named = {f"--{name.replace('_', '-')}": value for name, value in arguments.items()}
        return self.end(job, self.start(job, Arguments={"--bucket": self.bucket} | named))

    def keys(self, prefix: str) -> list[str]:
        """The objects below a prefix."""
        return [one["Key"] for one in self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])]

    def rows(self, prefix: str) -> list[dict[str, Any]]:
        """The rows of the Parquet objects below a prefix."""
        found = []
        for key in self.keys(prefix):
            if key.endswith(".parquet"):
                body = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
                found += pq.read_table(io.BytesIO(body)).to_pylist()
        return found


@pytest.fixture
def jobs(engine: Engine) -> Spark:
    return Spark(engine, seconds=600)


def test_frames_come_from_s3_and_the_catalog_and_go_there(jobs: Spark) -> None:
    jobs.put("in/a.json", '{"id": 1, "who": "a", "at": "x"}\n{"id": 2, "who": "b", "at": "y"}\n')
    jobs.put("in/b.json", '{"id": 3, "who": "c c", "at": "x"}\n')
    columns = [{"Name": "number", "Type": "bigint"}, {"Name": "name", "Type": "string"}]
    serde = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
    place = f"s3://{jobs.bucket}/table/"
    jobs.glue.create_database(DatabaseInput={"Name": jobs.bucket})
    storage = {"Columns": columns, "Location": place, "SerdeInfo": {"SerializationLibrary": serde}}
    table = {"Name": "t", "StorageDescriptor": storage, "PartitionKeys": [{"Name": "at", "Type": "string"}]}
    jobs.glue.create_table(DatabaseName=jobs.bucket, TableInput=table)
    script = """
frame = glue.create_dynamic_frame.from_options("s3", {"paths": [f"s3://{bucket}/in/"]}, format="json")
frame = ApplyMapping.apply(frame=frame, mappings=[
    ("id", "long", "number", "long"), ("who", "string", "name", "string"), ("at", "string", "at", "string")])
frame = ResolveChoice.apply(frame=frame, choice="match_catalog", database=bucket, table_name="t")
print("rows", frame.count())
glue.write_dynamic_frame.from_catalog(frame=frame, database=bucket, table_name="t")
import boto3
for at in ("x", "y"):
    storage = {"Location": f"s3://{bucket}/table/at={at}/"}
    boto3.client("glue").create_partition(
        DatabaseName=bucket, TableName="t", PartitionInput={"Values": [at], "StorageDescriptor": storage})
back = glue.create_dynamic_frame.from_catalog(database=bucket, table_name="t", push_down_predicate="at = 'x'")
print("back", sorted(tuple(row) for row in back.toDF().collect()))
back.toDF().write.mode("overwrite").csv(f"s3://{bucket}/out/mit leer/", header=True)
print("again", spark.read.csv(f"s3://{bucket}/out/mit leer/", header=True).count())
job.commit()
"""
    run = jobs.go(jobs.make(script))
    assert (run["JobRunState"], run.get("ErrorMessage")) == ("SUCCEEDED", None), jobs.log(run, "error")[-20:]
    assert jobs.log(run) == ["rows 3", "back [(1, 'a', 'x'), (3, 'c c', 'x')]", "again 2"]
    folders = {key.rsplit("/", 1)[0] for key in jobs.keys("table/")}
    assert folders == {"table", "table/at=x", "table/at=y"}
    assert not [key for key in jobs.keys("") if "_temporary" in key]
    assert sorted(row["number"] for row in jobs.rows("table/")) == [1, 2, 3]
    assert (run["LogGroupName"], run["MaxCapacity"], run["WorkerType"]) == ("/aws-glue/jobs", 2.0, "G.1X")


def test_a_script_that_fails_publishes_nothing_and_says_why(jobs: Spark) -> None:
    jobs.put("in/a.json", '{"id": 1}\n{"id": 0}\n')
    script = """
frame = spark.read.json(f"s3://{bucket}/in/")
broken = frame.rdd.map(lambda row: (1 // row.id,)).toDF("x int")
broken.write.parquet(f"s3://{bucket}/out/")
"""
    run = jobs.go(jobs.make(script))
    assert run["JobRunState"] == "FAILED"
    assert run["ErrorMessage"].startswith("Error Category: UNCLASSIFIED_ERROR; Failed Line Number: ")
    assert "ZeroDivisionError" in run["ErrorMessage"]
    assert not [key for key in jobs.keys("out/") if not key.endswith("/")]
    missing = jobs.go(jobs.make('spark.read.parquet(f"s3://{bucket}/nosuch/").show()'))
    assert missing["ErrorMessage"].startswith(
        "Error Category: RESOURCE_NOT_FOUND_ERROR; Failed Line Number: 14; Analysis"
    )


def test_a_bookmark_shows_each_file_once_and_only_after_commit(jobs: Spark) -> None:
    """Two sources, for each run starts Java: one gets a file between two runs, the other nothing."""
    for folder in ("in", "same"):
        jobs.put(f"{folder}/a.json", '{"id": 1}\n')
    script = """
for name in ("in", "same"):
    frame = glue.create_dynamic_frame.from_options(
        "s3", {"paths": [f"s3://{bucket}/{name}/"]}, format="json", transformation_ctx=name)
    print(name, frame.count())
if "--fail" in sys.argv:
    raise ValueError("before commit")
job.commit()
"""
    job = jobs.make(script, DefaultArguments={"--job-bookmark-option": "job-bookmark-enable"})
    failed = jobs.go(job, fail="yes")
    assert (failed["JobRunState"], jobs.log(failed)) == ("FAILED", ["in 1", "same 1"])
    assert jobs.log(jobs.go(job)) == ["in 1", "same 1"]
    jobs.put("in/b.json", '{"id": 2}\n{"id": 3}\n')
    assert jobs.log(jobs.go(job)) == ["in 2", "same 0"]
    state = json.loads(jobs.glue.get_job_bookmark(JobName=job)["JobBookmarkEntry"]["JobBookmark"])
    assert sorted(state["in"]["files"]) == [f"s3://{jobs.bucket}/in/{name}.json" for name in ("a", "b")]
    jobs.glue.reset_job_bookmark(JobName=job)
    assert jobs.log(jobs.go(job)) == ["in 3", "same 1"]


def test_a_spark_run_can_be_stopped(jobs: Spark) -> None:
    job = jobs.make("print('begun', flush=True)\nspark.range(10**15).selectExpr('sum(id % 7)').show()")
    name = jobs.start(job, Arguments={"--bucket": jobs.bucket})
    eventually(lambda: jobs.log(jobs.run(job, name)) == ["begun"], 200)
    jobs.glue.batch_stop_job_run(JobName=job, JobRunIds=[name])
    assert jobs.end(job, name)["JobRunState"] == "STOPPED"
