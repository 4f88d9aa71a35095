"""Every policy of the mocked stack, in which all ARNs are known: who may do what, and nothing more."""

import json
import warnings
from fnmatch import fnmatchcase
from typing import Any

import pytest

ACCOUNT = "us-east-1:123456789012"
EVENTS = "events.amazonaws.com"
LEDGER = f"arn:aws:dynamodb:{ACCOUNT}:table/sluice-test-ledger"
IDEMPOTENCY = f"arn:aws:dynamodb:{ACCOUNT}:table/sluice-test-idempotency"
TOPIC = f"arn:aws:sns:{ACCOUNT}:sluice-test-notifications"
MAIL = f"arn:aws:sns:{ACCOUNT}:sluice-test-mail"
DIGEST = f"arn:aws:sqs:{ACCOUNT}:sluice-test-digest"
CHUNKS = f"arn:aws:sqs:{ACCOUNT}:sluice-test-chunks"
CHUNK_DLQ = f"arn:aws:sqs:{ACCOUNT}:sluice-test-chunks-dlq"
INGEST = f"arn:aws:sqs:{ACCOUNT}:sluice-test-ingest"
INGEST_DLQ = f"arn:aws:sqs:{ACCOUNT}:sluice-test-ingest-dlq"
BUS = f"arn:aws:events:{ACCOUNT}:event-bus/sluice-test-events"
BRONZE = "arn:aws:s3:::sluice-test-bronze/bronze/*"
SILVER = "arn:aws:s3:::sluice-test-silver/silver/*"
QUARANTINE = "arn:aws:s3:::sluice-test-quarantine/quarantine/*"
LOADS = f"arn:aws:sqs:{ACCOUNT}:sluice-test-loads"
MASTER_SECRET = f"arn:aws:secretsmanager:{ACCOUNT}:secret:rds!cluster-mock-abcdef"
LOADER_SECRET = f"arn:aws:secretsmanager:{ACCOUNT}:secret:sluice-test-warehouse-loader-abcdef"
READER_SECRET = f"arn:aws:secretsmanager:{ACCOUNT}:secret:sluice-test-warehouse-reader-abcdef"
FEEDBACK = f"arn:aws:dynamodb:{ACCOUNT}:table/sluice-test-feedback"
FEEDBACK_QUEUE = f"arn:aws:sqs:{ACCOUNT}:sluice-test-feedback"
LAKE_QUEUE = f"arn:aws:sqs:{ACCOUNT}:sluice-test-lake"
QUALITY_QUEUE = f"arn:aws:sqs:{ACCOUNT}:sluice-test-quality"
STAGED = "arn:aws:s3:::sluice-test-staging/staged/*"
LEFTOVERS = "arn:aws:s3:::sluice-test-staging/leftovers/*"
VERDICTS = "arn:aws:s3:::sluice-test-quality/results/*"
PAGES = "arn:aws:s3:::sluice-test-quality/docs/*"
LAKE_TABLES = {
    f"arn:aws:glue:{ACCOUNT}:catalog",
    f"arn:aws:glue:{ACCOUNT}:database/sluice_test_silver",
    f"arn:aws:glue:{ACCOUNT}:table/sluice_test_silver/*",
}
TAXI = f"arn:aws:dynamodb:{ACCOUNT}:table/sluice-test-taxi"
TAXI_BUCKET = "arn:aws:s3:::sluice-test-taxi"
TAXI_WORKFLOW = f"arn:aws:states:{ACCOUNT}:stateMachine:sluice-test-taxi"
TAXI_JOBS = {f"arn:aws:glue:{ACCOUNT}:job/sluice-test-taxi-{job}" for job in ("ingest", "transform", "load")}
WORKGROUP = f"arn:aws:redshift-serverless:{ACCOUNT}:workgroup/mock-workgroup"
TAXI_ROWS = {f"{TAXI_BUCKET}/{folder}{end}" for folder in ("clean", "rejected") for end in ("/*", "_$folder$")}
TAXI_SECRET = f"arn:aws:secretsmanager:{ACCOUNT}:secret:redshift!sluice-test-taxi-abcdef"
ANALYTICS = f"arn:aws:dynamodb:{ACCOUNT}:table/sluice-test-analytics"
CHECKINS = f"arn:aws:dynamodb:{ACCOUNT}:table/sluice-test-checkins"
CHECKIN_LOG = f"arn:aws:dynamodb:{ACCOUNT}:table/sluice-test-checkin-log"
CHECKS = "arn:aws:s3:::sluice-test-quarantine/checks/*"
RESULTS = "arn:aws:s3:::sluice-test-artifacts/analytics/*"
DATASETS = "arn:aws:s3:::sluice-test-artifacts/config/datasets.json"
GLUE_LOGS = ":log-group:/aws-glue/jobs/*"
INVENTORY = "arn:aws:s3:::sluice-test-artifacts/inventory/sluice-test-bronze/reconcile/*"
REPLAYS = "arn:aws:s3:::sluice-test-artifacts/replays/*"


def logs(function: str) -> str:
    return f"arn:aws:logs:{ACCOUNT}:log-group:/aws/lambda/sluice-test-{function}:*"


def job_logs(kind: str) -> dict[str, set[str]]:
    """What a Glue job of a kind (jobs, python-jobs) writes its logs with."""
    groups = {f"arn:aws:logs:{ACCOUNT}:log-group:/aws-glue/{kind}/{name}:*" for name in ("output", "error")}
    return {f"logs:{action}": groups for action in ("CreateLogGroup", "CreateLogStream", "PutLogEvents")}


def script(job: str) -> str:
    return f"arn:aws:s3:::sluice-test-artifacts/jobs/sluice-test-{job}.py"


# AWS takes these on "*" only: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html#cloudwatch-iam-policy
LOG_DELIVERY = ("CreateLogDelivery", "GetLogDelivery", "UpdateLogDelivery", "DeleteLogDelivery", "ListLogDeliveries",
                "PutResourcePolicy", "DescribeResourcePolicies", "DescribeLogGroups")  # fmt: skip

# Lambda connects a function to its subnets with them, on "*" only:
# https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSLambdaVPCAccessExecutionRole.html
NETWORK = ("CreateNetworkInterface", "DescribeNetworkInterfaces", "DescribeSubnets", "DeleteNetworkInterface",
           "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses")  # fmt: skip

# Calls about one's own statements have no resource to name either:
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonredshiftdataapi.html
STATEMENTS = {f"redshift-data:{action}" for action in ("DescribeStatement", "GetStatementResult", "ListStatements")}

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
        "s3:GetObject": {DATASETS},
        "s3:GetObjectVersion": {BRONZE},
        "s3:ListBucket": {"arn:aws:s3:::sluice-test-bronze"},
        "sns:Publish": {TOPIC},
        "sqs:ChangeMessageVisibility": {INGEST},
        "sqs:DeleteMessage": {INGEST},
        "sqs:GetQueueAttributes": {INGEST},
        "sqs:ReceiveMessage": {INGEST},
        "sqs:SendMessage": {CHUNKS, INGEST, INGEST_DLQ},
    },
    "transform": {
        "dynamodb:BatchWriteItem": {LEDGER},
        "dynamodb:GetItem": {LEDGER},
        "dynamodb:Query": {LEDGER},
        "dynamodb:UpdateItem": {LEDGER},
        "events:PutEvents": {BUS},
        "logs:CreateLogStream": {logs("transform")},
        "logs:GetLogEvents": {logs("transform")},
        "logs:PutLogEvents": {logs("transform")},
        "s3:DeleteObject": {SILVER, QUARANTINE},
        "s3:GetObject": {DATASETS, SILVER, QUARANTINE},
        "s3:GetObjectVersion": {BRONZE, DATASETS},
        "s3:ListBucket": {f"arn:aws:s3:::sluice-test-{bucket}" for bucket in ("bronze", "silver", "quarantine")},
        "s3:PutObject": {SILVER, QUARANTINE, STAGED, LEFTOVERS},
        "sns:Publish": {TOPIC},
        "sqs:ChangeMessageVisibility": {CHUNKS},
        "sqs:DeleteMessage": {CHUNKS},
        "sqs:GetQueueAttributes": {CHUNKS},
        "sqs:ReceiveMessage": {CHUNKS},
        "sqs:SendMessage": {CHUNKS},
    },
    "replay[0].module.function": {
        "dynamodb:BatchGetItem": {LEDGER},
        "dynamodb:BatchWriteItem": {LEDGER},
        "dynamodb:GetItem": {LEDGER},
        "dynamodb:Query": {LEDGER, f"{LEDGER}/index/received_objects"},
        "dynamodb:Scan": {LEDGER, f"{LEDGER}/index/received_objects"},
        "dynamodb:UpdateItem": {LEDGER},
        "logs:CreateLogStream": {logs("replay")},
        "logs:PutLogEvents": {logs("replay")},
        "s3:GetObject": {DATASETS, REPLAYS},
        "s3:GetObjectVersion": {BRONZE},
        "s3:ListBucket": {"arn:aws:s3:::sluice-test-bronze"},
        "s3:PutObject": {REPLAYS},
        "sqs:SendMessage": {CHUNKS},
    },
    "replay[0].module.workflow": {
        "lambda:InvokeFunction": {f"arn:aws:lambda:{ACCOUNT}:function:sluice-test-replay"},
        "sns:Publish": {TOPIC},
        **{f"logs:{action}": {"*"} for action in LOG_DELIVERY},
    },
    "warehouse[0].module.load": {
        "dynamodb:GetItem": {LEDGER},
        "dynamodb:Query": {LEDGER},
        "dynamodb:UpdateItem": {LEDGER},
        "logs:CreateLogStream": {logs("load")},
        "logs:PutLogEvents": {logs("load")},
        "s3:DeleteObject": {QUARANTINE},
        "s3:GetObject": {DATASETS, SILVER},
        "s3:ListBucket": {"arn:aws:s3:::sluice-test-silver"},
        "s3:PutObject": {QUARANTINE},
        "secretsmanager:GetSecretValue": {LOADER_SECRET},
        "sns:Publish": {TOPIC},
        "sqs:ChangeMessageVisibility": {LOADS},
        "sqs:DeleteMessage": {LOADS},
        "sqs:GetQueueAttributes": {LOADS},
        "sqs:ReceiveMessage": {LOADS},
        **{f"ec2:{action}": {"*"} for action in NETWORK},
    },
    "warehouse[0].module.migrate": {
        "logs:CreateLogStream": {logs("migrate")},
        "logs:PutLogEvents": {logs("migrate")},
        "s3:GetObject": {DATASETS},
        "secretsmanager:GetSecretValue": {MASTER_SECRET, LOADER_SECRET, READER_SECRET},
        "secretsmanager:PutSecretValue": {LOADER_SECRET, READER_SECRET},
        **{f"ec2:{action}": {"*"} for action in NETWORK},
    },
    "feedback[0].module.function": {
        "dynamodb:BatchGetItem": {FEEDBACK},
        "dynamodb:DeleteItem": {FEEDBACK},
        "dynamodb:GetItem": {LEDGER, FEEDBACK},
        "dynamodb:PutItem": {FEEDBACK},
        "dynamodb:Query": {LEDGER, f"{FEEDBACK}/index/by_object"},
        "dynamodb:UpdateItem": {FEEDBACK},
        "logs:CreateLogStream": {logs("feedback")},
        "logs:PutLogEvents": {logs("feedback")},
        "s3:GetObject": {DATASETS, SILVER},
        "s3:ListBucket": {"arn:aws:s3:::sluice-test-silver"},
        "sns:Publish": {TOPIC},
        "sqs:ChangeMessageVisibility": {FEEDBACK_QUEUE},
        "sqs:DeleteMessage": {FEEDBACK_QUEUE},
        "sqs:GetQueueAttributes": {FEEDBACK_QUEUE},
        "sqs:ReceiveMessage": {FEEDBACK_QUEUE},
    },
    "lake[0].module.register": {
        "dynamodb:BatchGetItem": {LEDGER},
        "dynamodb:GetItem": {LEDGER},
        "dynamodb:Query": {LEDGER},
        "dynamodb:UpdateItem": {LEDGER},
        "glue:BatchCreatePartition": LAKE_TABLES,
        "glue:BatchGetPartition": LAKE_TABLES,
        "glue:BatchUpdatePartition": LAKE_TABLES,
        "glue:GetTable": LAKE_TABLES,
        "logs:CreateLogStream": {logs("lake")},
        "logs:PutLogEvents": {logs("lake")},
        "s3:GetObject": {DATASETS},
        "s3:PutObject": {"arn:aws:s3:::sluice-test-lake/ledger/objects/*"},
        "sns:Publish": {TOPIC},
        "sqs:ChangeMessageVisibility": {LAKE_QUEUE},
        "sqs:DeleteMessage": {LAKE_QUEUE},
        "sqs:GetQueueAttributes": {LAKE_QUEUE},
        "sqs:ReceiveMessage": {LAKE_QUEUE},
    },
    'lake[0].module.compaction["job"]': {
        "glue:BatchStopJobRun": {f"arn:aws:glue:{ACCOUNT}:job/sluice-test-lake-compaction"},
        "glue:GetJobRun": {f"arn:aws:glue:{ACCOUNT}:job/sluice-test-lake-compaction"},
        "glue:GetJobRuns": {f"arn:aws:glue:{ACCOUNT}:job/sluice-test-lake-compaction"},
        "glue:StartJobRun": {f"arn:aws:glue:{ACCOUNT}:job/sluice-test-lake-compaction"},
        "sns:Publish": {TOPIC},
        **{f"logs:{action}": {"*"} for action in LOG_DELIVERY},
    },
    "api[0].module.worker": {
        "dynamodb:GetItem": {ANALYTICS},
        "dynamodb:PutItem": {ANALYTICS},
        "dynamodb:UpdateItem": {ANALYTICS},
        "logs:CreateLogStream": {logs("analytics-worker")},
        "logs:PutLogEvents": {logs("analytics-worker")},
        "s3:GetObject": {DATASETS},
        "s3:PutObject": {RESULTS},
        "secretsmanager:GetSecretValue": {READER_SECRET},
        **{f"ec2:{action}": {"*"} for action in NETWORK},
    },
    "api[0].module.jobs": {
        "dynamodb:UpdateItem": {ANALYTICS},
        "lambda:InvokeFunction": {f"arn:aws:lambda:{ACCOUNT}:function:sluice-test-analytics-worker"},
        "sns:Publish": {TOPIC},
        **{f"logs:{action}": {"*"} for action in LOG_DELIVERY},
    },
    "api[0].module.function": {
        "dynamodb:BatchWriteItem": {ANALYTICS},
        "dynamodb:GetItem": {ANALYTICS},
        "dynamodb:PutItem": {ANALYTICS},
        "dynamodb:Query": {f"{ANALYTICS}/index/by_created", f"{CHECKINS}/index/by_user"},
        "s3:GetObject": {DATASETS, RESULTS},
        "states:StartExecution": {f"arn:aws:states:{ACCOUNT}:stateMachine:sluice-test-analytics"},
        "logs:CreateLogStream": {logs("api")},
        "logs:PutLogEvents": {logs("api")},
        "secretsmanager:GetSecretValue": {READER_SECRET},
        **{f"ec2:{action}": {"*"} for action in NETWORK},
    },
    "checkins[0].module.function": {
        "dynamodb:BatchGetItem": {CHECKINS},
        "dynamodb:DeleteItem": {CHECKINS},
        "dynamodb:GetItem": {LEDGER},
        "dynamodb:PutItem": {CHECKINS},
        "dynamodb:Query": {LEDGER, CHECKIN_LOG, f"{CHECKINS}/index/by_object"},
        "dynamodb:UpdateItem": {CHECKIN_LOG},
        "logs:CreateLogStream": {logs("checkins")},
        "logs:PutLogEvents": {logs("checkins")},
        "s3:GetObject": {DATASETS, SILVER, CHECKS},
        "s3:ListBucket": {"arn:aws:s3:::sluice-test-silver", "arn:aws:s3:::sluice-test-quarantine"},
        "s3:PutObject": {CHECKS},
    },
    "checkins[0].module.workflow": {
        "dynamodb:UpdateItem": {CHECKIN_LOG},
        "lambda:InvokeFunction": {f"arn:aws:lambda:{ACCOUNT}:function:sluice-test-checkins"},
        "sns:Publish": {TOPIC},
        **{f"logs:{action}": {"*"} for action in LOG_DELIVERY},
    },
    "checkins[0].module.executor": {
        "dynamodb:GetItem": {CHECKIN_LOG},
        "dynamodb:UpdateItem": {CHECKIN_LOG},
        "logs:CreateLogStream": {logs("checkin-executor")},
        "logs:PutLogEvents": {logs("checkin-executor")},
        "s3:GetObject": {DATASETS},
        "s3:ListBucket": {"arn:aws:s3:::sluice-test-bronze"},
        "sns:Publish": {TOPIC},
        "states:StartExecution": {f"arn:aws:states:{ACCOUNT}:stateMachine:sluice-test-checkins"},
    },
    "quality[0].module.gate": {
        "dynamodb:GetItem": {LEDGER},
        "dynamodb:UpdateItem": {LEDGER},
        "logs:CreateLogStream": {logs("quality")},
        "logs:PutLogEvents": {logs("quality")},
        "sns:Publish": {TOPIC},
        "sqs:ChangeMessageVisibility": {QUALITY_QUEUE},
        "sqs:DeleteMessage": {QUALITY_QUEUE},
        "sqs:GetQueueAttributes": {QUALITY_QUEUE},
        "sqs:ReceiveMessage": {QUALITY_QUEUE},
        "states:DescribeExecution": {f"arn:aws:states:{ACCOUNT}:execution:sluice-test-quality:*"},
        "states:StartExecution": {f"arn:aws:states:{ACCOUNT}:stateMachine:sluice-test-quality"},
    },
    "quality[0].module.audit": {
        "dynamodb:GetItem": {LEDGER},
        "dynamodb:Query": {LEDGER},
        "logs:CreateLogStream": {logs("quality-audit")},
        "logs:PutLogEvents": {logs("quality-audit")},
        "s3:GetObject": {STAGED},
        "s3:GetObjectVersion": {DATASETS},
        "s3:ListBucket": {"arn:aws:s3:::sluice-test-staging"},
        "s3:PutObject": {VERDICTS, PAGES},
    },
    "quality[0].module.publish": {
        "dynamodb:GetItem": {LEDGER},
        "dynamodb:Query": {LEDGER},
        "dynamodb:UpdateItem": {LEDGER},
        "events:PutEvents": {BUS},
        "logs:CreateLogStream": {logs("quality-publish")},
        "logs:PutLogEvents": {logs("quality-publish")},
        "s3:DeleteObject": {SILVER, STAGED, LEFTOVERS},
        "s3:GetObject": {VERDICTS, STAGED, LEFTOVERS, SILVER},
        "s3:ListBucket": {f"arn:aws:s3:::sluice-test-{bucket}" for bucket in ("quality", "staging", "silver")},
        "s3:PutObject": {SILVER},
        "sns:Publish": {TOPIC},
    },
    "quality[0].module.workflow": {
        "glue:BatchStopJobRun": {f"arn:aws:glue:{ACCOUNT}:job/sluice-test-quality-audit"},
        "glue:GetJobRun": {f"arn:aws:glue:{ACCOUNT}:job/sluice-test-quality-audit"},
        "glue:GetJobRuns": {f"arn:aws:glue:{ACCOUNT}:job/sluice-test-quality-audit"},
        "glue:StartJobRun": {f"arn:aws:glue:{ACCOUNT}:job/sluice-test-quality-audit"},
        "lambda:InvokeFunction": {
            f"arn:aws:lambda:{ACCOUNT}:function:sluice-test-quality-{step}" for step in ("audit", "publish")
        },
        "sns:Publish": {TOPIC},
        **{f"logs:{action}": {"*"} for action in LOG_DELIVERY},
    },
    "taxi[0].module.start": {
        "dynamodb:GetItem": {TAXI},
        "dynamodb:UpdateItem": {TAXI},
        "logs:CreateLogStream": {logs("taxi")},
        "logs:PutLogEvents": {logs("taxi")},
        "states:DescribeExecution": {f"{TAXI_WORKFLOW.replace(':stateMachine:', ':execution:')}:*"},
        "states:StartExecution": {TAXI_WORKFLOW},
    },
    "taxi[0].module.steps": {
        "iam:PassRole": {"arn:aws:iam::123456789012:role/sluice-test-taxi-schedule"},
        "logs:CreateLogStream": {logs("taxi-steps")},
        "logs:PutLogEvents": {logs("taxi-steps")},
        "redshift-data:DescribeStatement": {"*"},
        "redshift-data:ExecuteStatement": {WORKGROUP},
        "redshift-data:GetStatementResult": {"*"},
        "redshift-serverless:GetCredentials": {WORKGROUP},
        "s3:GetObject": {f"{TAXI_BUCKET}/reports/*"},
        "s3:ListBucket": {TAXI_BUCKET},
        "scheduler:CreateSchedule": {f"arn:aws:scheduler:{ACCOUNT}:schedule/sluice-test-taxi/*"},
    },
    "taxi[0].module.migrate": {
        "logs:CreateLogStream": {logs("taxi-migrate")},
        "logs:PutLogEvents": {logs("taxi-migrate")},
        "redshift-data:BatchExecuteStatement": {WORKGROUP},
        "redshift-data:DescribeStatement": {"*"},
        "redshift-data:ExecuteStatement": {WORKGROUP},
        "redshift-data:GetStatementResult": {"*"},
        "secretsmanager:GetSecretValue": {TAXI_SECRET},
    },
    "taxi[0].module.ingest": {
        "s3:GetObject": {f"{TAXI_BUCKET}/raw/*", script("taxi-ingest")},
        "s3:ListBucket": {TAXI_BUCKET},
        "s3:PutObject": {f"{TAXI_BUCKET}/raw/*", f"{TAXI_BUCKET}/reports/ingest/*"},
        **job_logs("python-jobs"),
    },
    "taxi[0].module.transform": {
        "s3:DeleteObject": TAXI_ROWS,
        "s3:GetObject": {f"{TAXI_BUCKET}/raw/*", f"{TAXI_BUCKET}/reports/ingest/*", script("taxi-transform")}
        | TAXI_ROWS,
        "s3:ListBucket": {TAXI_BUCKET},
        "s3:PutObject": {f"{TAXI_BUCKET}/reports/transform/*"} | TAXI_ROWS,
        **job_logs("jobs"),
    },
    "taxi[0].module.load": {
        "redshift-data:BatchExecuteStatement": {WORKGROUP},
        "redshift-data:DescribeStatement": {"*"},
        "redshift-data:ExecuteStatement": {WORKGROUP},
        "redshift-data:ListStatements": {"*"},
        "redshift-serverless:GetCredentials": {WORKGROUP},
        "s3:GetObject": {
            *(f"{TAXI_BUCKET}/reports/{job}/*" for job in ("ingest", "transform")),
            script("taxi-load"),
        },
        "s3:ListBucket": {TAXI_BUCKET},
        "s3:PutObject": {f"{TAXI_BUCKET}/manifests/*", f"{TAXI_BUCKET}/reports/load/*"},
        **job_logs("python-jobs"),
    },
    "taxi[0].module.workflow": {
        **{f"glue:{action}": TAXI_JOBS for action in ("BatchStopJobRun", "GetJobRun", "GetJobRuns", "StartJobRun")},
        "lambda:InvokeFunction": {f"arn:aws:lambda:{ACCOUNT}:function:sluice-test-taxi-steps"},
        "sns:Publish": {TOPIC},
        **{f"logs:{action}": {"*"} for action in LOG_DELIVERY},
    },
    "taxi[0].aws_iam_role_policy": {  # of Redshift, and of Scheduler
        "lambda:InvokeFunction": {f"arn:aws:lambda:{ACCOUNT}:function:sluice-test-taxi"},
        "s3:GetObject": {f"{TAXI_BUCKET}/clean/*", f"{TAXI_BUCKET}/manifests/*"},
        "s3:ListBucket": {TAXI_BUCKET},
    },
    "settle": {
        "dynamodb:GetItem": {LEDGER},
        "dynamodb:Query": {LEDGER, f"{LEDGER}/index/committed_objects", f"{LEDGER}/index/open_objects"},
        "dynamodb:Scan": {LEDGER},
        "dynamodb:UpdateItem": {LEDGER},
        "logs:CreateLogStream": {logs("settle")},
        "logs:FilterLogEvents": {logs("transform")},
        "logs:PutLogEvents": {logs("settle")},
        "sns:Publish": {TOPIC},
        "sqs:ChangeMessageVisibility": {CHUNK_DLQ},
        "sqs:ReceiveMessage": {CHUNK_DLQ},
    },
    "reconcile[0]": {
        "dynamodb:BatchGetItem": {IDEMPOTENCY, LEDGER},
        "dynamodb:BatchWriteItem": {IDEMPOTENCY},
        "dynamodb:UpdateItem": {LEDGER},
        "logs:CreateLogStream": {logs("reconcile")},
        "logs:PutLogEvents": {logs("reconcile")},
        "s3:GetObject": {BRONZE, INVENTORY},
        "s3:ListBucket": {"arn:aws:s3:::sluice-test-bronze", "arn:aws:s3:::sluice-test-artifacts"},
        "sns:Publish": {TOPIC},
        "sqs:SendMessage": {INGEST},
    },
    "digest[0]": {
        "logs:CreateLogStream": {logs("digest")},
        "logs:PutLogEvents": {logs("digest")},
        "sns:Publish": {MAIL},
        "sqs:DeleteMessage": {DIGEST},
        "sqs:GetQueueAttributes": {DIGEST},
        "sqs:ReceiveMessage": {DIGEST},
    },
    "observability[0].module.watch": {
        "dynamodb:GetItem": {LEDGER},
        "dynamodb:Query": {f"{LEDGER}/index/open_objects"},
        "logs:CreateLogStream": {logs("watch")},
        "logs:PutLogEvents": {logs("watch")},
    },
}

# What the trigger of a function grants to its role.
TRIGGERS = {
    "ingest": "module.ingest_trigger.",
    "transform": "module.chunk_trigger.",
    "digest[0]": "module.digest_trigger[0].",
    "warehouse[0].module.load": "module.warehouse[0].module.load_trigger.",
    "feedback[0].module.function": "module.feedback[0].module.trigger.",
    "lake[0].module.register": "module.lake[0].module.trigger.",
    "quality[0].module.gate": "module.quality[0].module.trigger.",
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
        if not address.startswith((f"module.{function}.", TRIGGERS.get(function, f"module.{function}."))):
            continue
        for statement in json.loads(resource["values"]["policy"])["Statement"]:
            assert statement["Effect"] == "Allow"
            for action in listed(statement["Action"]):
                granted.setdefault(action, set()).update(listed(statement["Resource"]))
    assert granted == ALLOWED[function]


def test_a_role_that_reads_data_learns_what_is_gone(mocked_resources: Resources) -> None:
    """Without s3:ListBucket, S3 answers 403 for what is not there, and a deleted file would look like a lost right.

    What is beside the code (the artifacts bucket) is written before its reader runs, and never deleted by the pipeline.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    """
    roles: dict[str, dict[str, set[str]]] = {}
    for address, statement in statements(mocked_resources, "aws_iam_role_policy"):
        role = roles.setdefault(mocked_resources[address]["values"]["role"], {"reads": set(), "lists": set()})
        for action in listed(statement["Action"]):
            kind = {"s3:GetObject": "reads", "s3:GetObjectVersion": "reads", "s3:ListBucket": "lists"}.get(action)
            if kind and not (kind == "lists" and statement.get("Condition")):  # S3 meets no condition on a prefix then
                role[kind] |= {resource.split("/")[0] for resource in listed(statement["Resource"])}
    reading = {name: role["reads"] - {"arn:aws:s3:::sluice-test-artifacts"} for name, role in roles.items()}
    assert sum(map(bool, reading.values())) > 8
    assert {name: gap for name, buckets in reading.items() if (gap := buckets - roles[name]["lists"])} == {}


def test_no_role_holds_a_wildcard(mocked_resources: Resources) -> None:
    for address, statement in statements(mocked_resources, "aws_iam_role_policy"):
        for action in listed(statement["Action"]):
            assert "*" not in action, address
        for resource in listed(statement["Resource"]):
            # Left open: the log streams of the function's own group, the groups of Glue's jobs, the objects under one
            # prefix of one bucket, the executions of one state machine, the schedules of one group.
            colon = (":log-group:" in resource or ":execution:" in resource) and not resource.endswith(GLUE_LOGS)
            stem = resource.removesuffix(":*" if colon else "/*")
            actions = set(listed(statement["Action"]))
            metrics = {"cloudwatch:PutMetricData"}  # CloudWatch has no resource to name for it
            open_ones = ({f"logs:{a}" for a in LOG_DELIVERY}, {f"ec2:{a}" for a in NETWORK}, metrics)
            assert "*" not in stem or actions in open_ones or actions <= STATEMENTS, address
            # ListBucket is about a bucket as such; all else is about objects under a prefix
            whole = ":s3:::" in stem and not stem.count("/")
            assert not whole or actions == {"s3:ListBucket"}, f"{address}: a whole bucket"


def test_who_publishes_metrics_does_so_in_the_stacks_namespace(mocked_resources: Resources) -> None:
    """PutMetricData is allowed on "*" only; the key cloudwatch:namespace is what limits it."""
    publishing = [
        (address, statement)
        for address, statement in statements(mocked_resources, "aws_iam_role_policy")
        if "cloudwatch:PutMetricData" in listed(statement["Action"])
    ]
    assert publishing
    for address, statement in publishing:
        assert statement["Condition"] == {"StringEquals": {"cloudwatch:namespace": "sluice-test"}}, address


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
    assert len(carriers) == 25
    assert refusing == carriers


def test_no_principal_outside_the_account_is_let_in(mocked_resources: Resources) -> None:
    kinds = ("aws_s3_bucket_policy", "aws_sqs_queue", "aws_sns_topic_policy")
    for address, statement in statements(mocked_resources, *kinds):
        # EventBridge meets no condition of a topic's policy, see below; a topic's ARN names its account.
        to_topic = mocked_resources[address]["type"] == "aws_sns_topic_policy"
        from_topic = statement["Principal"] == {"Service": "sns.amazonaws.com"}
        if from_topic:
            assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": TOPIC}}, address
        elif statement["Effect"] == "Allow" and not (to_topic and statement["Principal"] == {"Service": EVENTS}):
            assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}, address
    allowed = [s for _, s in statements(mocked_resources, "aws_sqs_queue") if s["Effect"] == "Allow"]
    [from_bucket] = [one for one in allowed if one["Principal"] == {"Service": "s3.amazonaws.com"}]
    assert (from_bucket["Resource"], from_bucket["Action"]) == (INGEST, "sqs:SendMessage")
    assert from_bucket["Condition"]["ArnEquals"] == {"aws:SourceArn": "arn:aws:s3:::sluice-test-bronze"}
    from_topic_to = {one["Resource"] for one in allowed if one["Principal"] == {"Service": "sns.amazonaws.com"}}
    assert from_topic_to == {DIGEST, f"{DIGEST}-dlq"}
    from_the_bus = [one for one in allowed if one is not from_bucket and one["Resource"] not in from_topic_to]
    assert {statement["Principal"]["Service"] for statement in from_the_bus} == {EVENTS}
    rules = f"arn:aws:events:{ACCOUNT}:rule/sluice-test-events/sluice-test-"
    each = [f"{rules}{branch}" for branch in ("feedback", "lake", "loads", "quality") for _ in ("queue", "dlq")]
    assert sorted(statement["Condition"]["ArnEquals"]["aws:SourceArn"] for statement in from_the_bus) == [
        f"arn:aws:events:{ACCOUNT}:rule/sluice-test-*", *each]  # fmt: skip
    permission = mocked_resources["module.bronze_trigger.aws_lambda_permission.this"]["values"]
    assert permission["source_account"] == "123456789012"
    assert permission["source_arn"] == "arn:aws:s3:::sluice-test-bronze"


def test_s3_may_write_the_inventory_of_bronze_and_reconcile_read_it(mocked_resources: Resources) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/configure-inventory.html"""
    [(address, let_in)] = [
        (address, one)
        for address, one in statements(mocked_resources, "aws_s3_bucket_policy")
        if one["Effect"] == "Allow"
    ]
    assert 'bucket["artifacts"]' in address
    assert let_in == {
        "Sid": "TakeInventory",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::sluice-test-artifacts/inventory/*",
        "Condition": {
            "ArnEquals": {"aws:SourceArn": "arn:aws:s3:::sluice-test-bronze"},
            "StringEquals": {"aws:SourceAccount": "123456789012"},
        },
    }
    [finding] = [
        one["Condition"]
        for address, one in statements(mocked_resources, "aws_iam_role_policy")
        if address.startswith("module.reconcile[0].") and one["Sid"] == "FindInventory"
    ]
    assert finding == {"StringLike": {"s3:prefix": ["inventory/sluice-test-bronze/reconcile/*"]}}
    configuration = mocked_resources["aws_s3_bucket_inventory.reconcile[0]"]["values"]
    assert (configuration["bucket"], configuration["name"]) == ("sluice-test-bronze", "reconcile")
    assert set(configuration["optional_fields"]) == {"ETag", "LastModifiedDate", "Size"}
    [destination] = configuration["destination"][0]["bucket"]
    assert (destination["bucket_arn"], destination["format"], destination["prefix"]) == (
        "arn:aws:s3:::sluice-test-artifacts", "CSV", "inventory"
    )  # fmt: skip
    expiring = mocked_resources['module.bucket["artifacts"].aws_s3_bucket_lifecycle_configuration.this']["values"]
    assert {one["id"] for one in expiring["rule"]} >= {"expire-inventory", "expire-noncurrent-inventory"}


def test_eventbridge_may_publish_to_the_topic_without_a_condition(mocked_resources: Resources) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions"""
    about_events = [
        statement
        for _, statement in statements(mocked_resources, "aws_sns_topic_policy")
        if statement["Effect"] == "Allow" and EVENTS in listed(statement["Principal"].get("Service", []))
    ]
    assert [(one["Action"], one["Resource"], one.get("Condition")) for one in about_events] == [
        ("sns:Publish", TOPIC, None)
    ]


def test_what_eventbridge_cannot_deliver_goes_to_a_queue_that_lets_its_rule_send(mocked_resources: Resources) -> None:
    """Every target has a dead-letter queue, whose policy covers the target's rule, and whose alarm exists."""
    queues = {
        values["arn"]: values
        for values in (one["values"] for one in mocked_resources.values() if one["type"] == "aws_sqs_queue")
    }
    watched = {
        one["values"]["dimensions"]["QueueName"]
        for one in mocked_resources.values()
        if one["type"] == "aws_cloudwatch_metric_alarm" and "QueueName" in (one["values"]["dimensions"] or {})
    }
    targets = [one for one in mocked_resources.values() if one["type"] == "aws_cloudwatch_event_target"]
    assert len(targets) > 5
    for target in targets:
        values = target["values"]
        assert values["dead_letter_config"], target["address"]
        queue = queues[values["dead_letter_config"][0]["arn"]]
        assert queue["name"] in watched, target["address"]
        bus = values["event_bus_name"] or "default"
        path = values["rule"] if bus == "default" else f"{bus}/{values['rule']}"
        sources = [
            statement["Condition"]["ArnEquals"]["aws:SourceArn"]
            for statement in json.loads(queue["policy"])["Statement"]
            if statement["Principal"] == {"Service": EVENTS} and statement["Effect"] == "Allow"
        ]
        arn = f"arn:aws:events:{ACCOUNT}:rule/{path}"
        assert any(fnmatchcase(arn, source) for source in sources), target["address"]


def test_alarms_about_the_mails_reach_the_address_without_them(mocked_resources: Resources) -> None:
    """Every alarm notifies the topic of notices; those about digest notify the topic of mails, too."""
    alarms = {
        one["values"]["alarm_name"].removeprefix("sluice-test-"): one["values"]
        for one in mocked_resources.values()
        if one["type"] == "aws_cloudwatch_metric_alarm"
    }
    direct = {"digest-errors", "digest-throttles", "digest-queue-age", "digest-dead-letters"}
    assert direct < alarms.keys()
    for name, alarm in alarms.items():
        wanted = {TOPIC, MAIL} if name in direct else {TOPIC}
        assert set(alarm["alarm_actions"]) == set(alarm["ok_actions"]) == wanted, name


def test_the_topic_of_notices_may_send_to_the_queue_of_digest_and_its_dead_letter_queue(
    mocked_resources: Resources,
) -> None:
    """https://docs.aws.amazon.com/sns/latest/dg/sns-dead-letter-queues.html"""
    subscription = mocked_resources["aws_sns_topic_subscription.digest[0]"]["values"]
    assert (subscription["topic_arn"], subscription["endpoint"]) == (TOPIC, DIGEST)
    assert subscription["raw_message_delivery"] is True
    assert json.loads(subscription["redrive_policy"]) == {"deadLetterTargetArn": f"{DIGEST}-dlq"}
    for queue in ("digest_queue", "digest_dlq"):
        policy = json.loads(mocked_resources[f"module.{queue}[0].aws_sqs_queue.this[0]"]["values"]["policy"])
        [sender] = [one for one in policy["Statement"] if one["Effect"] == "Allow"]
        assert sender["Principal"] == {"Service": "sns.amazonaws.com"}
        assert sender["Condition"] == {"ArnEquals": {"aws:SourceArn": TOPIC}}


def test_a_queues_own_policy_names_the_queue(mocked_resources: Resources) -> None:
    """The ARN in it is put together from parts; this holds it against the name the queue really gets."""
    for address, statement in statements(mocked_resources, "aws_sqs_queue"):
        values = mocked_resources[address]["values"]
        assert statement["Resource"] == f"arn:aws:sqs:{ACCOUNT}:{values['name']}", address


def test_parliament_finds_nothing(mocked_resources: Resources) -> None:
    """Unknown actions, resources that do not fit their action, malformed ARNs and conditions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # parliament imports pkg_resources and has unescaped regular expressions
        import parliament

    def findings(name: str, policy: str) -> list[str]:
        found = parliament.analyze_policy_string(policy, name).findings
        # A narrower resource than "*" is not what AWS's own policy for functions in a VPC has.
        return [
            f"{name}: {one}"
            for one in found
            if (one.issue != "RESOURCE_STAR" or set(one.detail) != network)
            and (one.issue != "RESOURCE_MISMATCH" or one.detail != executions)
        ]

    network = {f"ec2:{action}" for action in NETWORK if not action.startswith("Describe")}
    # Its data knows executions of express workflows only:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsstepfunctions.html
    express = "arn:*:states:*:*:express:*:*:*"
    executions = [{"action": "states:DescribeExecution", "required_format": express}]

    policies = {
        address: resource["values"]["policy"]
        for address, resource in mocked_resources.items()
        if resource["type"] == "aws_iam_role_policy"
    }
    assert policies
    assert [finding for address, policy in policies.items() for finding in findings(address, policy)] == []
    unknown = {"Effect": "Allow", "Action": "s3:GetObjekt", "Resource": "arn:aws:s3:::some/*"}
    [found] = findings("wrong", json.dumps({"Version": "2012-10-17", "Statement": [unknown]}))
    assert "UNKNOWN_ACTION" in found


def test_functions_get_the_settings_they_read(mocked_resources: Resources) -> None:
    def settings(function: str) -> dict[str, str]:
        values = mocked_resources[f"module.{function}.aws_lambda_function.this"]["values"]
        variables: dict[str, str] = values["environment"][0]["variables"]
        return variables

    datasets = {"DATASETS_BUCKET": "sluice-test-artifacts", "DATASETS_KEY": "config/datasets.json"}
    shared = datasets | {
        "POWERTOOLS_TRACE_DISABLED": "true",
        "POWERTOOLS_METRICS_NAMESPACE": "sluice-test",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "LEDGER_SHARDS": "8",
        "LEDGER_TABLE": "sluice-test-ledger",
        "CHUNK_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/sluice-test-chunks",
        "NOTIFICATIONS_TOPIC_ARN": TOPIC,
        "SINGLE_CHUNK_LIMIT_BYTES": "67108864",
    }
    ingest = settings("ingest")
    assert "*/_SUCCESS" in json.loads(ingest.pop("PASSED_OVER_KEYS"))
    assert ingest == shared | {
        "POWERTOOLS_SERVICE_NAME": "ingest",
        "IDEMPOTENCY_TABLE": "sluice-test-idempotency",
        "IDEMPOTENCY_TTL_SECONDS": "2592000",
        "INGEST_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/sluice-test-ingest",
        "INGEST_DLQ_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/sluice-test-ingest-dlq",
        "MAX_RECEIVES": "5",
        "TIMEOUT_SECONDS": "30",
        "CHUNK_BYTES": "16777216",
    }
    assert settings("replay[0].module.function") == {
        name: shared[name]
        for name in (
            "POWERTOOLS_TRACE_DISABLED",
            "POWERTOOLS_METRICS_NAMESPACE",
            "POWERTOOLS_LOG_LEVEL",
            "LEDGER_SHARDS",
            "LEDGER_TABLE",
            "CHUNK_QUEUE_URL",
            *datasets,
        )
    } | {
        "POWERTOOLS_SERVICE_NAME": "replay",
        "REPLAY_BUCKET": "sluice-test-artifacts",
        "REPLAY_BATCH_OBJECTS": "200",
        "REPLAY_DEADLINE_SECONDS": "21600",
    }
    digest = settings("digest[0]")
    assert (digest["MAIL_TOPIC_ARN"], digest["STACK_NAME"]) == (MAIL, "sluice-test")
    assert settings("transform") == shared | {
        "POWERTOOLS_SERVICE_NAME": "transform",
        "SILVER_BUCKET": "sluice-test-silver",
        "QUARANTINE_BUCKET": "sluice-test-quarantine",
        "EVENT_BUS_NAME": "sluice-test-events",
        "MAX_RECEIVES": "5",
        "QUARANTINE_NOTICE_RATIO": "0.1",
        "STAGING_BUCKET": "sluice-test-staging",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_THRESHOLD_": "33554432",
        "MALLOC_TRIM_THRESHOLD_": "1000000000",
    }
