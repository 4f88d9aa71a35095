"""DynamoDB: conditions under concurrency, transactions, TTL, and what Terraform reads back."""

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.engine_harness import Engine, eventually


@pytest.fixture
def db(engine: Engine) -> Any:
    """A client that many threads may use."""
    return engine.client("dynamodb", max_pool_connections=20)


@pytest.fixture
def table(db: Any) -> Iterator[str]:
    """A table with hash key pk, range key sk and a global index by_state on state and at."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    index = [{"AttributeName": "state", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}]
    db.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=keys,
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk", "state", "at")],
        GlobalSecondaryIndexes=[{"IndexName": "by_state", "KeySchema": index, "Projection": {"ProjectionType": "ALL"}}],
    )
    yield name
    db.delete_table(TableName=name)


def key(name: str, sort: str = "x") -> dict[str, Any]:
    """A primary key."""
    return {"pk": {"S": name}, "sk": {"S": sort}}


def get(db: Any, table: str, name: str) -> dict[str, Any] | None:
    """An item, read consistently."""
    found: dict[str, Any] | None = db.get_item(TableName=table, Key=key(name), ConsistentRead=True).get("Item")
    return found


def test_of_two_conditional_puts_at_once_one_wins(db: Any, table: str) -> None:
    def put(number: int) -> bool:
        try:
            db.put_item(
                TableName=table,
                Item=key("one") | {"n": {"N": str(number)}},
                ConditionExpression="attribute_not_exists(pk)",
            )
        except db.exceptions.ConditionalCheckFailedException:
            return False
        return True

    for _ in range(5):
        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(put, range(8))) == 1
        db.delete_item(TableName=table, Key=key("one"))


def test_concurrent_adds_all_count(db: Any, table: str) -> None:
    def add(_: int) -> None:
        db.update_item(
            TableName=table,
            Key=key("counter"),
            UpdateExpression="ADD #n :one",
            ExpressionAttributeNames={"#n": "n"},
            ExpressionAttributeValues={":one": {"N": "1"}},
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(100)))
    assert get(db, table, "counter")["n"] == {"N": "100"}  # type: ignore[index]


def test_a_failed_condition_can_return_the_old_item(db: Any, table: str) -> None:
    item = key("one") | {"state": {"S": "done"}}
    db.put_item(TableName=table, Item=item)
    options = {"ConditionExpression": "attribute_not_exists(pk)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    with pytest.raises(db.exceptions.ConditionalCheckFailedException) as put:
        db.put_item(TableName=table, Item=key("one"), **options)
    assert put.value.response["Item"] == item
    with pytest.raises(db.exceptions.ConditionalCheckFailedException) as update:
        db.update_item(TableName=table, Key=key("one"), UpdateExpression="REMOVE happened", **options)
    assert update.value.response["Item"] == item
    with pytest.raises(db.exceptions.ConditionalCheckFailedException) as plain:
        db.put_item(TableName=table, Item=key("one"), ConditionExpression="attribute_not_exists(pk)")
    assert "Item" not in plain.value.response


def test_update_returns_what_was_asked_for(db: Any, table: str) -> None:
    db.put_item(TableName=table, Item=key("one") | {"n": {"N": "1"}, "other": {"S": "kept"}})
    options = {
        "TableName": table,
        "Key": key("one"),
        "UpdateExpression": "SET n = n + :d",
        "ExpressionAttributeValues": {":d": {"N": "2"}},
    }
    assert db.update_item(**options, ReturnValues="UPDATED_NEW")["Attributes"] == {"n": {"N": "3"}}
    assert db.update_item(**options, ReturnValues="ALL_OLD")["Attributes"]["n"] == {"N": "3"}
    assert db.update_item(**options, ReturnValues="ALL_NEW")["Attributes"]["n"] == {"N": "7"}


def put(table: str, name: str, **options: Any) -> dict[str, Any]:
    """A Put of a transaction."""
    return {"Put": {"TableName": table, "Item": key(name) | {"v": {"S": "new"}}, **options}}


def test_a_transaction_writes_all_or_nothing_and_says_why(db: Any, table: str) -> None:
    old = key("taken") | {"v": {"S": "old"}}
    db.put_item(TableName=table, Item=old)
    condition = {"ConditionExpression": "attribute_not_exists(pk)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    with pytest.raises(db.exceptions.TransactionCanceledException) as caught:
        db.transact_write_items(TransactItems=[put(table, "a"), put(table, "taken", **condition), put(table, "b")])
    reasons = caught.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["None", "ConditionalCheckFailed", "None"]
    assert reasons[1]["Item"] == old
    assert "[None, ConditionalCheckFailed, None]" in caught.value.response["Error"]["Message"]
    assert get(db, table, "a") is None
    assert get(db, table, "b") is None
    assert get(db, table, "taken") == old
    db.transact_write_items(TransactItems=[put(table, "a"), put(table, "b", **condition)])
    assert get(db, table, "a")
    assert get(db, table, "b")


def test_a_transaction_updates_checks_and_deletes(db: Any, table: str) -> None:
    db.put_item(TableName=table, Item=key("counter") | {"n": {"N": "1"}})
    db.put_item(TableName=table, Item=key("gone"))
    add = {
        "TableName": table,
        "Key": key("counter"),
        "UpdateExpression": "ADD n :one SET done = :yes",
        "ConditionExpression": "n = :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}, ":yes": {"BOOL": True}},
    }
    check = {"TableName": table, "Key": key("absent"), "ConditionExpression": "attribute_not_exists(pk)"}
    items = [{"Update": add}, {"ConditionCheck": check}, {"Delete": {"TableName": table, "Key": key("gone")}}]
    db.transact_write_items(TransactItems=items)
    assert get(db, table, "counter") == key("counter") | {"n": {"N": "2"}, "done": {"BOOL": True}}
    assert get(db, table, "gone") is None
    with pytest.raises(db.exceptions.TransactionCanceledException):
        db.transact_write_items(TransactItems=items)
    assert get(db, table, "counter")["n"] == {"N": "2"}  # type: ignore[index]


def test_a_transaction_that_breaks_in_the_middle_is_undone(db: Any, table: str) -> None:
    db.put_item(TableName=table, Item=key("text") | {"v": {"S": "text"}})
    add = {
        "TableName": table,
        "Key": key("text"),
        "UpdateExpression": "ADD v :one",  # ADD to a string
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    with pytest.raises(db.exceptions.ClientError):
        db.transact_write_items(TransactItems=[put(table, "a"), {"Update": add}])
    assert get(db, table, "a") is None


def test_a_transaction_may_name_an_item_once(db: Any, table: str) -> None:
    with pytest.raises(db.exceptions.ClientError) as caught:
        db.transact_write_items(TransactItems=[put(table, "a"), {"Delete": {"TableName": table, "Key": key("a")}}])
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_of_two_transactions_at_once_on_one_item_one_wins(db: Any, table: str) -> None:
    def complete(number: int) -> bool:
        chunk = put(table, "chunk", ConditionExpression="attribute_not_exists(pk)")
        count = {
            "TableName": table,
            "Key": key("object"),
            "UpdateExpression": "ADD chunks_done :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }
        try:
            db.transact_write_items(TransactItems=[chunk, {"Update": count}])
        except db.exceptions.TransactionCanceledException:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(complete, range(16))) == 1
    assert get(db, table, "object")["chunks_done"] == {"N": "1"}  # type: ignore[index]


def test_the_same_client_token_writes_once(db: Any, table: str) -> None:
    add = {
        "TableName": table,
        "Key": key("counter"),
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    token = uuid.uuid4().hex
    for _ in range(2):
        db.transact_write_items(TransactItems=[{"Update": add}], ClientRequestToken=token)
    assert get(db, table, "counter")["n"] == {"N": "1"}  # type: ignore[index]
    with pytest.raises(db.exceptions.IdempotentParameterMismatchException):
        db.transact_write_items(TransactItems=[put(table, "a")], ClientRequestToken=token)


def test_a_transaction_takes_no_longer_on_a_large_table(db: Any, table: str) -> None:
    def fill(start: int) -> None:
        items = [{"PutRequest": {"Item": key(f"filler-{start + n}") | {"v": {"S": "x" * 200}}}} for n in range(25)]
        db.batch_write_item(RequestItems={table: items})

    def timed() -> float:
        began = time.perf_counter()
        for number in range(20):
            db.transact_write_items(TransactItems=[put(table, f"timed-{number}")])
        return time.perf_counter() - began

    small = min(timed() for _ in range(3))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fill, range(0, 3000, 25)))
    large = min(timed() for _ in range(3))
    assert large < 5 * small + 0.2


def test_an_index_follows_the_items(db: Any, table: str) -> None:
    for number, state in enumerate(["new", "done", "new"]):
        db.put_item(
            TableName=table, Item=key(f"i{number}") | {"state": {"S": state}, "at": {"S": f"2026-0{number + 1}"}}
        )
    db.put_item(TableName=table, Item=key("sparse"))

    def query(state: str) -> list[str]:
        found = db.query(
            TableName=table,
            IndexName="by_state",
            KeyConditionExpression="#s = :s",
            ExpressionAttributeNames={"#s": "state"},
            ExpressionAttributeValues={":s": {"S": state}},
            ScanIndexForward=False,
        )
        return [item["pk"]["S"] for item in found["Items"]]

    assert query("new") == ["i2", "i0"]
    db.update_item(
        TableName=table,
        Key=key("i0"),
        UpdateExpression="SET #s = :s",
        ExpressionAttributeNames={"#s": "state"},
        ExpressionAttributeValues={":s": {"S": "done"}},
    )
    assert query("new") == ["i2"]
    assert query("done") == ["i1", "i0"]


def test_a_query_pages(db: Any, table: str) -> None:
    for number in range(7):
        db.put_item(TableName=table, Item=key("many", f"s{number}"))
    pages = db.get_paginator("query").paginate(
        TableName=table,
        KeyConditionExpression="pk = :p",
        ExpressionAttributeValues={":p": {"S": "many"}},
        PaginationConfig={"PageSize": 3},
    )
    assert [len(page["Items"]) for page in pages] == [3, 3, 1]


def test_expired_items_disappear_and_others_stay(db: Any, table: str) -> None:
    specification = {"Enabled": True, "AttributeName": "expiration"}
    db.update_time_to_live(TableName=table, TimeToLiveSpecification=specification)
    described = db.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert described == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expiration"}
    now = int(time.time())
    for name, expiration in (
        ("past", {"N": str(now - 10)}),
        ("future", {"N": str(now + 3600)}),
        ("text", {"S": str(now - 10)}),
        ("mistake", {"N": "12"}),  # more than five years ago
    ):
        db.put_item(TableName=table, Item=key(name) | {"expiration": expiration})
    db.put_item(TableName=table, Item=key("none"))
    eventually(lambda: get(db, table, "past") is None, 10, "the item to expire")
    assert all(get(db, table, name) for name in ("future", "text", "mistake", "none"))


def test_point_in_time_recovery_reads_back_as_set(db: Any, table: str) -> None:
    def status() -> str:
        found = db.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
        return str(found["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"])

    assert status() == "DISABLED"
    db.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    assert status() == "ENABLED"


def test_a_missing_table_and_a_wrong_key_are_refused(db: Any, table: str) -> None:
    with pytest.raises(db.exceptions.ResourceNotFoundException):
        db.get_item(TableName="no-such-table", Key=key("a"))
    with pytest.raises(db.exceptions.ClientError) as caught:
        db.get_item(TableName=table, Key={"pk": {"S": "a"}})
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_binary_and_number_values_come_back_as_they_went(db: Any, table: str) -> None:
    item = key("types") | {
        "b": {"B": b"\x00\xff"},
        "n": {"N": "12345678901234567890.5"},
        "m": {"M": {"l": {"L": [{"NULL": True}, {"BOOL": False}]}}},
        "ss": {"SS": ["a", "b"]},
    }
    db.put_item(TableName=table, Item=item)
    assert get(db, table, "types") == item
