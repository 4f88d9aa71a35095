"""A request whose body could end in two places is answered 400, and nothing that follows it is served.

https://www.rfc-editor.org/rfc/rfc9112#section-6.3
"""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.engine_harness import Engine, in_engine

HIDDEN = b"GET /_sluice/health HTTP/1.1\r\nHost: x\r\n\r\n"


def answers(engine: Engine, data: bytes) -> bytes:
    """Everything that the engine sends until it closes the connection."""
    with socket.create_connection(("127.0.0.1", engine.port), timeout=10) as client:
        client.sendall(data)
        received = b""
        while piece := client.recv(65536):
            received += piece
    return received


@pytest.mark.parametrize(
    ("framing", "reason"),
    [
        (b"Content-Length: -5", b"Content-Length must be one number"),
        (b"Content-Length: five", b"Content-Length must be one number"),
        (b"Content-Length:", b"Content-Length must be one number"),
        (b"Content-Length: 5\r\nContent-Length: 6", b"Content-Length must be one number"),
        (b"Content-Length: 5, 6", b"Content-Length must be one number"),
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"exclude each other"),
        (b"Transfer-Encoding: gzip", b"is not supported"),
        (b"Transfer-Encoding: chunked\r\n\r\n-1", b"malformed chunk size"),
        (b"Content-Length : 5", b"malformed header"),
    ],
)
def test_a_request_with_a_bad_length_is_answered_400_and_the_connection_closed(
    engine: Engine, framing: bytes, reason: bytes
) -> None:
    answer = answers(engine, b"POST / HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n\r\n" + HIDDEN)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"Connection: close" in head
    assert reason in body
    assert answer.count(b"HTTP/1.1") == 1 + body.count(b"of HTTP/1.1")


def test_the_400_reaches_a_client_that_is_still_sending(engine: Engine) -> None:
    answer = answers(engine, b"PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000x\r\n\r\n" + b"x" * 3_000_000)
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_every_answer_says_which_server_it_comes_from(engine: Engine) -> None:
    answer = answers(engine, b"GET /_sluice/health HTTP/1.0\r\nHost: x\r\n\r\n")
    assert answer.count(b"\r\nServer: Sluice\r\n") == 1


def test_the_engine_does_not_ask_for_a_body_that_it_refuses(engine: Engine) -> None:
    answer = answers(engine, b"PUT /b/k HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: -1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_a_service_is_loaded_again_after_a_failure_and_has_one_parser_however_many_clients_call_it() -> None:
    assert in_engine(Path(__file__).with_name("services_worker.py")) == {
        "models": False, "parsers": True, "serializers": True, "services": False, "protocols": False,
        "deadlock": ["sqs:default", "sqs:default", "3"], "other": ["ValueError('once')", "sqs:default", "2"],
    }  # fmt: skip


# A call without arguments of each service; some of them fail.
CALLS = {
    "apigateway": "get_account",
    "athena": "list_work_groups",
    "cloudwatch": "describe_alarms",
    "dynamodb": "list_tables",
    "dynamodbstreams": "list_streams",
    "events": "list_rules",
    "glue": "get_databases",
    "iam": "list_roles",
    "kms": "list_keys",
    "lambda": "list_functions",
    "logs": "describe_log_groups",
    "rds": "describe_db_clusters",
    "redshift-data": "list_statements",
    "redshift-serverless": "list_namespaces",
    "s3": "list_buckets",
    "scheduler": "list_schedules",
    "secretsmanager": "list_secrets",
    "sns": "list_topics",
    "sqs": "list_queues",
    "stepfunctions": "list_state_machines",
    "sts": "get_caller_identity",
}


def test_every_answer_has_the_id_of_its_request(client: Callable[..., Any]) -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html (x-amzn-RequestId);

    without it a task of Step Functions cannot say which request failed.
    """
    ids = {name: getattr(client(name), call)()["ResponseMetadata"].get("RequestId") for name, call in CALLS.items()}
    assert [name for name, found in ids.items() if not found] == []
    assert len(set(ids.values())) == len(CALLS)
    key: dict[str, Any] = {"TableName": "missing", "Key": {"k": {"S": "a"}}}
    for call in ("get_item", "update_item", "delete_item"):
        with pytest.raises(ClientError) as caught:
            getattr(client("dynamodb"), call)(**key)
        assert caught.value.response["ResponseMetadata"]["RequestId"]


def test_a_json_request_is_read_as_the_model_of_its_service_says() -> None:
    """Of 2,000 requests of eight services, some of them wrong, each gives the same parameters or the same error.

    https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html
    """
    found = in_engine(Path(__file__).with_name("bodies_worker.py"))
    assert (found["read"], found["differ"]) == (2000, [])
    assert 100 < found["wrong"] < 1000


def test_the_shorter_steps_of_a_request_give_what_the_longer_ones_give() -> None:
    """https://www.rfc-editor.org/rfc/rfc9110.html#section-5.1"""
    unmatched, of_endpoint = "The requested URL wa", "of the endpoint"
    assert in_engine(Path(__file__).with_name("shortcuts_worker.py")) == {
        "differ": {"headers": [], "dates": [], "types": [], "routes": []},
        "routes": [unmatched] * 2 + [of_endpoint] * 2 + [unmatched] * 3 + ["200", of_endpoint, unmatched, "200"],
        "new": [1000, 1000], "shapes": [[[36, 4, "4"]], [[35, 2]]],
    }  # fmt: skip
