"""Time of one hop: S3 put -> Lambda A -> SQS -> Lambda B -> S3 put, with two functions that do nothing else.

    python tests/bench/hop_bare.py --endpoint-url http://127.0.0.1:4566 [--objects 200]

Puts small objects one after the other and waits for the output of each. Prints one JSON line: objects_per_s (from the
first put to the last output), p50_s and p99_s (from a put's start to the time its output was written). Runs against any
engine that speaks the AWS APIs, so that engines can be compared; it needs boto3 and nothing of this project.
"""

import argparse
import io
import json
import statistics
import sys
import time
import uuid
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config

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
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}],
}


def _zip(code: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("handler.py", code)
    return buffer.getvalue()


class Hop:
    """The bucket, queue and functions of one measurement."""

    def __init__(self, endpoint_url: str, runtime: str) -> None:
        self._endpoint_url = endpoint_url
        self.name = f"hop-{uuid.uuid4().hex[:8]}"
        self.s3, self.sqs, self.lam, self.iam = (self._client(s) for s in ("s3", "sqs", "lambda", "iam"))
        self._runtime = runtime

    def _client(self, service: str) -> Any:
        config = Config(retries={"max_attempts": 2}, max_pool_connections=20, s3={"addressing_style": "path"})
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=self._endpoint_url, region_name="us-east-1", config=config, **keys)

    def _function(self, suffix: str, code: str, role: str, environment: dict[str, str]) -> str:
        arn: str = self.lam.create_function(
            FunctionName=f"{self.name}-{suffix}",
            Runtime=self._runtime,
            Role=role,
            Handler="handler.handler",
            Code={"ZipFile": _zip(code)},
            Timeout=20,
            MemorySize=256,
            # The engine's own address, for engines that do not set it.
            Environment={"Variables": {"AWS_ENDPOINT_URL": self._endpoint_url, **environment}},
        )["FunctionArn"]
        self.lam.get_waiter("function_active_v2").wait(FunctionName=f"{self.name}-{suffix}")
        return arn

    def create(self) -> None:
        """Make everything."""
        role = self.iam.create_role(RoleName=self.name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        self.s3.create_bucket(Bucket=self.name)
        url = self.sqs.create_queue(QueueName=self.name, Attributes={"VisibilityTimeout": "120"})["QueueUrl"]
        queue = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        first = self._function("a", CODE_A, role, {"QUEUE_URL": url})
        self._function("b", CODE_B, role, {"BUCKET": self.name})
        self.mapping = self.lam.create_event_source_mapping(
            EventSourceArn=queue, FunctionName=f"{self.name}-b", BatchSize=10
        )["UUID"]
        self.lam.add_permission(
            FunctionName=f"{self.name}-a",
            StatementId="s3",
            Action="lambda:InvokeFunction",
            Principal="s3.amazonaws.com",
        )
        rule = {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}]}}
        target = {"LambdaFunctionArn": first, "Events": ["s3:ObjectCreated:*"], "Filter": rule}
        self.s3.put_bucket_notification_configuration(
            Bucket=self.name, NotificationConfiguration={"LambdaFunctionConfigurations": [target]}
        )
        self._queue_url = url

    def run(self, count: int, prefix: str, limit: float) -> dict[str, float]:
        """Put ``count`` objects and wait (at most ``limit`` s) until all have come out."""
        started: dict[str, float] = {}
        begin = time.time()
        for number in range(count):
            started[f"{prefix}{number:05d}"] = time.time()
            self.s3.put_object(Bucket=self.name, Key=f"in/{prefix}{number:05d}", Body=b'{"n": 1}\n' * 10)
        while self._count(prefix) < count:
            if time.time() - begin > limit:
                sys.exit(f"only {self._count(prefix)} of {count} objects came out in {limit:.0f} s")
            time.sleep(0.05)

        def written(key: str) -> float:
            return float(self.s3.get_object(Bucket=self.name, Key=f"out/{key}")["Body"].read())

        with ThreadPoolExecutor(4) as pool:
            ended = dict(zip(started, pool.map(written, started), strict=True))
        latencies = sorted(ended[key] - started[key] for key in started)
        return {
            "objects_per_s": round(count / (max(ended.values()) - begin), 1),
            "p50_s": round(statistics.median(latencies), 4),
            "p99_s": round(latencies[min(count - 1, int(count * 0.99))], 4),
        }

    def _count(self, prefix: str) -> int:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=f"out/{prefix}")
        return sum(page.get("KeyCount", 0) for page in pages)

    def destroy(self) -> None:
        """Remove everything."""
        self.lam.delete_event_source_mapping(UUID=self.mapping)
        for suffix in ("a", "b"):
            self.lam.delete_function(FunctionName=f"{self.name}-{suffix}")
        self.sqs.delete_queue(QueueUrl=self._queue_url)
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.name):
            for item in page.get("Contents", []):
                self.s3.delete_object(Bucket=self.name, Key=item["Key"])
        self.s3.delete_bucket(Bucket=self.name)
        self.iam.delete_role(RoleName=self.name)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--endpoint-url", required=True)
    parser.add_argument("--objects", type=int, default=200)
    parser.add_argument("--runtime", default="python3.13")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds to wait for the last output")
    options = parser.parse_args()
    hop = Hop(options.endpoint_url, options.runtime)
    hop.create()
    hop.run(20, "warm", options.timeout)
    result = hop.run(options.objects, "run", options.timeout)
    hop.destroy()
    print(json.dumps({"objects": options.objects, **result}))


if __name__ == "__main__":
    main()
