"""Versions and aliases: which version an invocation reaches, and which weights Lambda takes."""

import json
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.engine_harness import Engine, eventually, zipped

Make = Callable[..., Any]
SAYS_VERSION = (
    "def handler(event, context):\n"
    "    print('VERSION', context.function_version)\n    return context.function_version\n"
)


class Aliased:
    """A function with two versions, and the alias `live` at the first."""

    def __init__(self, engine: Engine, target: Any, code: str = SAYS_VERSION) -> None:
        self.client, self.target, self.name = engine.client("lambda"), target, target.name
        self.client.publish_version(FunctionName=self.name)
        self.client.update_function_code(FunctionName=self.name, ZipFile=zipped({"handler.py": f"{code}# 2\n"}))
        target.wait()
        self.client.publish_version(FunctionName=self.name)
        self.arn = self.client.create_alias(FunctionName=self.name, Name="live", FunctionVersion="1")["AliasArn"]

    def move(self, version: str, **weights: float) -> Any:
        """Weights: v2=0.1."""
        routing = {"AdditionalVersionWeights": {name[1:]: weight for name, weight in weights.items()}}
        return self.client.update_alias(
            FunctionName=self.name, Name="live", FunctionVersion=version, RoutingConfig=routing
        )

    def invoked(self, times: int) -> Counter[str]:
        """The versions that answered, by Lambda's word and their own, which are the same."""
        found: Counter[str] = Counter()
        for _ in range(times):
            answer = self.client.invoke(FunctionName=self.name, Qualifier="live")
            assert json.loads(answer["Payload"].read()) == answer["ExecutedVersion"]
            found[answer["ExecutedVersion"]] += 1
        return found


@pytest.fixture
def aliased(engine: Engine, function: Make) -> Aliased:
    return Aliased(engine, function(SAYS_VERSION))


def test_weights_divide_the_invocations_until_they_are_removed(aliased: Aliased) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html"""
    assert aliased.invoked(3) == {"1": 3}
    made = aliased.move("1", v2=0.5)
    assert (made["FunctionVersion"], made["RoutingConfig"]) == ("1", {"AdditionalVersionWeights": {"2": 0.5}})
    assert set(aliased.invoked(40)) == {"1", "2"}
    ended = aliased.move("2")
    assert ended["FunctionVersion"] == "2"
    assert "RoutingConfig" not in aliased.client.get_alias(FunctionName=aliased.name, Name="live")
    assert aliased.invoked(3) == {"2": 3}


REFUSED: list[tuple[str, dict[str, float], str]] = [
    ("7", {}, "ResourceNotFoundException"),
    ("1", {"v7": 0.5}, "ResourceNotFoundException"),
    ("1", {"v1": 0.5}, "InvalidParameterValueException"),
    ("$LATEST", {"v2": 0.5}, "InvalidParameterValueException"),
    ("1", {"v2": 0.5, "v1": 0.1}, "InvalidParameterValueException"),
    ("1", {"v2": 1.5}, "ValidationException"),
    ("1", {"v$LATEST": 0.5}, "ValidationException"),
]


def test_weights_and_versions_that_do_not_go_together_are_refused(aliased: Aliased) -> None:
    """https://docs.aws.amazon.com/lambda/latest/api/API_UpdateAlias.html"""
    for version, weights, error in REFUSED:
        with pytest.raises(aliased.client.exceptions.ClientError) as raised:
            aliased.move(version, **weights)
        assert raised.value.response["Error"]["Code"] == error, (version, weights)
        assert aliased.client.get_alias(FunctionName=aliased.name, Name="live")["FunctionVersion"] == "1"


def test_two_versions_of_different_roles_are_refused(engine: Engine, aliased: Aliased) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html"""
    role = f"arn:aws:iam::000000000000:role/other-{uuid.uuid4().hex[:8]}"
    engine.client("iam").create_role(
        RoleName=role.rsplit("/", 1)[1],
        AssumeRolePolicyDocument=json.dumps({
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"
            },
        }),
    )  # fmt: skip
    aliased.client.update_function_configuration(FunctionName=aliased.name, Role=role)
    aliased.client.get_waiter("function_updated_v2").wait(FunctionName=aliased.name, WaiterConfig={"Delay": 1})
    assert aliased.client.publish_version(FunctionName=aliased.name)["Version"] == "3"
    with pytest.raises(aliased.client.exceptions.InvalidParameterValueException):
        aliased.move("1", v3=0.5)
    assert aliased.move("3")["FunctionVersion"] == "3"


def test_a_stale_revision_is_refused(aliased: Aliased) -> None:
    """https://docs.aws.amazon.com/lambda/latest/api/API_UpdateAlias.html (RevisionId)"""
    revision = aliased.client.get_alias(FunctionName=aliased.name, Name="live")["RevisionId"]
    aliased.move("1", v2=0.1)
    with pytest.raises(aliased.client.exceptions.PreconditionFailedException):
        aliased.client.update_alias(FunctionName=aliased.name, Name="live", FunctionVersion="2", RevisionId=revision)


def test_a_version_that_an_alias_names_is_not_deleted(aliased: Aliased) -> None:
    """https://docs.aws.amazon.com/lambda/latest/api/API_DeleteFunction.html"""

    def delete(version: str) -> None:
        aliased.client.delete_function(FunctionName=aliased.name, Qualifier=version)

    aliased.move("1", v2=0.5)
    for version in ("1", "2"):
        with pytest.raises(aliased.client.exceptions.ResourceConflictException):
            delete(version)
    assert set(aliased.invoked(20)) == {"1", "2"}
    aliased.move("2")
    delete("1")
    listed = aliased.client.list_versions_by_function(FunctionName=aliased.name)["Versions"]
    assert [one["Version"] for one in listed] == ["$LATEST", "2"]
    assert aliased.invoked(2) == {"2": 2}


def test_a_mapping_of_an_alias_follows_it(aliased: Aliased, queue: Make) -> None:
    """https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html (FunctionName: an alias's ARN)"""
    source, client = queue(), aliased.client
    made = client.create_event_source_mapping(EventSourceArn=source.arn, FunctionName=aliased.arn)
    try:
        assert made["FunctionArn"] == aliased.arn
        source.sqs.send_message(QueueUrl=source.url, MessageBody="1")
        log = aliased.target.log
        eventually(lambda: "VERSION 1" in log(), 20, "the first version")
        aliased.move("2")
        source.sqs.send_message(QueueUrl=source.url, MessageBody="2")
        eventually(lambda: "VERSION 2" in log(), 20, "the second version")
        assert [line for line in log() if line.startswith("VERSION")] == ["VERSION 1", "VERSION 2"]
    finally:
        client.delete_event_source_mapping(UUID=made["UUID"])


def test_options_of_asynchronous_invocations_are_the_aliass_own(engine: Engine, function: Make, queue: Make) -> None:
    """https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionEventInvokeConfig.html (Qualifier)"""
    fails = "def handler(event, context):\n    raise RuntimeError('always')\n"
    target, failed, other = function(fails), queue(), queue()
    aliased = Aliased(engine, target, fails)
    for where, options in ((failed, {"Qualifier": "live"}), (other, {})):
        aliased.client.put_function_event_invoke_config(
            FunctionName=target.name, MaximumRetryAttempts=0,
            DestinationConfig={"OnFailure": {"Destination": where.arn}}, **options,
        )  # fmt: skip
    aliased.client.invoke(FunctionName=target.name, Qualifier="live", InvocationType="Event", Payload=b'{"n": 1}')
    (message,) = eventually(failed.receive, 20, "the failure record")
    assert json.loads(message["Body"])["requestPayload"] == {"n": 1}
    aliased.client.invoke(FunctionName=target.name, InvocationType="Event", Payload=b'{"n": 2}')
    (message,) = eventually(other.receive, 20, "the failure record")
    assert json.loads(message["Body"])["requestPayload"] == {"n": 2}
