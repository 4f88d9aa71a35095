"""Every policy of the mocked stack, in which all ARNs are known: who may do what, and nothing more."""

import json
import warnings
from typing import Any

import pytest

ACCOUNT = "us-east-1:123456789012"
LEDGER = f"arn:aws:dynamodb:{ACCOUNT}:table/sluice-test-ledger"
IDEMPOTENCY = f"arn:aws:dynamodb:{ACCOUNT}:table/sluice-test-idempotency"
TOPIC = f"arn:aws:sns:{ACCOUNT}:sluice-test-notifications"
CHUNKS = f"arn:aws:sqs:{ACCOUNT}:sluice-test-chunks"
INGEST_DLQ = f"arn:aws:sqs:{ACCOUNT}:sluice-test-ingest-dlq"
BUS = f"arn:aws:events:{ACCOUNT}:event-bus/sluice-test-events"
BRONZE = "arn:aws:s3:::sluice-test-bronze/bronze/*"
SILVER = "arn:aws:s3:::sluice-test-silver/silver/*"
QUARANTINE = "arn:aws:s3:::sluice-test-quarantine/quarantine/*"
REPLAYS = "arn:aws:s3:::sluice-test-artifacts/replays/*"


def logs(function: str) -> str:
    return f"arn:aws:logs:{ACCOUNT}:log-group:/aws/lambda/sluice-test-{function}:*"


# AWS takes these on "*" only: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html#cloudwatch-iam-policy
LOG_DELIVERY = ("CreateLogDelivery", "GetLogDelivery", "UpdateLogDelivery", "DeleteLogDelivery", "ListLogDeliveries",
                "PutResourcePolicy", "DescribeResourcePolicies", "DescribeLogGroups")  # fmt: skip

# Every call a function or workflow makes, and what it may make it on.
ALLOWED = {
    "ingest": {
        "dynamodb:BatchWriteItem": {LEDGER},
        "dynamodb:DeleteItem": {IDEMPOTENCY},
        "dynamodb:GetItem": {IDEMPOTENCY, LEDGER},
        "dynamodb:PutItem": {IDEMPOTENCY, LEDGER},
        "dynamodb:Query": {LEDGER},
        "dynamodb:UpdateItem": {IDEMPOTENCY, LEDGER},
        "logs:CreateLogStream": {logs("ingest")},
        "logs:PutLogEvents": {logs("ingest")},
        "s3:GetObjectVersion": {BRONZE},
        "s3:ListBucket": {"arn:aws:s3:::sluice-test-bronze"},
        "sns:Publish": {TOPIC},
        "sqs:SendMessage": {CHUNKS, INGEST_DLQ},
    },
    "transform": {
        "dynamodb:GetItem": {LEDGER},
        "dynamodb:Query": {LEDGER},
        "dynamodb:UpdateItem": {LEDGER},
        "events:PutEvents": {BUS},
        "logs:CreateLogStream": {logs("transform")},
        "logs:PutLogEvents": {logs("transform")},
        "s3:DeleteObject": {SILVER, QUARANTINE},
        "s3:GetObjectVersion": {BRONZE},
        "s3:ListBucket": {"arn:aws:s3:::sluice-test-bronze"},
        "s3:PutObject": {SILVER, QUARANTINE},
        "sns:Publish": {TOPIC},
        "sqs:ChangeMessageVisibility": {CHUNKS},
        "sqs:DeleteMessage": {CHUNKS},
        "sqs:GetQueueAttributes": {CHUNKS},
        "sqs:ReceiveMessage": {CHUNKS},
    },
    "replay_function[0]": {
        "dynamodb:BatchGetItem": {LEDGER},
        "dynamodb:BatchWriteItem": {LEDGER},
        "dynamodb:GetItem": {LEDGER},
        "dynamodb:Query": {LEDGER, f"{LEDGER}/index/by_dataset"},
        "dynamodb:Scan": {f"{LEDGER}/index/by_dataset"},
        "dynamodb:UpdateItem": {LEDGER},
        "logs:CreateLogStream": {logs("replay")},
        "logs:PutLogEvents": {logs("replay")},
        "s3:GetObject": {REPLAYS},
        "s3:GetObjectVersion": {BRONZE},
        "s3:ListBucket": {"arn:aws:s3:::sluice-test-bronze"},
        "s3:PutObject": {REPLAYS},
        "sqs:SendMessage": {CHUNKS},
    },
    "replay[0]": {
        "lambda:InvokeFunction": {f"arn:aws:lambda:{ACCOUNT}:function:sluice-test-replay"},
        "sns:Publish": {TOPIC},
        **{f"logs:{action}": {"*"} for action in LOG_DELIVERY},
    },
    "watch[0]": {
        "dynamodb:Query": {f"{LEDGER}/index/by_state"},
        "logs:CreateLogStream": {logs("watch")},
        "logs:PutLogEvents": {logs("watch")},
    },
}

Resources = dict[str, dict[str, Any]]


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def statements(resources: Resources, *kinds: str) -> list[tuple[str, dict[str, Any]]]:
    """(address, statement) of every policy that resources of these types carry themselves."""
    return [
        (address, statement)
        for address, resource in resources.items()
        if resource["type"] in kinds
        for statement in json.loads(resource["values"]["policy"])["Statement"]
    ]


@pytest.mark.parametrize("function", ALLOWED)
def test_a_function_may_do_exactly_what_it_does(mocked_resources: Resources, function: str) -> None:
    granted: dict[str, set[str]] = {}
    for address, resource in mocked_resources.items():
        if resource["type"] != "aws_iam_role_policy":
            continue
        if not address.startswith(f"module.{function}.") and not (
            function == "transform" and "chunk_trigger" in address
        ):
            continue
        for statement in json.loads(resource["values"]["policy"])["Statement"]:
            assert statement["Effect"] == "Allow"
            for action in listed(statement["Action"]):
                granted.setdefault(action, set()).update(listed(statement["Resource"]))
    assert granted == ALLOWED[function]


def test_no_role_holds_a_wildcard(mocked_resources: Resources) -> None:
    for address, statement in statements(mocked_resources, "aws_iam_role_policy"):
        for action in listed(statement["Action"]):
            assert "*" not in action, address
        for resource in listed(statement["Resource"]):
            # Left open: the log streams of the function's own group, and the objects under one prefix of one bucket.
            stem = resource.removesuffix(":*") if ":log-group:" in resource else resource.removesuffix("/*")
            actions = set(listed(statement["Action"]))
            assert "*" not in stem or actions == {f"logs:{action}" for action in LOG_DELIVERY}, address
            # ListBucket is about a bucket as such; all else is about objects under a prefix
            whole = ":s3:::" in stem and not stem.count("/")
            assert not whole or actions == {"s3:ListBucket"}, f"{address}: a whole bucket"


def test_buckets_queues_and_topic_refuse_plain_http(mocked_resources: Resources) -> None:
    kinds = ("aws_s3_bucket_policy", "aws_sqs_queue", "aws_sns_topic_policy")
    carriers = {address for address, resource in mocked_resources.items() if resource["type"] in kinds}
    refusing = {
        address
        for address, statement in statements(mocked_resources, *kinds)
        if statement["Effect"] == "Deny"
        and statement["Principal"] == "*"
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    }
    assert len(carriers) == 8
    assert refusing == carriers


def test_nobody_outside_the_account_is_let_in(mocked_resources: Resources) -> None:
    kinds = ("aws_s3_bucket_policy", "aws_sqs_queue", "aws_sns_topic_policy")
    for address, statement in statements(mocked_resources, *kinds):
        if statement["Effect"] == "Allow":
            assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}, address
    permission = mocked_resources["module.bronze_trigger.aws_lambda_permission.this"]["values"]
    assert permission["source_account"] == "123456789012"
    assert permission["source_arn"] == "arn:aws:s3:::sluice-test-bronze"


def test_a_queues_own_policy_names_the_queue(mocked_resources: Resources) -> None:
    """The ARN in it is put together from parts; this holds it against the name the queue really gets."""
    for address, statement in statements(mocked_resources, "aws_sqs_queue"):
        values = mocked_resources[address]["values"]
        assert statement["Resource"] == f"arn:aws:sqs:{ACCOUNT}:{values['name']}", address


def test_parliament_finds_nothing(mocked_resources: Resources) -> None:
    """Unknown actions, resources that do not fit their action, malformed ARNs and conditions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # parliament imports pkg_resources and has unescaped regular expressions
        parliament = pytest.importorskip("parliament", reason="parliament and setuptools<81 are not installed")
    found = []
    for address, resource in mocked_resources.items():
        if resource["type"] == "aws_iam_role_policy":
            policy = parliament.analyze_policy_string(resource["values"]["policy"], address)
            found += [f"{address}: {finding}" for finding in policy.findings]
    assert found == []


def test_functions_get_the_settings_they_read(mocked_resources: Resources) -> None:
    def settings(function: str) -> dict[str, str]:
        values = mocked_resources[f"module.{function}.aws_lambda_function.this"]["values"]
        variables: dict[str, str] = values["environment"][0]["variables"]
        return variables

    shared = {
        "POWERTOOLS_TRACE_DISABLED": "true",
        "POWERTOOLS_METRICS_NAMESPACE": "sluice-test",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "LEDGER_TABLE": "sluice-test-ledger",
        "CHUNK_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/sluice-test-chunks",
        "NOTIFICATIONS_TOPIC_ARN": TOPIC,
        "SINGLE_CHUNK_LIMIT_BYTES": "67108864",
    }
    assert settings("ingest") == shared | {
        "POWERTOOLS_SERVICE_NAME": "ingest",
        "IDEMPOTENCY_TABLE": "sluice-test-idempotency",
        "IDEMPOTENCY_TTL_SECONDS": "2592000",
        "INGEST_DLQ_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/sluice-test-ingest-dlq",
        "CHUNK_BYTES": "16777216",
    }
    assert settings("replay_function[0]") == {
        name: shared[name]
        for name in (
            "POWERTOOLS_TRACE_DISABLED",
            "POWERTOOLS_METRICS_NAMESPACE",
            "POWERTOOLS_LOG_LEVEL",
            "LEDGER_TABLE",
            "CHUNK_QUEUE_URL",
        )
    } | {
        "POWERTOOLS_SERVICE_NAME": "replay",
        "REPLAY_BUCKET": "sluice-test-artifacts",
        "REPLAY_BATCH_OBJECTS": "100",
        "REPLAY_DEADLINE_SECONDS": "21600",
    }
    assert settings("transform") == shared | {
        "POWERTOOLS_SERVICE_NAME": "transform",
        "SILVER_BUCKET": "sluice-test-silver",
        "QUARANTINE_BUCKET": "sluice-test-quarantine",
        "EVENT_BUS_NAME": "sluice-test-events",
        "MAX_RECEIVES": "5",
        "QUARANTINE_NOTICE_RATIO": "0.1",
    }
