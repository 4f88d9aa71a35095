"""Small functions, a queue and a bucket, for measurements that need no stack."""

from __future__ import annotations

import contextlib
import io
import json
import uuid
import zipfile
from abc import ABC, abstractmethod
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


class _Made(ABC):
    """What is made on entry and removed on exit."""

    def __init__(self, stack: Stack, name: str) -> None:
        self._stack = stack
        self.name = f"{name}-{uuid.uuid4().hex[:8]}"
        self._lambda, self._iam = stack.client("lambda"), stack.client("iam")
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

    @abstractmethod
    def _create(self) -> None: ...

    def _role(self) -> str:
        role = self._iam.create_role(RoleName=self.name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
        self._later(self._iam.delete_role, RoleName=self.name)
        return str(role["Arn"])

    def _queue(self) -> tuple[str, str]:
        """Url and ARN of a queue."""
        sqs = self._stack.client("sqs")
        url = sqs.create_queue(QueueName=self.name, Attributes={"VisibilityTimeout": str(VISIBILITY)})["QueueUrl"]
        self._later(sqs.delete_queue, QueueUrl=url)
        return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def _function(
        self, suffix: str, code: str, role: str, variables: dict[str, str], layers: Sequence[str] = ()
    ) -> str:
        name = f"{self.name}-{suffix}"
        arn: str = self._lambda.create_function(
            FunctionName=name,
            Runtime=RUNTIME,
            Role=role,
            Handler="handler.handler",
            Code={"ZipFile": _zip(code)},
            Timeout=TIMEOUT,
            MemorySize=MEMORY,
            Layers=list(layers),
            Environment={"Variables": variables},
        )["FunctionArn"]
        self._later(self._lambda.delete_function, FunctionName=name)
        self._lambda.get_waiter("function_active_v2").wait(FunctionName=name)
        return arn

    def _mapping(self, queue_arn: str, function: str, **settings: Any) -> str:
        made = self._lambda.create_event_source_mapping(EventSourceArn=queue_arn, FunctionName=function, **settings)
        self._later(self._lambda.delete_event_source_mapping, UUID=made["UUID"])
        return str(made["UUID"])

    def _later(self, operation: Any, **arguments: str) -> None:
        """Removes something at the end; what is gone already, or goes with the engine, is no matter."""

        def remove() -> None:
            with contextlib.suppress(ClientError):
                operation(**arguments)

        self._undo.callback(remove)


class Drain(_Made):
    """queue -> function. Its mapping is off until ``enable``. ``window``: seconds that it gathers a batch."""

    def __init__(self, stack: Stack, name: str, code: str, *, batch_size: int, window: int) -> None:
        super().__init__(stack, name)
        self._code, self._settings = code, {"BatchSize": batch_size, "MaximumBatchingWindowInSeconds": window}
        self.url = self._uuid = ""

    def enable(self) -> None:
        self._lambda.update_event_source_mapping(UUID=self._uuid, Enabled=True)

    def _create(self) -> None:
        self.url, arn = self._queue()
        function = self._function("a", self._code, self._role(), {})
        self._uuid = self._mapping(arn, function, Enabled=False, **self._settings)


class Pair(_Made):
    """bucket in/ -> function A -> queue -> function B, which may write to the same bucket's out/.

    A gets QUEUE_URL, B gets BUCKET.
    """

    def __init__(
        self, stack: Stack, name: str, first: str, second: str, *, batch_size: int, layers: Sequence[str] = ()
    ) -> None:
        super().__init__(stack, name)
        self._codes = first, second
        self._batch_size = batch_size
        self._layers = layers
        self.s3 = stack.client("s3")

    @property
    def bucket(self) -> str:
        return self.name

    def count(self, prefix: str) -> int:
        """How many objects there are under a prefix."""
        return len(self.keys(prefix))

    def keys(self, prefix: str) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def _create(self) -> None:
        name = self.bucket
        role = self._role()
        self.s3.create_bucket(Bucket=name)
        self._undo.callback(self._remove_bucket)
        url, queue = self._queue()
        first = self._function("a", self._codes[0], role, {"QUEUE_URL": url})
        second = self._function("b", self._codes[1], role, {"BUCKET": name}, self._layers)
        self._mapping(queue, second, BatchSize=self._batch_size)
        self._lambda.add_permission(
            FunctionName=first, StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com"
        )
        rule = {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}]}}
        target = {"LambdaFunctionArn": first, "Events": ["s3:ObjectCreated:*"], "Filter": rule}
        self.s3.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"LambdaFunctionConfigurations": [target]}
        )

    def _remove_bucket(self) -> None:
        for key in self.keys(""):
            self.s3.delete_object(Bucket=self.bucket, Key=key)
        self.s3.delete_bucket(Bucket=self.bucket)


def _zip(code: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("handler.py", code)
    return buffer.getvalue()
