"""Puts a file into bronze, waits until it is committed, and runs a query on its silver rows.

Usage: put_and_query.py DATASET FILE SQL      (the table is called `rows`)

Run it where `sluice` and an AWS client reach the stack: after eval "$(sluice env)", or with an account's credentials.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

WAIT_SECONDS = 60


def main(dataset: str, file: str, sql: str) -> int:
    outputs = json.loads(subprocess.run(["sluice", "outputs", "--json"], check=True, capture_output=True).stdout)
    session = boto3.Session(region_name=outputs["region"])
    key = f"bronze/{dataset}/examples/{Path(file).name}"
    with committed_events(session, outputs["event_bus_name"]) as events:
        session.client("s3").upload_file(file, outputs["bronze_bucket"], key)
        event = next((event for event in events if event["origin"]["key"] == key), None)
    if event is None:
        print(f"no event about {key} within {WAIT_SECONDS} s. Was it committed before? The ledger says:")
        return subprocess.run(["sluice", "runs", "--since", "1d"], check=False).returncode or 1
    counts = "{rows_in} rows in, {rows_silver} in silver, {rows_quarantined} in quarantine (run {run})"
    print("committed:", counts.format(**event))
    rows = silver_rows(session, outputs["silver_bucket"], event)
    for row in duckdb.connect().register("rows", rows).execute(sql).fetchall():
        print(row)
    return 0


@contextmanager
def committed_events(session: boto3.Session, bus: str) -> Iterator[Iterator[dict[str, Any]]]:
    """Details of object.committed, as they arrive, through a queue that exists only as long as the block.

    A consumer that stays has its queue in Terraform: infra/modules/committed_queue.
    """
    sqs, bridge = session.client("sqs"), session.client("events")
    name = f"example-{uuid.uuid4().hex[:8]}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    try:
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        pattern = {"source": ["sluice"], "detail-type": ["object.committed"]}
        rule = bridge.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(pattern))["RuleArn"]
        allow = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        bridge.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
        yield received(sqs, url)
    finally:
        # In this order: a rule with targets cannot be deleted. Deleting what does not exist is no error.
        bridge.remove_targets(Rule=name, EventBusName=bus, Ids=["queue"])
        bridge.delete_rule(Name=name, EventBusName=bus)
        sqs.delete_queue(QueueUrl=url)


def received(sqs: Any, url: str) -> Iterator[dict[str, Any]]:
    """Details of the queue's events; ends after WAIT_SECONDS."""
    deadline = time.monotonic() + WAIT_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        answer = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=min(5, max(1, int(left))), MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            yield json.loads(message["Body"])["detail"]


def silver_rows(session: boto3.Session, bucket: str, event: dict[str, Any]) -> pa.Table:
    """All silver rows of a committed object: its files in each partition that the event names."""
    s3 = session.client("s3")
    tables = []
    for part in event["partitions"]:
        prefix = f"silver/{part['dataset']}/dt={part['dt']}/{event['object_id']}-"
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", []):
                body = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
                tables.append(pq.read_table(io.BytesIO(body)))
    return pa.concat_tables(tables)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
