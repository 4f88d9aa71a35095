"""Secrets Manager: staging labels, and rotation by a function in four steps.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
"""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.engine_harness import Engine, Function, Queue

ROTATION = """
import boto3, json, os
secrets, sqs = boto3.client("secretsmanager"), boto3.client("sqs")

def handler(event, context):
    step, arn, token = event["Step"], event["SecretId"], event["ClientRequestToken"]
    stages = secrets.describe_secret(SecretId=arn)["VersionIdsToStages"]
    assert stages[token] == ["AWSPENDING"]
    sqs.send_message(QueueUrl=os.environ["SEEN"], MessageBody=json.dumps(event))
    current = secrets.get_secret_value(SecretId=arn)
    if step == os.environ.get("FAILS") and current["SecretString"] == "old":
        raise ValueError("as asked")
    if step == "createSecret":
        try:
            secrets.get_secret_value(SecretId=arn, VersionId=token, VersionStage="AWSPENDING")
        except secrets.exceptions.ResourceNotFoundException:
            new = current["SecretString"] + "+"
            secrets.put_secret_value(
                SecretId=arn, ClientRequestToken=token, SecretString=new, VersionStages=["AWSPENDING"])
    if step == "testSecret":
        secrets.get_secret_value(SecretId=arn, VersionStage="AWSPENDING")
    if step == "finishSecret":
        secrets.update_secret_version_stage(
            SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current["VersionId"])
"""


class Secret:
    """A secret that is "old"."""

    def __init__(self, engine: Engine) -> None:
        self.client, self.name = engine.client("secretsmanager"), f"secret-{uuid.uuid4().hex[:8]}"
        made = self.client.create_secret(Name=self.name, SecretString="old")
        self.arn, self.first = made["ARN"], made["VersionId"]

    def value(self, stage: str = "AWSCURRENT") -> str:
        return str(self.client.get_secret_value(SecretId=self.name, VersionStage=stage)["SecretString"])

    def stages(self) -> dict[str, list[str]]:
        found = self.client.describe_secret(SecretId=self.name)["VersionIdsToStages"]
        return {version: sorted(stages) for version, stages in found.items()}

    def put(self, value: str, *stages: str) -> str:
        more = {"VersionStages": list(stages)} if stages else {}
        return str(self.client.put_secret_value(SecretId=self.name, SecretString=value, **more)["VersionId"])

    def move(self, stage: str, **versions: str) -> None:
        self.client.update_secret_version_stage(SecretId=self.name, VersionStage=stage, **versions)


@pytest.fixture
def secret(engine: Engine) -> Iterator[Secret]:
    made = Secret(engine)
    yield made
    made.client.delete_secret(SecretId=made.name, ForceDeleteWithoutRecovery=True)


def refusal(call: Callable[..., Any], *arguments: Any, **more: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(*arguments, **more)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_the_labels_follow_new_values(secret: Secret) -> None:
    """https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html"""
    second = secret.put("second")
    assert secret.stages() == {secret.first: ["AWSPREVIOUS"], second: ["AWSCURRENT"]}
    pending = secret.put("third", "AWSPENDING")
    assert secret.stages() == {secret.first: ["AWSPREVIOUS"], second: ["AWSCURRENT"], pending: ["AWSPENDING"]}
    assert (secret.value(), secret.value("AWSPREVIOUS"), secret.value("AWSPENDING")) == ("second", "old", "third")
    secret.move("AWSCURRENT", MoveToVersionId=pending, RemoveFromVersionId=second)
    assert secret.value() == "third"
    assert secret.stages()[second] == ["AWSPREVIOUS"]
    assert secret.stages()[pending] == ["AWSCURRENT", "AWSPENDING"]


def test_a_label_is_at_one_version(secret: Secret) -> None:
    second = secret.put("second")
    code = "InvalidParameterException"
    assert refusal(secret.move, "AWSCURRENT", MoveToVersionId=secret.first)[0] == code
    assert refusal(secret.move, "AWSCURRENT", MoveToVersionId=secret.first, RemoveFromVersionId=secret.first)[0] == code
    assert refusal(secret.move, "AWSCURRENT", RemoveFromVersionId=second)[0] == code
    secret.move("mine", MoveToVersionId=second)
    assert refusal(secret.move, "mine", MoveToVersionId=secret.first)[0] == code
    assert secret.stages() == {secret.first: ["AWSPREVIOUS"], second: ["AWSCURRENT", "mine"]}
    secret.move("mine", MoveToVersionId=secret.first, RemoveFromVersionId=second)
    secret.move("mine", RemoveFromVersionId=secret.first)
    assert secret.stages() == {secret.first: ["AWSPREVIOUS"], second: ["AWSCURRENT"]}


def test_a_rotation_has_four_steps(
    secret: Secret, function: Callable[..., Function], queue: Callable[..., Queue]
) -> None:
    seen = queue()
    made = function(ROTATION, variables={"SEEN": seen.url}, Timeout=20)
    rules = {"AutomaticallyAfterDays": 30}
    version = secret.client.rotate_secret(SecretId=secret.name, RotationLambdaARN=made.arn, RotationRules=rules)[
        "VersionId"
    ]
    events = [json.loads(message["Body"]) for message in seen.receive()]
    assert {event["Step"] for event in events} == {"createSecret", "setSecret", "testSecret", "finishSecret"}
    assert len(events) == 4
    assert {(event["SecretId"], event["ClientRequestToken"]) for event in events} == {(secret.arn, version)}
    assert secret.value() == "old+"
    assert secret.value("AWSPREVIOUS") == "old"
    assert secret.stages() == {secret.first: ["AWSPREVIOUS"], version: ["AWSCURRENT", "AWSPENDING"]}
    found = secret.client.describe_secret(SecretId=secret.name)
    assert (found["RotationEnabled"], found["RotationRules"]) == (True, rules)
    assert found["LastRotatedDate"]
    again = secret.client.rotate_secret(SecretId=secret.name)["VersionId"]
    assert secret.value() == "old++"
    assert secret.stages() == {version: ["AWSPREVIOUS"], again: ["AWSCURRENT", "AWSPENDING"]}


def test_a_rotation_that_fails_leaves_the_secret_as_it_was(
    engine: Engine, secret: Secret, function: Callable[..., Function], queue: Callable[..., Queue]
) -> None:
    """ "If the AWSPENDING staging label is present but not attached to the same version as AWSCURRENT, then any later
    invocation of RotateSecret assumes that a previous rotation request is still in progress and returns an error."
    """
    seen = queue()
    made = function(ROTATION, variables={"SEEN": seen.url, "FAILS": "testSecret"}, Timeout=20)
    version = secret.client.rotate_secret(SecretId=secret.name, RotationLambdaARN=made.arn)["VersionId"]
    assert secret.value() == "old"
    assert secret.stages() == {secret.first: ["AWSCURRENT"], version: ["AWSPENDING"]}
    assert "LastRotatedDate" not in secret.client.describe_secret(SecretId=secret.name)
    assert refusal(secret.client.rotate_secret, SecretId=secret.name)[0] == "InvalidRequestException"
    engine.client("lambda").update_function_configuration(
        FunctionName=made.name, Environment={"Variables": {"SEEN": seen.url}}
    )
    made.wait()
    assert secret.client.rotate_secret(SecretId=secret.name)["VersionId"] == version
    assert secret.value() == "old+"


def test_a_rotation_for_later_only_tests_the_function(
    secret: Secret, function: Callable[..., Function], queue: Callable[..., Queue]
) -> None:
    """https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html (RotateImmediately)"""
    seen = queue()
    made = function(ROTATION, variables={"SEEN": seen.url}, Timeout=20)
    secret.client.rotate_secret(SecretId=secret.name, RotationLambdaARN=made.arn, RotateImmediately=False)
    assert [json.loads(message["Body"])["Step"] for message in seen.receive()] == ["testSecret"]
    assert secret.stages() == {secret.first: ["AWSCURRENT"]}


def test_a_rotation_needs_a_function(secret: Secret) -> None:
    call = secret.client.rotate_secret
    assert refusal(call, SecretId=secret.name)[0] == "InvalidRequestException"
    absent = "arn:aws:lambda:us-east-1:000000000000:function:absent"
    assert refusal(call, SecretId=secret.name, RotationLambdaARN=absent)[0] == "ResourceNotFoundException"
    assert "RotationEnabled" not in secret.client.describe_secret(SecretId=secret.name)
