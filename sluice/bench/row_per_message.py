"""The row-per-message way that most such pipelines use, beside Sluice's way, on the same rows.

Function A reads the object and sends every row as an SQS message (ten to a call); function B gets batches of up to
ten and writes each to a Parquet object. No ledger, no idempotency, no checks of the rows: the least that it can cost.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any

from fixtures import shipping
from sluice.bench import functions
from sluice.bench.hop_real import Sent, committed_at, finished
from sluice.console import fail
from sluice.pipeline import verify
from sluice.pipeline.ledger import LedgerView
from sluice.pipeline.stack import Stack
from sluice.polling import poll

ROWS = 2_000
BATCH = 10
POLL_SECONDS = 0.5

CODE_A = """
import os, urllib.parse, boto3
s3, sqs = boto3.client("s3"), boto3.client("sqs")
def handler(event, context):
    for record in event.get("Records", []):
        key = urllib.parse.unquote_plus(record["s3"]["object"]["key"])
        body = s3.get_object(Bucket=record["s3"]["bucket"]["name"], Key=key)["Body"].read()
        rows = body.decode().splitlines()
        for begin in range(0, len(rows), 10):
            entries = [{"Id": str(i), "MessageBody": row} for i, row in enumerate(rows[begin:begin + 10])]
            answer = sqs.send_message_batch(QueueUrl=os.environ["QUEUE_URL"], Entries=entries)
            assert not answer.get("Failed"), answer
"""
# The name says how many rows are in the file and when its writing began, so that nothing has to be opened to count.
CODE_B = """
import io, json, os, time, uuid, boto3
import pyarrow as pa, pyarrow.parquet as pq
s3 = boto3.client("s3")
def handler(event, context):
    rows = [json.loads(record["body"]) for record in event["Records"]]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    key = f"out/{time.time():.4f}-{len(rows)}-{uuid.uuid4().hex}.parquet"
    s3.put_object(Bucket=os.environ["BUCKET"], Key=key, Body=sink.getvalue())
"""


@dataclass(frozen=True)
class Way:
    """What one way made of the rows."""

    rows_per_s: float
    files: int


def measure(stack: Stack, rows: int = ROWS, deadline: float = 300.0) -> tuple[Way, Way]:
    """Row per message, and Sluice's way, both warm. Raises SluiceError when one does not end in time."""
    return _per_message(stack, rows, deadline), _sluice(stack, rows, deadline)


def body(rows: int, seed: int) -> bytes:
    """Shipments of one day as JSON lines."""
    return b"".join(shipping.dump(row) + b"\n" for row in shipping.records(shipping.SHIPMENTS, seed, rows, days=1))


def counted(keys: list[str]) -> tuple[int, float]:
    """Rows in the files of these names, and the time (s) at which the last was written."""
    parts = [key.removeprefix("out/").split("-", 2) for key in keys]
    return sum(int(count) for _, count, _ in parts), max((float(at) for at, _, _ in parts), default=0.0)


def _per_message(stack: Stack, rows: int, deadline: float) -> Way:
    configuration = stack.client("lambda").get_function_configuration(FunctionName=stack["transform_function"])
    layers = [layer["Arn"] for layer in configuration.get("Layers", [])]
    with functions.Pair(stack, "rows", CODE_A, CODE_B, batch_size=BATCH, layers=layers) as pair:
        _send(pair, body(100, 1), 100, 0, deadline)
        before = len(pair.keys("out/"))
        began = time.time()
        ended = _send(pair, body(rows, 2), rows, 100, deadline)
        return Way(rows / (ended - began), len(pair.keys("out/")) - before)


def _send(pair: functions.Pair, data: bytes, rows: int, before: int, deadline: float) -> float:
    """Puts the rows and returns when the last of them was written."""
    pair.s3.put_object(Bucket=pair.bucket, Key=f"in/{uuid.uuid4().hex}.jsonl", Body=data)
    (found, last), done = poll(
        lambda: counted(pair.keys("out/")), lambda seen: seen[0] >= before + rows, seconds=deadline,
        interval=POLL_SECONDS,
    )  # fmt: skip
    if not done:
        fail(f"row per message: {found - before} of {rows} rows arrived within {deadline:.0f} s", 1)
    return last


def _sluice(stack: Stack, rows: int, deadline: float) -> Way:
    s3, bucket, run = stack.client("s3"), stack["bronze_bucket"], uuid.uuid4().hex[:8]
    ledger = LedgerView.of(stack)

    def send(name: str, data: bytes) -> Sent:
        key = f"bronze/{shipping.SHIPMENTS}/bench-{run}/{name}.jsonl"
        at = time.time()
        answer: Any = s3.put_object(Bucket=bucket, Key=key, Body=data)
        return Sent(verify.object_id(bucket, key, answer["ETag"].strip('"')), at)

    finished(ledger, [send("warm", body(100, 1))], deadline, 100)
    sent = send("rows", body(rows, 2))
    item = finished(ledger, [sent], deadline, rows)[sent.object_id]
    return Way(rows / (committed_at(item) - sent.at), int(item["silver_files"]))
