"""The engine's judgement of IAM policies, and what it takes a call to need."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from sluice_ext.iam import actions, condition_keys, s3_actions
from sluice_ext.iam.policy import ALLOWED, DENIED, NOT_ALLOWED, UNKNOWN, decide, statements

HERE = actions.Where("aws", "eu-central-1", "123456789012")
QUEUE = "arn:aws:sqs:eu-central-1:123456789012:chunks"
TABLE = "arn:aws:dynamodb:eu-central-1:123456789012:table/ledger"
OBJECT = "arn:aws:s3:::bronze/bronze/a.b/rows.jsonl"


def allow(**rest: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"} | rest


def deny(**rest: Any) -> dict[str, Any]:
    return allow(**rest) | {"Effect": "Deny"}


@pytest.mark.parametrize(
    ("policy", "decision"),
    [
        ([], NOT_ALLOWED),
        ([allow()], ALLOWED),
        ([allow(Action="S3:getobject")], ALLOWED),
        ([allow(Action="s3:Get*")], ALLOWED),
        ([allow(Action="s3:GetObjec?")], ALLOWED),
        ([allow(Action=["s3:PutObject", "s3:GetObjectVersion"])], NOT_ALLOWED),
        ([allow(Resource="arn:aws:s3:::bronze/bronze/*")], ALLOWED),
        ([allow(Resource="arn:aws:s3:::bronze/silver/*")], NOT_ALLOWED),
        # A dot is a dot: moto's own evaluator takes it for any character.
        ([allow(Resource="arn:aws:s3:::bronze/bronze/aXb/*")], NOT_ALLOWED),
        ([allow(Resource="arn:aws:s3:::bronze/bronze/a?b/rows.jsonl")], ALLOWED),
        # Resources are case-sensitive.
        ([allow(Resource="arn:aws:s3:::bronze/Bronze/*")], NOT_ALLOWED),
        ([allow(), deny()], DENIED),
        ([deny(), allow()], DENIED),
        ([allow(), deny(Action="s3:PutObject")], ALLOWED),
        ([{"Effect": "Allow", "NotAction": "s3:Put*", "Resource": "*"}], ALLOWED),
        ([{"Effect": "Allow", "NotAction": "s3:Get*", "Resource": "*"}], NOT_ALLOWED),
        ([{"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::silver/*"}], ALLOWED),
        ([{"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::bronze/*"}], NOT_ALLOWED),
    ],
)
def test_a_policy_allows_what_it_says(policy: list[dict[str, Any]], decision: str) -> None:
    assert decide(policy, "s3:GetObject", OBJECT) == decision


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ({"Bool": {"aws:SecureTransport": "true"}}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, False),
        ({"Bool": {"aws:SecureTransport": True}}, True),
        ({"StringEquals": {"AWS:RequestedRegion": ["eu-west-1", "eu-central-1"]}}, True),
        ({"StringEquals": {"aws:RequestedRegion": "EU-CENTRAL-1"}}, False),
        ({"StringEqualsIgnoreCase": {"aws:RequestedRegion": "EU-CENTRAL-1"}}, True),
        ({"StringNotEquals": {"aws:RequestedRegion": "eu-central-1"}}, False),
        ({"StringLike": {"aws:RequestedRegion": "eu-*"}}, True),
        ({"StringNotLike": {"aws:RequestedRegion": "eu-*"}}, False),
        ({"StringEquals": {"aws:SourceVpc": "vpc-1"}}, False),
        ({"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}, True),
        ({"StringEqualsIfExists": {"aws:SourceVpc": "vpc-1"}}, True),
        ({"Null": {"aws:SourceVpc": "true"}}, True),
        ({"Null": {"aws:SecureTransport": "true"}}, False),
        ({"NumericLessThan": {"n": "5"}}, True),
        ({"NumericGreaterThanEquals": {"n": "5"}}, False),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, True),
        ({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, False),
        ({"Bool": {"aws:SecureTransport": "true"}, "StringLike": {"aws:RequestedRegion": "us-*"}}, False),
    ],
)
def test_conditions_are_met_or_not(condition: dict[str, Any], met: bool) -> None:
    context = {"aws:securetransport": "true", "aws:requestedregion": "eu-central-1", "n": "4"}
    context["aws:sourceip"] = "10.1.2.3"
    assert decide([allow(Condition=condition)], "s3:GetObject", OBJECT, context) == (ALLOWED if met else NOT_ALLOWED)
    both = [allow(), deny(Condition=condition)]
    assert decide(both, "s3:GetObject", OBJECT, context) == (DENIED if met else ALLOWED)


def test_a_condition_that_is_not_understood_is_held_against_the_caller() -> None:
    odd = {"DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}
    assert decide([allow(Condition=odd)], "s3:GetObject", OBJECT) == NOT_ALLOWED
    assert decide([allow(), deny(Condition=odd)], "s3:GetObject", OBJECT) == DENIED


def test_an_unknown_resource_is_judged_by_the_action() -> None:
    policy = [allow(Action="kms:Decrypt", Resource="arn:aws:kms:eu-central-1:123456789012:key/1")]
    assert decide(policy, "kms:Decrypt", UNKNOWN) == ALLOWED
    assert decide(policy, "kms:Encrypt", UNKNOWN) == NOT_ALLOWED


def test_a_document_may_hold_one_statement_or_many_as_text_or_read() -> None:
    assert statements({"Statement": allow()}) == [allow()]
    assert statements('{"Statement": [{"Effect": "Allow"}, {"Effect": "Deny"}]}') == [
        {"Effect": "Allow"},
        {"Effect": "Deny"},
    ]


def s3(action: str, key: str = "/k") -> tuple[str, str]:
    return f"s3:{action}", f"arn:aws:s3:::b{key}"


KEY = {"Bucket": "b", "Key": "k"}
QUEUE_URL = "http://127.0.0.1:4566/123456789012/chunks"


@pytest.mark.parametrize(
    ("prefix", "operation", "parameters", "needed"),
    [
        ("s3", "GetObject", KEY, [s3("GetObject")]),
        ("s3", "HeadObject", KEY, [s3("GetObject")]),
        ("s3", "GetObject", KEY | {"VersionId": "1"}, [s3("GetObjectVersion")]),
        ("s3", "UploadPart", KEY, [s3("PutObject")]),
        ("s3", "PutObject", KEY | {"Tagging": "a=b"}, [s3("PutObject"), s3("PutObjectTagging")]),
        ("s3", "PutObject", KEY | {"IfMatch": '"e"'}, [s3("GetObject"), s3("PutObject")]),
        ("s3", "PutObject", KEY | {"IfNoneMatch": "*", "IfMatch": None}, [s3("PutObject")]),
        ("s3", "DeleteObject", KEY | {"IfMatch": '"e"'}, [s3("GetObject"), s3("DeleteObject")]),
        ("s3", "DeleteObject", KEY | {"IfMatch": "*"}, [s3("DeleteObject")]),
        ("s3", "DeleteObject", KEY | {"VersionId": "1"}, [s3("DeleteObjectVersion")]),
        (
            "s3",
            "DeleteObjects",
            {"Bucket": "b", "Delete": {"Objects": [{"Key": "k"}, {"Key": "v", "VersionId": "1"}]}},
            [s3("DeleteObject"), s3("DeleteObjectVersion", "/v")],
        ),
        (
            "s3",
            "CopyObject",
            KEY | {"CopySource": "from/a%20b?versionId=1"},
            [("s3:GetObjectVersion", "arn:aws:s3:::from/a b"), s3("PutObject")],
        ),
        ("s3", "ListObjectsV2", {"Bucket": "b"}, [s3("ListBucket", "")]),
        ("s3", "ListBuckets", {}, [("s3:ListAllMyBuckets", "*")]),
        ("sqs", "SendMessageBatch", {"QueueUrl": QUEUE_URL}, [("sqs:SendMessage", QUEUE)]),
        (
            "sqs",
            "SendMessage",
            {"QueueUrl": "http://sqs.eu-central-1.localhost:4566/210987654321/chunks"},
            [("sqs:SendMessage", "arn:aws:sqs:eu-central-1:210987654321:chunks")],
        ),
        (
            "sqs",
            "GetQueueUrl",
            {"QueueName": "chunks", "QueueOwnerAWSAccountId": "210987654321"},
            [("sqs:GetQueueUrl", "arn:aws:sqs:eu-central-1:210987654321:chunks")],
        ),
        (
            "sqs",
            "StartMessageMoveTask",
            {"SourceArn": QUEUE, "DestinationArn": QUEUE + "2"},
            [
                (f"sqs:{a}", QUEUE)
                for a in ("StartMessageMoveTask", "ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
            ]
            + [("sqs:SendMessage", QUEUE + "2")],
        ),
        ("sns", "PublishBatch", {"TopicArn": "arn:aws:sns:x:1:t"}, [("sns:Publish", "arn:aws:sns:x:1:t")]),
        ("dynamodb", "Query", {"TableName": "ledger", "IndexName": "i"}, [("dynamodb:Query", TABLE + "/index/i")]),
        ("dynamodb", "BatchWriteItem", {"RequestItems": {"ledger": []}}, [("dynamodb:BatchWriteItem", TABLE)]),
        (
            "dynamodb",
            "TransactWriteItems",
            {"TransactItems": [{k: {"TableName": "ledger"}} for k in ("Put", "Update", "Delete", "ConditionCheck")]},
            [(f"dynamodb:{a}", TABLE) for a in ("PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem")],
        ),
        (
            "events",
            "PutEvents",
            {"Entries": [{"EventBusName": "own"}, {"EventBusName": "own"}, {}]},
            [
                ("events:PutEvents", "arn:aws:events:eu-central-1:123456789012:event-bus/default"),
                ("events:PutEvents", "arn:aws:events:eu-central-1:123456789012:event-bus/own"),
            ],
        ),
        (
            "logs",
            "PutLogEvents",
            {"logGroupName": "/aws/lambda/f", "logStreamName": "s"},
            [("logs:PutLogEvents", "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/f:log-stream:s")],
        ),
        (
            "lambda",
            "Invoke",
            {"FunctionName": "f", "Qualifier": "live"},
            [("lambda:InvokeFunction", "arn:aws:lambda:eu-central-1:123456789012:function:f:live")],
        ),
        ("states", "StartExecution", {"stateMachineArn": "arn:m"}, [("states:StartExecution", "arn:m")]),
        ("states", "SendTaskSuccess", {"taskToken": "t"}, [("states:SendTaskSuccess", "*")]),
        ("kms", "Decrypt", {"CiphertextBlob": b""}, [("kms:Decrypt", UNKNOWN)]),
        ("cloudwatch", "PutMetricData", {"Namespace": "n"}, [("cloudwatch:PutMetricData", UNKNOWN)]),
        ("sts", "GetCallerIdentity", {}, []),
        (
            "glue",
            "GetTable",
            {"DatabaseName": "Lake", "Name": "T"},
            [
                ("glue:GetTable", "arn:aws:glue:eu-central-1:123456789012:catalog"),
                ("glue:GetTable", "arn:aws:glue:eu-central-1:123456789012:database/lake"),
                ("glue:GetTable", "arn:aws:glue:eu-central-1:123456789012:table/lake/t"),
            ],
        ),
        (
            "glue",
            "GetPartitions",
            {"DatabaseName": "lake", "TableName": "t", "Expression": "a = 1"},
            [
                ("glue:GetPartitions", "arn:aws:glue:eu-central-1:123456789012:catalog"),
                ("glue:GetPartitions", "arn:aws:glue:eu-central-1:123456789012:database/lake"),
                ("glue:GetPartitions", "arn:aws:glue:eu-central-1:123456789012:table/lake/t"),
            ],
        ),
        (
            "glue",
            "CreateDatabase",
            {"DatabaseInput": {"Name": "lake"}},
            [
                ("glue:CreateDatabase", "arn:aws:glue:eu-central-1:123456789012:catalog"),
                ("glue:CreateDatabase", "arn:aws:glue:eu-central-1:123456789012:database/lake"),
            ],
        ),
        (
            "glue",
            "StartJobRun",
            {"JobName": "Load", "Arguments": {}},
            [("glue:StartJobRun", "arn:aws:glue:eu-central-1:123456789012:job/Load")],
        ),
        (
            "glue",
            "CreateJob",
            {"Name": "j", "Role": "worker"},
            [
                ("glue:CreateJob", "arn:aws:glue:eu-central-1:123456789012:job/j"),
                ("iam:PassRole", "arn:aws:iam::123456789012:role/worker"),
            ],
        ),
        (
            "glue",
            "UpdateJob",
            {"JobName": "j", "JobUpdate": {"Role": "arn:aws:iam::1:role/p/worker"}},
            [
                ("glue:UpdateJob", "arn:aws:glue:eu-central-1:123456789012:job/j"),
                ("iam:PassRole", "arn:aws:iam::1:role/p/worker"),
            ],
        ),
        (
            "glue",
            "CreateCrawler",
            {"Name": "c", "Role": "worker", "DatabaseName": "lake"},
            [
                ("glue:CreateCrawler", "arn:aws:glue:eu-central-1:123456789012:crawler/c"),
                ("iam:PassRole", "arn:aws:iam::123456789012:role/worker"),
            ],
        ),
        (
            "glue",
            "StartCrawler",
            {"Name": "c"},
            [("glue:StartCrawler", "arn:aws:glue:eu-central-1:123456789012:crawler/c")],
        ),
        (
            "scheduler",
            "CreateSchedule",
            {"Name": "s", "GroupName": "g", "Target": {"Arn": QUEUE, "RoleArn": "arn:aws:iam::1:role/r"}},
            [
                ("scheduler:CreateSchedule", "arn:aws:scheduler:eu-central-1:123456789012:schedule/g/s"),
                ("iam:PassRole", "arn:aws:iam::1:role/r"),
            ],
        ),
        (
            "scheduler",
            "GetSchedule",
            {"Name": "s"},
            [("scheduler:GetSchedule", "arn:aws:scheduler:eu-central-1:123456789012:schedule/default/s")],
        ),
        (
            "scheduler",
            "DeleteScheduleGroup",
            {"Name": "g"},
            [("scheduler:DeleteScheduleGroup", "arn:aws:scheduler:eu-central-1:123456789012:schedule-group/g")],
        ),
        (
            "scheduler",
            "TagResource",
            {"ResourceArn": "arn:aws:scheduler:eu-central-1:123456789012:schedule-group/g", "Tags": []},
            [("scheduler:TagResource", "arn:aws:scheduler:eu-central-1:123456789012:schedule-group/g")],
        ),
        ("scheduler", "ListSchedules", {"GroupName": "g"}, [("scheduler:ListSchedules", "*")]),
        ("glue", "GetDatabases", {}, [("glue:GetDatabases", "arn:aws:glue:eu-central-1:123456789012:catalog")]),
        (
            "athena",
            "StartQueryExecution",
            {"QueryString": "select 1"},
            [("athena:StartQueryExecution", "arn:aws:athena:eu-central-1:123456789012:workgroup/primary")],
        ),
        (
            "athena",
            "GetWorkGroup",
            {"WorkGroup": "team"},
            [("athena:GetWorkGroup", "arn:aws:athena:eu-central-1:123456789012:workgroup/team")],
        ),
        ("athena", "GetQueryResults", {"QueryExecutionId": "x"}, [("athena:GetQueryResults", UNKNOWN)]),
        ("athena", "ListWorkGroups", {}, [("athena:ListWorkGroups", "*")]),
    ],
)
def test_a_call_needs(prefix: str, operation: str, parameters: dict[str, Any], needed: list[tuple[str, str]]) -> None:
    assert actions.needed(prefix, operation, parameters, HERE) == needed


@pytest.mark.parametrize(
    ("action", "service", "parameters", "keys"),
    [
        ("iam:PassRole", "scheduler", {}, {"iam:passedtoservice": "scheduler.amazonaws.com"}),
        ("cloudwatch:PutMetricData", "monitoring", {"Namespace": "N"}, {"cloudwatch:namespace": "N"}),
        ("cloudwatch:GetMetricData", "monitoring", {"Namespace": "N"}, {}),
        ("cloudwatch:PutMetricData", "monitoring", {}, {}),
    ],
)
def test_a_call_has_condition_keys(action: str, service: str, parameters: dict[str, Any], keys: dict[str, str]) -> None:
    assert condition_keys.of(action, service, parameters) == keys


def test_the_tables_name_operations_that_exist() -> None:
    """Against botocore's own description of S3."""
    known = set(boto3.client("s3", region_name="us-east-1").meta.service_model.operation_names)
    assert set(s3_actions._OBJECT) <= known
    assert set(s3_actions._BUCKET) <= known


WORKGROUP = "arn:aws:redshift-serverless:eu-central-1:123456789012:workgroup/0-1"


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "needed"),
    [
        # Redshift itself checks these, for it knows the ids in the ARNs.
        ("redshift-data", "ExecuteStatement", {"WorkgroupName": "w", "Sql": "select 1"}, []),
        ("redshift-data", "BatchExecuteStatement", {"WorkgroupName": "w", "Sqls": []}, []),
        ("redshift-data", "ListTables", {"WorkgroupName": "w"}, []),
        ("redshift-serverless", "GetCredentials", {"workgroupName": "w"}, []),
        ("redshift-data", "DescribeStatement", {"Id": "1"}, [("redshift-data:DescribeStatement", "*")]),
        ("redshift-data", "CancelStatement", {"Id": "1"}, [("redshift-data:CancelStatement", "*")]),
        ("redshift-data", "GetStatementResultV2", {"Id": "1"}, [("redshift-data:GetStatementResultV2", "*")]),
        ("redshift-serverless", "ListWorkgroups", {}, [("redshift-serverless:ListWorkgroups", "*")]),
        (
            "redshift-serverless",
            "GetWorkgroup",
            {"workgroupName": "w"},
            [("redshift-serverless:GetWorkgroup", UNKNOWN)],
        ),
        (
            "redshift-serverless",
            "ListTagsForResource",
            {"resourceArn": WORKGROUP},
            [("redshift-serverless:ListTagsForResource", WORKGROUP)],
        ),
    ],
)
def test_a_call_of_redshift_needs_its_action(
    service: str, operation: str, parameters: dict[str, Any], needed: list[tuple[str, str]]
) -> None:
    assert actions.needed(service, operation, parameters, HERE) == needed
