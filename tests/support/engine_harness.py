"""The engine under test and tiny things in it, for the contract tests."""

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from botocore.config import Config

from sluice.environment import of_machine

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("SLUICE_ENGINE_PYTHON") or str(ROOT / ".sluice/engine/bin/python")
RUNTIMES = os.environ.get("SLUICE_LAMBDA_RUNTIMES") or str(ROOT / ".sluice/runtimes")
ACCOUNT = "000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/contract"


def eventually[T](check: Callable[[], T], seconds: float = 20.0, what: str = "") -> T:
    """The first truthy answer of ``check``; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:.0f} s: {what or check}; last answer {found!r}")
        time.sleep(0.05)


def throughout(check: Callable[[], bool], seconds: float, what: str) -> None:
    """Fails when ``check`` is false at any time within ``seconds``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert check(), f"not all the time: {what}"
        time.sleep(0.05)


def demand_engine() -> None:
    """Skips the test where the engine is not installed."""
    if not Path(PYTHON).exists():
        pytest.skip(f"no engine environment at {PYTHON}; run `make setup` or set SLUICE_ENGINE_PYTHON")


def in_engine(script: Path, *arguments: str, seconds: float = 120, **settings: str) -> Any:
    """Runs a script in the engine's interpreter for at most so long; what it printed last, as JSON."""
    demand_engine()
    done = subprocess.run(
        [PYTHON, str(script), *arguments], env=os.environ | settings, capture_output=True, timeout=seconds, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


class Engine:
    """A running engine process."""

    def __init__(self, home: Path, module: str = "sluice_ext.main", **environment: str) -> None:
        demand_engine()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = home / "engine.log"
        values = of_machine() | {
            "GATEWAY_LISTEN": f"127.0.0.1:{self.port}",
            "FILESYSTEM_ROOT": str(home / "localstack"),
            "SLUICE_LAMBDA_RUNTIMES": RUNTIMES,
            "SLUICE_SETUP": str(ROOT / "sluice/setup"),
            **environment,
        }
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [PYTHON, "-m", module], env=values, stdout=log, stderr=subprocess.STDOUT, cwd=home
            )
        eventually(self._up, 60, "the engine to answer")

    def _up(self) -> bool:
        if self.process.poll() is not None:
            pytest.fail(f"the engine ended at once:\n{self.log.read_text()[-3000:]}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def client(self, service: str, **options: Any) -> Any:
        """boto3 client with dummy credentials and no retries."""
        config = Config(retries={"total_max_attempts": 1}, read_timeout=60, **options)
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return cast(Any, boto3).client(service, endpoint_url=self.url, region_name="us-east-1", config=config, **keys)

    def stop(self, how: signal.Signals = signal.SIGTERM, seconds: float = 15.0) -> float:
        """Stop it and wait; returns how long that took (s)."""
        began = time.monotonic()
        self.process.send_signal(how)
        self.process.wait(seconds)
        return time.monotonic() - began

    def children(self) -> set[int]:
        """Process ids of function processes."""
        found: set[int] = set()
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            with contextlib.suppress(OSError):  # a thread that ended in between
                found |= {int(child) for child in (task / "children").read_text().split()}
        return found


def zipped(files: dict[str, str]) -> bytes:
    """A zip with these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


class Function:
    """A deployed function."""

    def __init__(self, engine: Engine, code: str, **options: Any) -> None:
        self._lambda, self._logs = engine.client("lambda"), engine.client("logs")
        self.name = options.pop("name", f"fn-{uuid.uuid4().hex[:8]}")
        variables = options.pop("variables", {})
        settings = {
            "Role": ROLE,
            "Runtime": "python3.13",
            "Timeout": 5,
            "MemorySize": 256,
            "Handler": "handler.handler",
        } | options
        self.arn: str = self._lambda.create_function(
            FunctionName=self.name,
            Code={"ZipFile": zipped({"handler.py": code})},
            Environment={"Variables": variables},
            **settings,
        )["FunctionArn"]
        self.wait()

    def wait(self) -> None:
        """Until it is active and its last update is done."""

        def ready() -> bool:
            found = self._lambda.get_function_configuration(FunctionName=self.name)
            return bool(found["State"] == "Active" and found["LastUpdateStatus"] == "Successful")

        eventually(ready, 20, "the function to be ready")

    def allow(self, service: str) -> None:
        """Lets the service (`apigateway`) invoke the function, whichever of its resources asks."""
        self._lambda.add_permission(
            FunctionName=self.name,
            StatementId=service,
            Action="lambda:InvokeFunction",
            Principal=f"{service}.amazonaws.com",
        )

    def invoke(self, event: Any = None) -> dict[str, Any]:
        """Synchronous: {"error": FunctionError or None, "payload": decoded answer, "log": tail of the log}."""
        import base64

        answer = self._lambda.invoke(FunctionName=self.name, Payload=json.dumps(event or {}), LogType="Tail")
        log = base64.b64decode(answer.get("LogResult", "")).decode()
        payload = json.loads(answer["Payload"].read() or b"null")
        return {"error": answer.get("FunctionError"), "payload": payload, "log": log}

    def send(self, event: Any = None) -> None:
        """Asynchronous."""
        self._lambda.invoke(FunctionName=self.name, InvocationType="Event", Payload=json.dumps(event or {}))

    def log(self) -> list[str]:
        """Messages in its log group, oldest first."""
        try:
            pages = self._logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{self.name}")
            return [event["message"].rstrip("\n") for page in pages for event in page["events"]]
        except self._logs.exceptions.ResourceNotFoundException:
            return []

    def starts(self) -> int:
        """How many invocations have ended (their log is complete)."""
        return sum(line.startswith("REPORT ") for line in self.log())


class Queue:
    """An SQS queue, which the services of its account may fill; `Policy=""` makes one that has no policy."""

    def __init__(self, engine: Engine, **attributes: str) -> None:
        self.sqs = engine.client("sqs")
        self.name = f"q-{uuid.uuid4().hex[:8]}"
        attributes = {"Policy": self._policy()} | attributes
        self.url = self.sqs.create_queue(QueueName=self.name, Attributes=attributes)["QueueUrl"]
        self.arn = self.attribute("QueueArn")

    def _policy(self) -> str:
        services = [f"{name}.amazonaws.com" for name in ("events", "s3", "sns")]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": services},
            "Action": "sqs:SendMessage",
            "Resource": f"arn:aws:sqs:us-east-1:{ACCOUNT}:{self.name}",
            "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
        }
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    def attribute(self, name: str) -> str:
        value: str = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=[name])["Attributes"][name]
        return value

    def send(self, *bodies: str) -> list[str]:
        """Message ids."""
        return [self.sqs.send_message(QueueUrl=self.url, MessageBody=body)["MessageId"] for body in bodies]

    def receive(self) -> list[dict[str, Any]]:
        """Take and delete what is there."""
        messages: list[dict[str, Any]] = self.sqs.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=10,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages", [])
        for message in messages:
            self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return messages

    def depth(self) -> tuple[int, int]:
        """Messages visible and in flight."""
        return int(self.attribute("ApproximateNumberOfMessages")), int(
            self.attribute("ApproximateNumberOfMessagesNotVisible")
        )


def call(engine: Engine, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and JSON of a request to /_sluice."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(engine.url + "/_sluice/" + path, data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
