"""One hop with two functions that do nothing else: S3 put -> function A -> SQS -> function B -> S3 put.

The floor under every pipeline on an engine. Any engine that speaks the AWS APIs can be measured, so that engines can
be compared; nothing has to be deployed before, and nothing is left behind.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sluice.bench import figures, functions
from sluice.bench.figures import Hop
from sluice.console import fail
from sluice.pipeline.stack import Stack
from sluice.polling import poll

CODE_A = """
import os, boto3
sqs = boto3.client("sqs")
def handler(event, context):
    for record in event.get("Records", []):
        sqs.send_message(QueueUrl=os.environ["QUEUE_URL"], MessageBody=record["s3"]["object"]["key"])
"""
CODE_B = """
import os, time, boto3
s3 = boto3.client("s3")
def handler(event, context):
    for record in event["Records"]:
        key = "out/" + record["body"].removeprefix("in/")
        s3.put_object(Bucket=os.environ["BUCKET"], Key=key, Body=repr(time.time()).encode())
"""
BODY = b'{"n": 1}\n' * 10
WARM_UP = 40
POLL_SECONDS = 0.1


def measure(stack: Stack, objects: int, deadline: float = 120.0) -> Hop:
    """The hop of ``objects`` objects, after a warm-up of 40.

    An object ends when function B begins to write its output: B writes the time that it sees into it.
    Raises SluiceError when the outputs are not all there within ``deadline`` seconds.
    """
    with functions.Pair(stack, "hop", CODE_A, CODE_B, batch_size=10) as pair:
        _run(pair, WARM_UP, "warm", deadline)
        return _run(pair, objects, "run", deadline)


def _run(pair: functions.Pair, count: int, prefix: str, deadline: float) -> Hop:
    started: dict[str, float] = {}
    end = time.monotonic() + deadline
    for number in range(count):
        key = f"{prefix}/{number:05d}"
        started[key] = time.time()
        pair.s3.put_object(Bucket=pair.bucket, Key=f"in/{key}", Body=BODY)
    done, in_time = poll(
        lambda: pair.count(f"out/{prefix}/"),
        lambda n: n >= count,
        seconds=end - time.monotonic(),
        interval=POLL_SECONDS,
    )
    if not in_time:
        fail(f"only {done} of {count} objects arrived within {deadline:.0f} s", 1)
    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(lambda key: _written(pair, key), started))
    return figures.summary(list(started.values()), ended)


def _written(pair: functions.Pair, key: str) -> float:
    answer: Any = pair.s3.get_object(Bucket=pair.bucket, Key=f"out/{key}")
    return float(answer["Body"].read())
