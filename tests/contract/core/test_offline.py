"""The engine downloads and installs nothing: what LocalStack would fetch for it is refused in one line."""

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.engine_harness import ROLE, in_engine

# Services of LocalStack that work with Java or Node programs which it downloads on first use.
WITHOUT = {"es", "kinesis", "opensearch", "transcribe"}


def test_every_service_answers_or_is_refused_and_nothing_is_fetched_for_it(tmp_path: Path) -> None:
    found = in_engine(
        Path(__file__).with_name("offline_worker.py"),
        GATEWAY_LISTEN="127.0.0.1:4566",
        FILESYSTEM_ROOT=str(tmp_path),
    )
    assert found["outside"] == []

    answers = found["answers"]
    assert len(answers) > 20
    words = "InternalFailure: This engine has no {}, whose software would have to be downloaded."
    assert {name for name, answer in answers.items() if answer == words.format(name)} == WITHOUT
    assert answers["pipes"] == "InternalFailure: This engine does not have ListPipes of pipes."
    assert [answers[name] for name in ("ec2", "iam", "sts")] == ["done"] * 3
    assert not [answer for answer in answers.values() if "license" in answer or "LocalStack" in answer]

    assert len(found["packages"]) > 20
    assert {answer.partition(", and ")[0] for answer in found["packages"]} == {"This engine downloads nothing"}


STREAM = "arn:aws:kinesis:us-east-1:000000000000:stream/some"
DOMAIN = "arn:aws:es:us-east-1:000000000000:domain/some"
ROLE_AND_BUCKET = {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::some-bucket"}


def refused(call: Callable[..., Any], service: str, **arguments: Any) -> None:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert f"This engine has no {service}, whose software" in caught.value.response["Error"]["Message"]


def test_what_would_be_delivered_to_a_service_that_is_not_here_is_refused_when_it_is_set_up(
    client: Callable[..., Any], function: Callable[..., Any]
) -> None:
    """An answer of success would be followed by nothing.

    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutTargets.html
    https://docs.aws.amazon.com/firehose/latest/APIReference/API_CreateDeliveryStream.html
    """
    events, rule = client("events"), uuid.uuid4().hex
    events.put_rule(Name=rule, EventPattern=json.dumps({"source": [rule]}))
    for arn, service in ((STREAM, "kinesis"), (DOMAIN, "es")):
        refused(events.put_targets, service, Rule=rule, Targets=[{"Id": "1", "Arn": arn, "RoleArn": ROLE}])
    assert events.list_targets_by_rule(Rule=rule)["Targets"] == []

    create, name = client("firehose").create_delivery_stream, uuid.uuid4().hex
    source = {"KinesisStreamARN": STREAM, "RoleARN": ROLE}
    refused(create, "kinesis", DeliveryStreamName=name, KinesisStreamSourceConfiguration=source)
    domain = {"RoleARN": ROLE, "DomainARN": DOMAIN, "IndexName": "i", "S3Configuration": ROLE_AND_BUCKET}
    refused(create, "opensearch", DeliveryStreamName=name, AmazonopensearchserviceDestinationConfiguration=domain)
    refused(create, "es", DeliveryStreamName=name, ElasticsearchDestinationConfiguration=domain)

    made = function("def handler(event, context): pass")
    with pytest.raises(ClientError, match="This engine has no kinesis"):
        client("lambda").create_event_source_mapping(
            FunctionName=made.name, EventSourceArn=STREAM, StartingPosition="LATEST"
        )
