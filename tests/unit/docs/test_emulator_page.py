"""docs/emulator.md: a row for each service that the stack or the extension has, and each test that it names."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
EXTENSION = ROOT / "localstack/extension"
PAGE = (ROOT / "docs/emulator.md").read_text()
ROWS = {
    cells[0]: cells[1:]
    for line in PAGE.splitlines()
    if line.startswith("| ") and len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 5
}
del ROWS["service"]

LOGS, CLOUDWATCH = "CloudWatch Logs", "CloudWatch metrics and alarms"
# The first words of a Terraform resource's type, the longest that fits.
OF_RESOURCES = {
    "api_gateway": "API Gateway", "athena": "Athena", "cloudwatch": CLOUDWATCH, "cloudwatch_event": "EventBridge",
    "cloudwatch_log": LOGS, "db": "RDS (Aurora PostgreSQL)", "default_security_group": "EC2 network",
    "dynamodb": "DynamoDB", "glue_catalog": "Glue catalog", "glue_crawler": "Glue crawlers", "glue_job": "Glue jobs",
    "iam": "IAM", "lambda": "Lambda", "rds": "RDS (Aurora PostgreSQL)", "redshiftserverless": "Redshift Serverless",
    "route_table": "EC2 network", "s3": "S3", "scheduler": "EventBridge Scheduler",
    "secretsmanager": "Secrets Manager", "security_group": "EC2 network", "sfn": "Step Functions", "sns": "SNS",
    "sqs": "SQS", "subnet": "EC2 network", "vpc": "EC2 network", "kms": "KMS",
}  # fmt: skip
NO_ROW = {"wafv2_web_acl_association"}  # the page says so below its table
OF_PROVIDERS = {
    "apigateway": "API Gateway", "athena": "Athena", "cloudwatch": CLOUDWATCH, "dynamodb": "DynamoDB",
    "dynamodbstreams": "DynamoDB", "events": "EventBridge", "glue": "Glue jobs", "kms": "KMS", "lambda": "Lambda",
    "logs": LOGS,
    "rds": "RDS (Aurora PostgreSQL)", "redshift-data": "Redshift Data API",
    "redshift-serverless": "Redshift Serverless", "s3": "S3", "scheduler": "EventBridge Scheduler",
    "secretsmanager": "Secrets Manager", "sns": "SNS", "sqs": "SQS", "stepfunctions": "Step Functions",
}  # fmt: skip
OF_NO_SERVICE = {"control", "faults", "gateway", "state"}


def test_every_provider_of_the_extension_has_a_row() -> None:
    points = tomllib.loads((EXTENSION / "pyproject.toml").read_text())["project"]["entry-points"]
    providers = {name.partition(":")[0] for name in points["localstack.aws.provider"]}
    assert providers == OF_PROVIDERS.keys()
    assert set(OF_PROVIDERS.values()) <= ROWS.keys()


def test_every_folder_of_the_extension_is_named_where_it_emulates() -> None:
    folders = {path.parent.name for path in (EXTENSION / "sluice_ext").glob("*/__init__.py")} - OF_NO_SERVICE
    named = {name for _, emulated, *_ in ROWS.values() for name in re.findall(r"`(\w+)`", emulated)}
    assert folders == named - {"awsglue"}


def test_every_resource_of_the_stack_belongs_to_a_service_with_a_row() -> None:
    types = {
        found
        for file in (ROOT / "infra").rglob("*.tf")
        if ".terraform" not in file.parts
        for found in re.findall(r'^resource "aws_(\w+)"', file.read_text(), re.M)
    }
    without = [
        kind for kind in sorted(types - NO_ROW) if not any(f"{kind}_".startswith(f"{key}_") for key in OF_RESOURCES)
    ]
    assert without == []
    assert set(OF_RESOURCES.values()) <= ROWS.keys()


@pytest.mark.parametrize("service", ROWS)
def test_a_row_says_who_emulates_what_differs_and_which_tests_hold_it(service: str) -> None:
    _, emulated, differs, held = ROWS[service]
    assert emulated
    assert differs
    assert re.findall(r"`(tests/[\w/]+\.py)`", held)


OF_THE_PIPELINE = (
    "core/test_ledger_*.py", "lake/test_compaction_*.py", "quality/test_engines.py", "taxi/test_taxi_jobs.py",
    "warehouse/test_certificates.py", "warehouse/test_current.py",
)  # fmt: skip
"""Contract tests of the pipeline's own code against an engine: no row has its behaviour from them."""


def test_every_test_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", PAGE))
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_every_contract_test_is_on_the_page_or_of_the_pipeline() -> None:
    there = {path.relative_to(ROOT / "tests/contract").as_posix() for path in ROOT.glob("tests/contract/*/test_*.py")}
    named = set(re.findall(r"`tests/contract/([\w/]+\.py)`", PAGE))
    others = {name for name in there if any(fnmatch(name, pattern) for pattern in OF_THE_PIPELINE)}
    assert named.isdisjoint(others)
    assert there - named - others == set(), "name them in the row of the service that they hold"
