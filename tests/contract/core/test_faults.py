"""Fault control and the call record: what a function did, in order, and how to make it fail there."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine_harness import Engine, Function, Queue, call, eventually

Make = Callable[..., Any]
CODE = """
import boto3, os
from botocore.config import Config
s3 = boto3.client("s3", config=Config(retries={"total_max_attempts": 1}))
def handler(event, context):
    for name in ("one", "two"):
        s3.put_object(Bucket=os.environ["BUCKET"], Key=event.get("prefix", "") + name, Body=b"x")
    return "done"
"""


@pytest.fixture(autouse=True)
def no_faults_left(engine: Engine) -> Iterator[None]:
    """Each test begins and ends without faults."""
    call(engine, "DELETE", "faults")
    yield
    call(engine, "DELETE", "faults")


@pytest.fixture
def writer(engine: Engine, function: Make) -> Function:
    """A function that puts two objects, and its bucket as ``writer.bucket``."""
    name = f"b-{uuid.uuid4().hex[:8]}"
    engine.client("s3", s3={"addressing_style": "path"}).create_bucket(Bucket=name)
    made = function(CODE, variables={"BUCKET": name}, Timeout=20)
    made.bucket = name
    return made  # type: ignore[no-any-return]


def keys(engine: Engine, writer: Any) -> list[str]:
    """Keys in the writer's bucket."""
    s3 = engine.client("s3", s3={"addressing_style": "path"})
    return [item["Key"] for item in s3.list_objects_v2(Bucket=writer.bucket).get("Contents", [])]


def test_the_record_lists_the_calls_of_a_function_in_order(engine: Engine, writer: Any) -> None:
    _, before = call(engine, "GET", "calls")
    writer.invoke()
    _, after = call(engine, "GET", f"calls?since={before['next']}")
    mine = [c for c in after["calls"] if c["function"] == writer.name]
    assert [(c["service"], c["operation"], c["parameters"]["Key"], c["status"]) for c in mine] == [
        ("s3", "PutObject", "one", 200),
        ("s3", "PutObject", "two", 200),
    ]
    assert {c["role"] for c in mine} == {"arn:aws:iam::000000000000:role/contract"}


def test_the_nth_call_is_refused_with_the_code(engine: Engine, writer: Any) -> None:
    fault = {
        "function": writer.name,
        "service": "s3",
        "operation": "PutObject",
        "nth": 2,
        "action": "error:AccessDenied",
    }
    assert call(engine, "POST", "faults", fault)[0] == 201
    answer = writer.invoke()
    assert answer["error"] == "Unhandled"
    assert "AccessDenied" in answer["payload"]["errorMessage"]
    assert keys(engine, writer) == ["one"]
    assert writer.invoke()["payload"] == "done"
    (listed,) = call(engine, "GET", "faults")[1]["faults"]
    assert (listed["seen"], listed["hits"]) == (4, 1)


def test_a_delay_holds_a_call_up(engine: Engine, writer: Any) -> None:
    writer.invoke()
    call(engine, "POST", "faults", {"function": writer.name, "operation": "PutObject", "action": "delay:700"})
    log = writer.invoke()["log"]
    assert float(log.split("Duration: ")[1].split()[0]) > 700


@pytest.mark.parametrize(("action", "left"), [("kill-before", []), ("kill-after", ["one"])])
def test_a_function_is_killed_before_or_after_a_call(engine: Engine, writer: Any, action: str, left: list[str]) -> None:
    call(engine, "POST", "faults", {"function": writer.name, "operation": "PutObject", "action": action})
    answer = writer.invoke()
    assert answer["payload"]["errorType"] == "Runtime.ExitError"
    assert answer["payload"]["errorMessage"].endswith("signal: killed")
    assert keys(engine, writer) == left
    assert writer.invoke()["payload"] == "done"


def test_a_function_dies_between_its_work_and_its_answer(engine: Engine, writer: Any) -> None:
    fault = {"function": writer.name, "service": "lambda", "operation": "Return", "action": "kill-before"}
    call(engine, "POST", "faults", fault)
    assert writer.invoke()["payload"]["errorType"] == "Runtime.ExitError"
    assert keys(engine, writer) == ["one", "two"]


def test_a_lost_answer_redelivers_an_sqs_batch(
    engine: Engine, function: Make, queue: Callable[..., Queue], mapping: Make
) -> None:
    source, target = queue(VisibilityTimeout="2"), function("def handler(event, context):\n    pass\n", Timeout=2)
    call(engine, "POST", "faults", {"function": target.name, "operation": "Return", "action": "kill-after"})
    mapping(source, target)
    source.send("a")
    eventually(lambda: target.starts() == 2 and source.depth() == (0, 0), 15, "the second delivery")


@pytest.mark.parametrize(
    "body",
    [{}, {"action": "explode"}, {"action": "delay:soon"}, {"action": "error:"}, {"action": "kill-after", "nth": 0}, [1],
     {"action": "kill-after", "what": 1}],
)  # fmt: skip
def test_a_fault_that_makes_no_sense_is_refused(engine: Engine, body: Any) -> None:
    status, answer = call(engine, "POST", "faults", body)
    assert status == 400
    assert answer["error"]


def test_fault_control_is_refused_when_not_enabled_at_start(tmp_path: Path) -> None:
    plain = Engine(tmp_path)
    try:
        assert call(plain, "POST", "faults", {"action": "kill-after"})[0] == 403
        assert call(plain, "GET", "calls")[0] == 403
        assert call(plain, "GET", "health")[1]["faults"] is False
    finally:
        plain.stop()


def test_a_fault_may_be_about_one_thing_only(engine: Engine, writer: Any) -> None:
    fault = {
        "function": writer.name,
        "operation": "PutObject",
        "action": "error:AccessDenied",
        "about": ["mine/", "nowhere/"],
    }
    assert call(engine, "POST", "faults", fault)[0] == 201
    assert writer.invoke({"prefix": "theirs/"})["error"] is None
    assert writer.invoke({"prefix": "mine/"})["error"] == "Unhandled"
    assert keys(engine, writer) == ["theirs/one", "theirs/two"]


def test_a_lost_answer_may_be_about_one_event_only(engine: Engine, writer: Any) -> None:
    fault = {
        "function": writer.name,
        "service": "lambda",
        "operation": "Return",
        "action": "kill-after",
        "about": ["b/"],
    }
    assert call(engine, "POST", "faults", fault)[0] == 201
    assert writer.invoke({"prefix": "a/"})["error"] is None
    assert writer.invoke({"prefix": "b/"})["error"] == "Unhandled"
    assert sorted(keys(engine, writer)) == ["a/one", "a/two", "b/one", "b/two"]


def test_a_share_of_calls_is_hit_as_the_seed_says(engine: Engine, writer: Any) -> None:
    fault = {"function": writer.name, "operation": "PutObject", "action": "error:SlowDown", "times": 0}
    outcomes = []
    for _ in range(2):
        call(engine, "DELETE", "faults")
        assert call(engine, "POST", "faults", fault | {"share": 0.3, "seed": "s"})[0] == 201
        outcomes.append([writer.invoke()["error"] for _ in range(12)])
    assert outcomes[0] == outcomes[1]
    assert 0 < sum(error is not None for error in outcomes[0]) < 12
    assert call(engine, "POST", "faults", fault | {"share": 2})[0] == 400


TRANSACT = """
import boto3, json, os
from botocore.config import Config
from botocore.exceptions import ClientError
db = boto3.client("dynamodb", config=Config(retries={"total_max_attempts": 1}))
def handler(event, context):
    table = os.environ["TABLE"]
    items = [{"Put": {"TableName": table, "Item": {"p": {"S": name}}}} for name in ("a", "b", "c")]
    found = {}
    try:
        db.put_item(TableName=table, Item={"p": {"S": "single"}})
    except ClientError as error:
        found["put"] = error.response["Error"]["Code"]
    try:
        db.transact_write_items(TransactItems=items)
    except db.exceptions.TransactionCanceledException as error:
        found["reasons"] = error.response["CancellationReasons"]
        found["message"] = error.response["Error"]["Message"]
    except ClientError as error:
        found["transaction"] = error.response["Error"]["Code"]
    return found
"""


@pytest.fixture
def transactor(engine: Engine, function: Make) -> Iterator[Any]:
    """A function that puts an item and then three in a transaction, and its table as ``transactor.table``."""
    db, name = engine.client("dynamodb"), f"t-{uuid.uuid4().hex[:8]}"
    db.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
    )
    made = function(TRANSACT, variables={"TABLE": name}, Timeout=20)
    made.table = name  # type: ignore[attr-defined]
    yield made
    db.delete_table(TableName=name)


CANCELLATIONS = (
    "ConditionalCheckFailed",
    "TransactionConflict",
    "ThrottlingError",
    "ProvisionedThroughputExceeded",
    "ItemCollectionSizeLimitExceeded",
    "ValidationError",
)


def test_a_transaction_is_cancelled_with_every_reason(engine: Engine, transactor: Any) -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html (Errors)"""
    for code in CANCELLATIONS:
        assert call(engine, "POST", "faults", {"action": f"cancel:None,{code}", "function": transactor.name})[0] == 201
        answer = transactor.invoke()["payload"]
        assert [reason["Code"] for reason in answer["reasons"]] == ["None", code, "None"]
        assert f"[None, {code}, None]" in answer["message"]
        assert answer["reasons"][1]["Message"]
        assert "put" not in answer
    assert engine.client("dynamodb").scan(TableName=transactor.table)["Count"] == 1
    assert transactor.invoke()["payload"] == {}
    assert engine.client("dynamodb").scan(TableName=transactor.table)["Count"] == 4


@pytest.mark.parametrize(
    "code", ["ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"]
)
def test_an_operation_is_throttled(engine: Engine, transactor: Any, code: str) -> None:
    fault = {"action": f"error:{code}", "function": transactor.name, "service": "dynamodb", "operation": "PutItem"}
    assert call(engine, "POST", "faults", fault)[0] == 201
    assert transactor.invoke()["payload"] == {"put": code}
    assert engine.client("dynamodb").scan(TableName=transactor.table)["Count"] == 3


def test_an_unknown_reason_is_refused(engine: Engine) -> None:
    assert call(engine, "POST", "faults", {"action": "cancel:Tired"})[0] == 400
