"""Functions' handlers without AWS: dummy settings, clients that tests put in place, and an import as Lambda does it."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from unittest.mock import MagicMock

import boto3
import pytest

from sluice.build.functions import find_functions
from sluice.paths import DATASETS_DIR, LAMBDAS_DIR
from sluice_pipeline.catalog import deployed, sections
from sluice_pipeline.catalog.compiler import compile_catalog
from sluice_pipeline.catalog.datasets import Catalog, parse_catalog
from sluice_pipeline.catalog.deployed import Rules
from sluice_pipeline.catalog.rules import RulesVersion
from sluice_pipeline.runtime import clients

_SETTING = re.compile(r'os\.environ\["([A-Z_]+)"\]')
_VALUES = {
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_LAMBDA_FUNCTION_NAME": "function",
    "POWERTOOLS_SERVICE_NAME": "function",
    "POWERTOOLS_METRICS_NAMESPACE": "unit-tests",
    "POWERTOOLS_TRACE_DISABLED": "true",
    "BRONZE_BUCKET": "bronze-b",
    "CACHE_TTL_SECONDS": "0",
    "CANONICAL_ENABLED": "true",
    "CHUNK_BYTES": "1000",
    "DATABASE_HOST": "db.example",
    "DATABASE_NAME": "warehouse",
    "DATABASE_PORT": "5432",
    "HARD_TESTING": "",
    "INVENTORY_PREFIX": "",  # the bucket is listed
    "INGEST_DLQ_URL": "http://sqs/ingest-dlq",
    "LEDGER_RETENTION_DAYS": "0",
    "LEDGER_TABLE": "ledger",
    "MAX_RECEIVES": "5",
    "PASSED_OVER_KEYS": '["*/", "*/_SUCCESS", "*_$folder$"]',
    "QUARANTINE_BUCKET": "quarantine-b",
    "QUARANTINE_NOTICE_RATIO": "0.5",
    "REGISTERS_PARTITIONS": "true",
    "SILVER_BUCKET": "silver-b",
    "SINGLE_CHUNK_LIMIT_BYTES": "100000",
    "STAGING_BUCKET": "",  # no quality gate
}


def _settings() -> Iterator[str]:
    for file in sorted(LAMBDAS_DIR.rglob("*.py")):
        yield from _SETTING.findall(file.read_text())


def _value(setting: str) -> str:
    """``checkin-log`` for CHECKIN_LOG_TABLE, a queue's URL, for others a number, which passes for a name, too."""
    name, _, kind = setting.rpartition("_")
    name = name.removesuffix("_QUEUE").lower().replace("_", "-")
    return {"TABLE": name, "URL": f"http://sqs/{name}"}.get(kind, "600")


ENVIRONMENT: dict[str, str] = {setting: _value(setting) for setting in _settings()} | _VALUES
"""A value for every setting that a function reads."""


@dataclass
class Context:
    """Lambda's context object, as far as Powertools reads it."""

    function_name: str = "function"
    memory_limit_in_mb: int = 128
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:000000000000:function:function"
    aws_request_id: str = "00000000-0000-0000-0000-000000000000"
    remaining_milliseconds: int = 60_000
    log_group_name: str = "/aws/lambda/function"
    log_stream_name: str = "stream"

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_milliseconds


@cache
def project_catalog() -> Catalog:
    """The project's own datasets."""
    return parse_catalog(compile_catalog(DATASETS_DIR))


RULES = RulesVersion("0" * 64, "rules-1")


class ProjectDatasets:
    """The project's own datasets in place of the deployed ones, under one version."""

    def __init__(self, catalog: Catalog | None = None) -> None:
        self._catalog = catalog or project_catalog()

    def current(self) -> Rules:
        return Rules(self._catalog, RULES)

    def read(self, version: RulesVersion | None) -> Catalog:
        del version
        return self._catalog


@contextmanager
def loaded(module: str, *, settings: Mapping[str, str] | None = None, **stubs: Any) -> Iterator[Any]:
    """A handler's module, imported again with dummy settings and these clients by service; other clients are mocks.

    ``settings`` replace dummy ones.
    All modules of branches are imported again with it, for some make clients too, and are as before at the end.
    """
    project_catalog()
    branches = {function.package.split(".")[0] for function in find_functions()}
    before = {name: found for name, found in sys.modules.items() if name.split(".")[0] in branches}
    made: dict[str, Any] = dict(stubs)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (ENVIRONMENT | dict(settings or {})).items():
            patch.setenv(name, value)
        patch.setattr(deployed, "deployed", lambda: ProjectDatasets())
        patch.setattr(deployed, "load_catalog", project_catalog)
        patch.setattr(sections, "_registered", {})  # schema modules are imported again, too
        for name in ("client", "on_demand"):
            patch.setattr(clients, name, lambda service: made.setdefault(service, MagicMock(name=service)))
        patch.setattr(boto3, "client", lambda service, **_: made.setdefault(service, MagicMock(name=service)))
        for name in before:
            del sys.modules[name]
        try:
            yield importlib.import_module(module)
        finally:
            for name in [name for name in sys.modules if name.split(".")[0] in branches]:
                del sys.modules[name]
            sys.modules.update(before)


def sqs_event(*bodies: str, receives: int = 1) -> dict[str, Any]:
    """An SQS event of one message for each body, received so many times."""
    records = [
        {
            "messageId": f"m{number}",
            "receiptHandle": f"handle-{number}",
            "body": body,
            "attributes": {"ApproximateReceiveCount": str(receives)},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-central-1:000000000000:queue",
            "awsRegion": "eu-central-1",
        }
        for number, body in enumerate(bodies)
    ]
    return {"Records": records}


def notices(sns: Any) -> list[dict[str, Any]]:
    """The notices that were published, in order."""
    return [json.loads(call.kwargs["Message"]) for call in sns.publish.call_args_list]


def metrics(printed: str) -> dict[str, float]:
    """The metrics in a function's output, by name."""
    found: dict[str, float] = {}
    for line in printed.splitlines():
        entry = json.loads(line) if line.startswith("{") else {}
        for metric in entry.get("_aws", {}).get("CloudWatchMetrics", []):
            for one in metric["Metrics"]:
                value = entry[one["Name"]]
                found[one["Name"]] = value[0] if isinstance(value, list) else value
    return found
