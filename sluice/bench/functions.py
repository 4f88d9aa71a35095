"""Two small functions with a bucket and a queue between them, for measurements that need no stack."""

from __future__ import annotations

import contextlib
import io
import json
import uuid
import zipfile
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from botocore.exceptions import ClientError

from sluice.pipeline.stack import Stack

RUNTIME = "python3.13"
TIMEOUT, MEMORY = 60, 512  # seconds, MB
VISIBILITY = 6 * TIMEOUT
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}],
}


class Pair:
    """bucket in/ -> function A -> queue -> function B, which may write to the same bucket's out/.

    A gets QUEUE_URL, B gets BUCKET. Made on entry and removed on exit.
    """

    def __init__(
        self, stack: Stack, name: str, first: str, second: str, *, batch_size: int, layers: Sequence[str] = ()
    ) -> None:
        self._stack = stack
        self._codes = {"a": first, "b": second}
        self._batch_size = batch_size
        self._layers = list(layers)
        self.bucket = f"{name}-{uuid.uuid4().hex[:8]}"
        self.s3, self._sqs, self._lambda, self._iam = (stack.client(s) for s in ("s3", "sqs", "lambda", "iam"))
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self._create()
        except BaseException:
            self._undo.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def count(self, prefix: str) -> int:
        """How many objects there are under a prefix."""
        return len(self.keys(prefix))

    def keys(self, prefix: str) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def _create(self) -> None:
        name = self.bucket
        role = self._iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        self._later(self._iam.delete_role, RoleName=name)
        self.s3.create_bucket(Bucket=name)
        self._undo.callback(self._remove_bucket)
        url = self._sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": str(VISIBILITY)})["QueueUrl"]
        self._later(self._sqs.delete_queue, QueueUrl=url)
        attributes = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
        first = self._function("a", role, {"QUEUE_URL": url})
        self._function("b", role, {"BUCKET": name})
        mapping = self._lambda.create_event_source_mapping(
            EventSourceArn=attributes["QueueArn"], FunctionName=f"{name}-b", BatchSize=self._batch_size
        )["UUID"]
        self._later(self._lambda.delete_event_source_mapping, UUID=mapping)
        self._lambda.add_permission(
            FunctionName=f"{name}-a", StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com"
        )
        rule = {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}]}}
        target = {"LambdaFunctionArn": first, "Events": ["s3:ObjectCreated:*"], "Filter": rule}
        self.s3.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"LambdaFunctionConfigurations": [target]}
        )

    def _function(self, suffix: str, role: str, variables: dict[str, str]) -> str:
        name = f"{self.bucket}-{suffix}"
        arn: str = self._lambda.create_function(
            FunctionName=name,
            Runtime=RUNTIME,
            Role=role,
            Handler="handler.handler",
            Code={"ZipFile": _zip(self._codes[suffix])},
            Timeout=TIMEOUT,
            MemorySize=MEMORY,
            Layers=self._layers if suffix == "b" else [],
            Environment={"Variables": variables},
        )["FunctionArn"]
        self._later(self._lambda.delete_function, FunctionName=name)
        self._lambda.get_waiter("function_active_v2").wait(FunctionName=name)
        return arn

    def _remove_bucket(self) -> None:
        for key in self.keys(""):
            self.s3.delete_object(Bucket=self.bucket, Key=key)
        self.s3.delete_bucket(Bucket=self.bucket)

    def _later(self, operation: Any, **arguments: str) -> None:
        """Removes something at the end; what is gone already, or goes with the engine, is no matter."""

        def remove() -> None:
            with contextlib.suppress(ClientError):
                operation(**arguments)

        self._undo.callback(remove)


def _zip(code: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("handler.py", code)
    return buffer.getvalue()
