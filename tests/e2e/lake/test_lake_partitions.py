"""The ways in which Athena may find dates: a lake of the test's own over the stack's silver, applied once for each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from sluice.engine.instance import Instance
from sluice.paths import BUILD_DIR
from sluice.pipeline import query
from sluice.pipeline.stack import Stack
from tests.e2e.lake.test_lake import begin_of, put, rows_of
from tests.infra.planning import copy_infra, terraform
from tests.support import branches
from tests.support.lake import Lake
from tests.support.pipeline import Pipeline, until

pytestmark = [pytest.mark.usefixtures("lake_deployed"), pytest.mark.timeout(900)]
PROVIDER = {
    "s3_use_path_style": True,
    "skip_credentials_validation": True,
    "skip_metadata_api_check": True,
    "skip_requesting_account_id": False,
}
# What AWS's crawlers write to a table that they look after.
MARKS = {
    "UPDATED_BY_CRAWLER": "another", "CrawlerSchemaSerializerVersion": "1.0", "CrawlerSchemaDeserializerVersion": "1.0",
    "objectCount": "7", "recordCount": "70", "sizeKey": "700", "averageRecordSize": "10", "typeOfData": "file",
    "compressionType": "none", "partition_filtering.enabled": "true",
}  # fmt: skip


@dataclass
class OwnLake:
    """The branch's module alone, with a prefix of its own."""

    folder: Path
    env: dict[str, str]
    stack: Stack
    run: str

    def apply(self, partitions: str) -> Stack:
        """The stack as one whose lake is this."""
        document = {
            "provider": {"aws": PROVIDER | {"region": self.stack.region}},
            "module": {"lake": self._module(partitions)},
            "output": {"branch": {"value": "${module.lake.branch}"}},
        }
        (self.folder / "main.tf.json").write_text(json.dumps(document))
        for words in (["init"], ["apply", "-auto-approve", "-parallelism=40"]):
            done = self._terraform(*words, "-input=false", "-no-color")
            assert done.returncode == 0, done.stderr[-3000:]
        branch = json.loads(self._terraform("output", "-json", "branch").stdout)
        own = {f"lake_{name}": value for name, value in branch["outputs"].items()}
        return replace(
            self.stack, outputs={**self.stack.outputs, **own, "lake_queue_url": branch["queues"]["lake"]["url"]}
        )

    def no_change_is_planned(self) -> None:
        done = self._terraform("plan", "-detailed-exitcode", "-input=false", "-no-color")
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr

    def destroy(self) -> None:
        done = self._terraform("destroy", "-auto-approve", "-input=false", "-no-color", "-parallelism=40")
        assert done.returncode == 0, done.stderr[-3000:]

    def _terraform(self, *words: str) -> Any:
        return terraform(self.folder, *words, env=self.env)

    def _module(self, partitions: str) -> dict[str, Any]:
        stack = self.stack
        function = stack.client("lambda").get_function_configuration(FunctionName=stack["lake_function"])
        settings = function["Environment"]["Variables"]
        buckets = {name: stack[f"{name}_bucket"] for name in ("artifacts", "silver", "quarantine")}
        [layer] = [one["Arn"] for one in function["Layers"]]
        topic, ledger = settings["NOTIFICATIONS_TOPIC_ARN"], settings["LEDGER_TABLE"]
        event_dlq = branches.queues(stack)["events"]["dlq_name"]
        partition, region, account = topic.split(":")[1], topic.split(":")[3], topic.split(":")[4]
        datasets = {"DATASETS_BUCKET": settings["DATASETS_BUCKET"], "DATASETS_KEY": settings["DATASETS_KEY"]}
        reads = f"arn:{partition}:s3:::{datasets['DATASETS_BUCKET']}/{datasets['DATASETS_KEY']}"
        return {
            "source": "../branches/lake",
            "deployment": {
                "prefix": f"own-{self.run}",
                "artifacts_dir": str(BUILD_DIR),
                "log_retention_days": 1,
                "tracing_mode": "PassThrough",
                "release": {"versioned": False, "held": {}},
                "environment": {"POWERTOOLS_METRICS_NAMESPACE": f"own-{self.run}", "POWERTOOLS_LOG_LEVEL": "INFO"},
                "kms_permissions": [],
                "max_receive_count": 5,
                "message_retention_days": 4,
                "force_destroy": True,
                "kms_key_arn": None,
                "topic_kms_key_arn": None,
            },
            "core": {
                "account": {"partition": partition, "region": region, "id": account},
                "topic_arn": topic,
                "event_dlq_arn": f"arn:{partition}:sqs:{region}:{account}:{event_dlq}",
                "bus_name": stack["event_bus_name"],
                "datasets": {
                    "environment": datasets,
                    "permission": {"sid": "ReadDatasets", "actions": ["s3:GetObject"], "resources": [reads]},
                },
                "buckets": {k: {"name": name, "arn": f"arn:{partition}:s3:::{name}"} for k, name in buckets.items()},
                "tables": {
                    "ledger": {"name": ledger, "arn": f"arn:{partition}:dynamodb:{region}:{account}:table/{ledger}"}
                },
                "layers": {"base": layer},
            },
            "settings": {
                "bucket_name": f"own-{self.run}-lake",
                "partitions": partitions,
                "projection_range": "1970-01-01,NOW+1YEARS",
                "crawler_schedule": None,
                "query_bytes_limit": 107374182400,
                "results_keep_days": 1,
                "timeout_seconds": 60,
                "memory_mb": 256,
                "batch_size": 10,
                "maximum_concurrency": 2,
                # Nothing is compacted of these kinds of partitions.
                "compaction": {
                    "schedule": None, "file_mb": 128, "min_files": 100, "small_mb": 32, "keep_hours": 24,
                    "worker_type": "G.1X", "workers": 2, "timeout_minutes": 120, "retry_seconds": 30,
                },
            },
        }  # fmt: skip


@pytest.fixture
def own_lake(pipe: Pipeline, instance: Instance, tmp_path: Path) -> Iterator[OwnLake]:
    from sluice.terraform.settings import local_environment

    env = {k: v for k, v in local_environment(instance).items() if not re.match(r"TF_(DATA_DIR|CLI_ARGS)", k)}
    folder = copy_infra(tmp_path / "infra") / "own"
    folder.mkdir()
    made = OwnLake(folder, env, pipe.stack, pipe.run)
    try:
        yield made
    finally:
        made.destroy()


def crawl(stack: Stack) -> None:
    glue, name = stack.client("glue"), stack["lake_crawler"]
    glue.start_crawler(Name=name)
    until("the crawl", lambda: glue.get_crawler(Name=name)["Crawler"]["State"] == "READY", 180)
    last = glue.get_crawler(Name=name)["Crawler"]["LastCrawl"]
    assert last["Status"] == "SUCCEEDED", last


def note(stack: Stack) -> None:
    """What another crawler would leave on a table."""
    glue, database = stack.client("glue"), stack["lake_database"]
    table = glue.get_table(DatabaseName=database, Name="shipments")["Table"]
    names = ("Name", "StorageDescriptor", "PartitionKeys", "TableType", "Description")
    given = {name: table[name] for name in names if name in table}
    parameters = table["Parameters"] | MARKS
    glue.update_table(DatabaseName=database, TableInput=given | {"Parameters": parameters})


def test_each_way_to_find_dates_gives_the_same_rows_and_leaves_nothing_to_plan(
    pipe: Pipeline, own_lake: OwnLake
) -> None:
    crawled = Pipeline(own_lake.apply("crawled"), pipe.mail, pipe.has_faults)
    lake = Lake(crawled)
    first = put(pipe, "a.jsonl", [*rows_of(pipe.run, 0, 40), {"event_time": "no time"}])
    assert lake.registered(first)["rows_silver"] == 40
    assert lake.partitions("shipments") == {}  # they are the crawler's
    columns = ", ".join(
        query.run(query.silver(pipe.stack, only=["shipments"]), "SELECT * FROM shipments LIMIT 0").columns
    )
    sql = f"SELECT {columns} FROM shipments WHERE _source_key LIKE '%{pipe.run}%' ORDER BY _record_id"
    with query.asking(pipe.stack, sql) as answer:
        by_duckdb = list(answer.rows)
    assert len(by_duckdb) == 40
    crawl(crawled.stack)
    assert lake.ask(sql) == by_duckdb
    found, registered = lake.partitions("shipments"), Lake(pipe).partitions("shipments")
    assert found.keys() == registered.keys()
    # A crawler reads silver; compacted dates of other suites are elsewhere in the catalog of the session's stack.
    silver = {day for day, location in registered.items() if "/compacted/" not in location}
    assert {day: found[day] for day in silver} == {day: registered[day] for day in silver}
    assert f"{begin_of(pipe.run):%Y-%m-%d}" in silver
    day = f"{begin_of(pipe.run):%Y-%m-%d}"
    assert lake.ask(f"SELECT count(*) FROM shipments_current WHERE dt = DATE '{day}'") == [(20,)]
    crawl(crawled.stack)
    note(crawled.stack)
    own_lake.no_change_is_planned()

    projected = Lake(Pipeline(own_lake.apply("projected"), pipe.mail, pipe.has_faults))
    assert projected.ask(sql) == by_duckdb
    own_lake.no_change_is_planned()
