"""How functions call AWS: what their clients check, and what they say of themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.exceptions import ParamValidationError

from sluice_pipeline.runtime.clients import client, on_demand


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    client.cache_clear()
    for name, value in {"REGION": "us-east-1", "ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    yield
    client.cache_clear()


def sent_by(service: str, operation: str, **parameters: Any) -> AWSRequest:
    """The request as it would leave; nothing goes to a network."""
    requests = []

    def send(request: AWSRequest, **_: Any) -> AWSResponse:
        requests.append(request)
        answer = AWSResponse(request.url, 200, {}, None)
        answer._content = b""
        return answer

    made = client(service)
    made.meta.events.register("before-send", send)
    getattr(made, operation)(**parameters)
    [request] = requests
    return request


def header(request: AWSRequest, name: str) -> str:
    value = request.headers[name]
    return value.decode() if isinstance(value, bytes) else str(value)


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("dynamodb", "get_item", {"TableName": "t", "Key": {"pk": {"S": "a"}}}),
        ("s3", "put_object", {"Bucket": "bucket", "Key": "key", "Body": b"x"}),
        ("sqs", "send_message", {"QueueUrl": "https://sqs.us-east-1.amazonaws.com/1/q", "MessageBody": "x"}),
    ],
)
def test_a_call_names_the_pipeline_and_its_sdk(service: str, operation: str, parameters: dict[str, Any]) -> None:
    """CloudTrail shows it: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html"""
    said = header(sent_by(service, operation, **parameters), "User-Agent")
    assert said.startswith("sluice Boto3/")


def test_s3_refuses_an_empty_key_before_it_is_sent() -> None:
    """Without a key the path is the bucket's, and a get would be answered with a list of its objects."""
    with pytest.raises(ParamValidationError):
        client("s3").get_object(Bucket="bucket", Key="")


def test_dynamodb_is_left_to_check_its_requests() -> None:
    """It does: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html"""
    assert json.loads(sent_by("dynamodb", "get_item", TableName="t").body) == {"TableName": "t"}


def test_a_service_has_one_client_and_one_on_demand_is_made_when_it_is_used() -> None:
    assert client("sqs") is client("sqs")
    topic = on_demand("sns")
    assert client.cache_info().currsize == 1
    assert topic.meta.service_model.service_name == "sns"
    assert topic.publish == client("sns").publish
    assert client.cache_info().currsize == 2
