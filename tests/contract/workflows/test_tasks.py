"""Tasks that call AWS's services: an error of the service fails the task by its name, and a Catch sees it.

https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html
"""

from typing import Any

import pytest

from tests.contract.workflows.conftest import Runner

KEY: dict[str, Any] = {"k": {"S": "a"}}
CALLS: dict[str, dict[str, Any]] = {
    "dynamodb:putItem": {"TableName": "missing", "Item": KEY},
    "dynamodb:getItem": {"TableName": "missing", "Key": KEY},
    "dynamodb:updateItem": {"TableName": "missing", "Key": KEY},
    "dynamodb:deleteItem": {"TableName": "missing", "Key": KEY},
    "aws-sdk:dynamodb:describeTable": {"TableName": "missing"},
    "aws-sdk:dynamodb:query": {
        "TableName": "missing", "KeyConditionExpression": "k = :k", "ExpressionAttributeValues": {":k": {"S": "a"}},
    },
    "aws-sdk:sqs:getQueueUrl": {"QueueName": "missing"},
    "aws-sdk:s3:getObject": {"Bucket": "missing-bucket", "Key": "a"},
    "aws-sdk:secretsmanager:getSecretValue": {"SecretId": "missing"},
    "aws-sdk:sns:getTopicAttributes": {"TopicArn": "arn:aws:sns:us-east-1:000000000000:missing"},
    "aws-sdk:lambda:getFunction": {"FunctionName": "missing"},
    "aws-sdk:athena:getWorkGroup": {"WorkGroup": "missing"},
    "aws-sdk:glue:getDatabase": {"Name": "missing"},
    "aws-sdk:redshiftdata:describeStatement": {"Id": "00000000-0000-0000-0000-000000000000"},
}  # fmt: skip
ERRORS = {
    "dynamodb": "DynamoDB.ResourceNotFoundException",
    "aws-sdk:dynamodb": "DynamoDb.ResourceNotFoundException",
    "aws-sdk:sqs": "Sqs.QueueDoesNotExistException",
    "aws-sdk:s3": "S3.NoSuchBucketException",
    "aws-sdk:secretsmanager": "SecretsManager.ResourceNotFoundException",
    "aws-sdk:sns": "Sns.NotFoundException",
    "aws-sdk:lambda": "Lambda.ResourceNotFoundException",
    "aws-sdk:athena": "Athena.InvalidRequestException",
    "aws-sdk:glue": "Glue.EntityNotFoundException",
    "aws-sdk:redshiftdata": "RedshiftData.ResourceNotFoundException",
}


@pytest.mark.parametrize("call", CALLS)
def test_an_error_of_a_service_has_its_name_and_is_caught(run: Runner, call: str) -> None:
    task = {
        "Type": "Task",
        "Resource": f"arn:aws:states:::{call}",
        "Parameters": {name[0].upper() + name[1:]: value for name, value in CALLS[call].items()},
        "Catch": [{"ErrorEquals": [ERRORS[call.rpartition(":")[0]]], "Next": "Caught"}],
        "End": True,
    }
    ended = run({"Try": task, "Caught": {"Type": "Pass", "End": True}})
    failed = [event["taskFailedEventDetails"] for event in ended.events if event["type"] == "TaskFailed"]
    assert [one["error"] for one in failed] == [ERRORS[call.rpartition(":")[0]]], (ended.error, ended.cause)
    assert ended.status == "SUCCEEDED"
    assert "Request ID: " in failed[0]["cause"]
