"""DynamoDB refuses what AWS refuses, in its words, and answers with no more and no less.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Operations_Amazon_DynamoDB.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
"""

import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.engine_harness import PYTHON, Engine, demand_engine


@pytest.fixture
def db(engine: Engine) -> Any:
    return engine.client("dynamodb", parameter_validation=False)


@pytest.fixture
def kms(engine: Engine) -> Any:
    return engine.client("kms")


@pytest.fixture
def made(db: Any) -> Iterator[Callable[..., str]]:
    """Makes tables with the hash key p (S) and the range key n of a type; removes them afterwards."""
    names: list[str] = []

    def make(kind: str = "N", **options: Any) -> str:
        names.append(f"strict-{uuid.uuid4().hex[:8]}")
        types = {"p": "S", "n": kind} | options.pop("types", {})
        db.create_table(
            TableName=names[-1],
            KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": type_} for name, type_ in types.items()],
            **{"BillingMode": "PAY_PER_REQUEST"} | options,
        )
        return names[-1]

    yield make
    for name in names:
        db.delete_table(TableName=name)


def key(number: str = "1") -> dict[str, Any]:
    return {"p": {"S": "a"}, "n": {"N": number}}


def refusal(call: Any, **arguments: Any) -> tuple[str, str]:
    """Code and message of an error answer."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def queried(db: Any, table: str, **options: Any) -> list[dict[str, Any]]:
    pages = db.get_paginator("query").paginate(
        TableName=table, KeyConditionExpression="p = :p", ExpressionAttributeValues={":p": {"S": "a"}}, **options
    )
    return [item for page in pages for item in page["Items"]]


def test_writings_of_a_number_are_one_key(db: Any, made: Callable[..., str]) -> None:
    table = made()
    for number in ("1", "1.0", "1E0", "01"):
        db.put_item(TableName=table, Item=key(number))
    assert queried(db, table) == [key("1")]
    items = [{"Put": {"TableName": table, "Item": key("7")}}, {"Delete": {"TableName": table, "Key": key("7.0")}}]
    code, message = refusal(db.transact_write_items, TransactItems=items)
    assert (code, message) == (
        "ValidationException",
        "Transaction request cannot include multiple operations on one item",
    )


def test_number_keys_are_in_the_order_of_their_values(db: Any, made: Callable[..., str]) -> None:
    table = made()
    for number in ("10", "9", "-1", "1.5", "1E2", "0"):
        db.put_item(TableName=table, Item=key(number))
    assert [item["n"]["N"] for item in queried(db, table)] == ["-1", "0", "1.5", "9", "10", "100"]
    assert [item["n"]["N"] for item in queried(db, table, Limit=2, ScanIndexForward=False)][:2] == ["100", "10"]


def test_binary_keys_are_in_the_order_of_their_bytes(db: Any, made: Callable[..., str]) -> None:
    table = made("B")
    for value in (b"\xff", b"\x00\x01", b"a", b"\x00"):
        db.put_item(TableName=table, Item={"p": {"S": "a"}, "n": {"B": value}})
    assert [item["n"]["B"] for item in queried(db, table)] == [b"\x00", b"\x00\x01", b"a", b"\xff"]


def test_a_batch_has_25_requests_at_most(db: Any, made: Callable[..., str]) -> None:
    table = made()
    puts = [{"PutRequest": {"Item": key(str(number))}} for number in range(26)]
    code, message = refusal(db.batch_write_item, RequestItems={table: puts})
    assert code == "ValidationException"
    assert "Member must have length less than or equal to 25" in message
    twice = [{"PutRequest": {"Item": key("1")}}, {"DeleteRequest": {"Key": key("1.0")}}]
    assert refusal(db.batch_write_item, RequestItems={table: twice})[1] == (
        "Provided list of item keys contains duplicates"
    )
    assert queried(db, table) == []


def test_an_answer_has_only_what_was_asked_for(db: Any, made: Callable[..., str]) -> None:
    table = made()

    def members(answer: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in answer.items() if name != "ResponseMetadata"}

    assert members(db.put_item(TableName=table, Item=key(), ReturnValues="ALL_OLD")) == {}
    change = {
        "TableName": table,
        "Key": key(),
        "UpdateExpression": "SET c = :c",
        "ExpressionAttributeValues": {":c": {"S": "x"}},
    }
    assert members(db.update_item(**change)) == {}
    for _ in range(2):  # also when nothing changes
        assert members(db.update_item(**change, ReturnValues="UPDATED_NEW")) == {"Attributes": {"c": {"S": "x"}}}
    assert members(db.delete_item(TableName=table, Key=key())) == {}
    assert members(db.delete_item(TableName=table, Key=key(), ReturnValues="ALL_OLD")) == {}
    assert members(db.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": key()}}]})) == {
        "UnprocessedItems": {}
    }
    assert members(db.get_item(TableName=table, Key=key("5"))) == {}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"N": "1" * 40}, "Attempting to store more than 38 significant digits in a Number"),
        ({"SS": ["a", "a"]}, "Input collection [a, a] contains duplicates."),
        ({"NS": ["1", "1.0"]}, "Input collection contains duplicates"),
        ({"SS": []}, "An string set  may not be empty"),
        ({"NULL": False}, "Null attribute value types must have the value of true"),
        ({"S": "x" * 410_000}, "Item size has exceeded the maximum allowed size"),
        ({"N": "1E126"}, "Number overflow."),
    ],
)
def test_values_are_checked(db: Any, made: Callable[..., str], value: dict[str, Any], message: str) -> None:
    code, found = refusal(db.put_item, TableName=made(), Item=key() | {"v": value})
    assert code == "ValidationException"
    assert message in found


def test_keys_are_checked(db: Any, made: Callable[..., str]) -> None:
    table = made()
    wrong = {"p": {"S": "a"}, "n": {"S": "1"}}
    schema = "The provided key element does not match the schema"
    assert refusal(db.get_item, TableName=table, Key=wrong) == ("ValidationException", schema)
    assert refusal(db.get_item, TableName=table, Key=key() | {"x": {"S": "x"}}) == ("ValidationException", schema)
    assert "Type mismatch for key n expected: N actual: S" in refusal(db.put_item, TableName=table, Item=wrong)[1]
    assert "empty string value. Key: p" in refusal(db.get_item, TableName=table, Key=key() | {"p": {"S": ""}})[1]
    long = key() | {"p": {"S": "x" * 2049}}
    assert (
        "Size of hashkey has exceeded the maximum size limit of2048 bytes"
        in (refusal(db.put_item, TableName=table, Item=long)[1])
    )
    db.put_item(TableName=table, Item=key() | {"p": {"S": "x" * 2048}})


def test_an_index_key_has_its_type(db: Any, made: Callable[..., str]) -> None:
    index = {
        "IndexName": "by_g",
        "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    table = made(types={"g": "S"}, GlobalSecondaryIndexes=[index])
    message = "Type mismatch for Index Key g Expected: S Actual: N IndexName: by_g"
    assert message in refusal(db.put_item, TableName=table, Item=key() | {"g": {"N": "1"}})[1]
    db.put_item(TableName=table, Item=key() | {"g": {"S": "x"}, "more": {"S": "y"}})
    found = db.query(
        TableName=table,
        IndexName="by_g",
        KeyConditionExpression="g = :g",
        ExpressionAttributeValues={":g": {"S": "x"}},
    )["Items"]
    assert found == [key() | {"g": {"S": "x"}}]


@pytest.mark.parametrize("start", ["0.3", "100.1", "12345678901234567890123456789.1"])
def test_arithmetic_is_decimal(db: Any, made: Callable[..., str], start: str) -> None:
    table = made()
    expected = {"0.3": "0.2", "100.1": "100", "12345678901234567890123456789.1": "12345678901234567890123456789"}
    db.put_item(TableName=table, Item=key() | {"b": {"N": start}})
    change = {"TableName": table, "Key": key(), "ReturnValues": "UPDATED_NEW"}
    values = {":v": {"N": "0.1"}}
    answer = db.update_item(**change, UpdateExpression="SET b = b - :v", ExpressionAttributeValues=values)
    assert answer["Attributes"]["b"]["N"] == expected[start]
    answer = db.update_item(**change, UpdateExpression="ADD b :v", ExpressionAttributeValues=values)
    assert answer["Attributes"]["b"]["N"] == start


def test_placeholders_are_all_used_and_all_given(db: Any, made: Callable[..., str]) -> None:
    change = {"TableName": made(), "Key": key(), "UpdateExpression": "SET c = :v"}
    both = {":v": {"S": "a"}, ":u": {"S": "b"}}
    assert refusal(db.update_item, **change, ExpressionAttributeValues=both)[1] == (
        "Value provided in ExpressionAttributeValues unused in expressions: keys: {:u}"
    )
    assert refusal(db.update_item, **change)[1] == (
        "Invalid UpdateExpression: An expression attribute value used in expression is not defined; attribute value: :v"
    )
    reserved = change | {"UpdateExpression": "SET status = :v"}
    assert (
        "Attribute name is a reserved keyword; reserved keyword: status"
        in (refusal(db.update_item, **reserved, ExpressionAttributeValues={":v": {"S": "a"}})[1])
    )


def test_a_projection_reads_elements_of_lists(db: Any, made: Callable[..., str]) -> None:
    table = made()
    db.put_item(TableName=table, Item=key() | {"l": {"L": [{"S": "x"}, {"S": "y"}]}})
    answer = db.get_item(TableName=table, Key=key(), ProjectionExpression="#l[1]", ExpressionAttributeNames={"#l": "l"})
    assert answer["Item"] == {"l": {"L": [{"S": "y"}]}}


def test_a_transaction_names_the_item_with_the_fault(db: Any, made: Callable[..., str]) -> None:
    table = made()
    good = {"Put": {"TableName": table, "Item": key()}}
    wrong = {"Put": {"TableName": table, "Item": {"p": {"S": "a"}, "n": {"S": "1"}}}}
    large = {"Put": {"TableName": table, "Item": key("2") | {"v": {"S": "x" * 410_000}}}}
    with pytest.raises(db.exceptions.TransactionCanceledException) as caught:
        db.transact_write_items(TransactItems=[good, wrong, large])
    assert [one["Code"] for one in caught.value.response["CancellationReasons"]] == [
        "None",
        "ValidationError",
        "ValidationError",
    ]
    assert queried(db, table) == []
    heavy = [{"Put": {"TableName": table, "Item": key(str(i)) | {"v": {"S": "x" * 390_000}}}} for i in range(11)]
    assert refusal(db.transact_write_items, TransactItems=heavy)[0] == "ValidationException"
    assert queried(db, table) == []


def test_pages_end_at_a_megabyte_or_at_the_limit(db: Any, made: Callable[..., str]) -> None:
    table = made()
    for number in range(4):
        db.put_item(TableName=table, Item=key(str(number)) | {"v": {"S": "x" * 350_000}})
    for call, options in (
        (db.scan, {}),
        (db.query, {"KeyConditionExpression": "p = :p", "ExpressionAttributeValues": {":p": {"S": "a"}}}),
    ):
        first = call(TableName=table, **options)
        assert first["Count"] == 3
        assert first["LastEvaluatedKey"] == key("2")
        rest = call(TableName=table, **options, ExclusiveStartKey=first["LastEvaluatedKey"])
        assert [item["n"]["N"] for item in rest["Items"]] == ["3"]
        assert "LastEvaluatedKey" not in rest
        assert call(TableName=table, **options, Limit=4)["Count"] == 3


def test_a_page_of_a_global_index_ends_at_a_megabyte_of_what_the_index_has(db: Any, made: Callable[..., str]) -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.ThroughputConsiderations.Reads"""
    keys = [{"AttributeName": "kind", "KeyType": "HASH"}]
    indexes = [
        {"IndexName": name, "KeySchema": keys, "Projection": {"ProjectionType": projection}}
        for name, projection in (("keys", "KEYS_ONLY"), ("whole", "ALL"))
    ]
    table = made(types={"kind": "S"}, GlobalSecondaryIndexes=indexes)

    def put(number: int, size: int) -> None:
        item = key(str(number)) | {"kind": {"S": "k"}, "v": {"S": "x" * size}}
        db.put_item(TableName=table, Item=item)

    def count(index: str) -> dict[str, Any]:
        condition = {"KeyConditionExpression": "kind = :k", "ExpressionAttributeValues": {":k": {"S": "k"}}}
        return dict(db.query(TableName=table, IndexName=index, Select="COUNT", **condition))

    for number in range(4):
        put(number, 350_000)
    assert (count("keys")["Count"], "LastEvaluatedKey" in count("keys")) == (4, False)
    first = count("whole")
    assert (first["Count"], first["LastEvaluatedKey"]["n"]) == (3, {"N": "2"})
    for number in range(4):  # as they are now, not as they were when they were counted
        put(number, 10)
    assert (count("whole")["Count"], "LastEvaluatedKey" in count("whole")) == (4, False)


def test_segments_have_every_item_once(db: Any, made: Callable[..., str]) -> None:
    table = made()
    for number in range(30):
        db.put_item(TableName=table, Item={"p": {"S": f"p{number}"}, "n": {"N": "0"}})
    found = [
        item["p"]["S"]
        for segment in range(4)
        for page in db.get_paginator("scan").paginate(
            TableName=table, Segment=segment, TotalSegments=4, PaginationConfig={"PageSize": 3}
        )
        for item in page["Items"]
    ]
    assert sorted(found) == sorted(f"p{number}" for number in range(30))


def test_imports_and_exports_are_refused(db: Any, made: Callable[..., str]) -> None:
    arn = db.describe_table(TableName=made())["Table"]["TableArn"]
    code, _ = refusal(db.export_table_to_point_in_time, TableArn=arn, S3Bucket="bucket")
    assert code == "NotImplementedException"


def test_partiql_reads_and_writes_with_parameters(db: Any, made: Callable[..., str]) -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.html"""
    table = made()

    insert = f"INSERT INTO \"{table}\" VALUE {{'p': ?, 'n': ?, 's': <<1, 2>>}}"
    db.execute_statement(Statement=insert, Parameters=[{"S": "a"}, {"N": "1.0"}])
    db.execute_statement(Statement=f"INSERT INTO \"{table}\" VALUE {{'p': 'a', 'n': 10, 'v': 'ten'}}")
    select = f'SELECT * FROM "{table}" WHERE p = ? AND n >= ?'
    found = db.execute_statement(Statement=select, Parameters=[{"S": "a"}, {"N": "2"}])["Items"]
    assert found == [key("10") | {"v": {"S": "ten"}}]
    where = "WHERE p = 'a' AND n = 10"
    update = f"UPDATE \"{table}\" SET v = 'x' SET c = 1 {where} RETURNING ALL NEW *"
    assert db.execute_statement(Statement=update)["Items"] == [key("10") | {"v": {"S": "x"}, "c": {"N": "1"}}]
    assert refusal(db.execute_statement, Statement=f"INSERT INTO \"{table}\" VALUE {{'p': 'a', 'n': 10}}")[0] == (
        "DuplicateItemException"
    )
    assert refusal(db.execute_statement, Statement=f"DELETE FROM \"{table}\" WHERE p = 'a'")[0] == "ValidationException"
    db.execute_statement(Statement=f'DELETE FROM "{table}" {where}')
    assert queried(db, table) == [key("1") | {"s": {"NS": ["1", "2"]}}]


OLD_STATE = """
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from sluice_ext.dynamodb import reads
backend = DynamoDBBackend("us-east-1", "000000000000")
table = backend.create_table("old", schema=[{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "n",
    "KeyType": "RANGE"}], throughput=None, attr=[{"AttributeName": "p", "AttributeType": "S"}, {"AttributeName": "n",
    "AttributeType": "N"}], global_indexes=[], indexes=[], streams=None, billing_mode="PAY_PER_REQUEST",
    sse_specification=None, tags=[], deletion_protection_enabled=False, warm_throughput=None)
key = {"p": {"S": "a"}, "n": {"N": "1.0"}}
backend.put_item("old", key | {"l": {"L": [{"M": {"x": {"SS": ["b", "a"]}}}]}})
print(reads.get_item(backend, {"TableName": "old", "Key": key}), len(table))
"""


def test_items_of_a_state_that_an_older_version_saved_are_read(tmp_path: Path) -> None:
    """moto held them as objects of its own; they come as they went, in normal form."""
    demand_engine()
    done = subprocess.run([PYTHON, "-c", OLD_STATE], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.strip() == ('{"Item":{"p":{"S":"a"},"n":{"N":"1"},"l":{"L":[{"M":{"x":{"SS":["a","b"]}}}]}}} 1')


def test_a_table_is_described_as_on_aws(db: Any, made: Callable[..., str]) -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TableDescription.html"""
    units = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    names = made(BillingMode="PROVISIONED", ProvisionedThroughput=units), made()
    provisioned, on_demand = (db.describe_table(TableName=name)["Table"] for name in names)
    assert not {"BillingModeSummary", "GlobalSecondaryIndexes", "LocalSecondaryIndexes"} & provisioned.keys()
    assert on_demand["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert provisioned["TableId"] == db.describe_table(TableName=names[0])["Table"]["TableId"] != on_demand["TableId"]

    index = {"IndexName": "i", "KeySchema": [{"AttributeName": "n", "KeyType": "HASH"}]}
    indexed = made(GlobalSecondaryIndexes=[index | {"Projection": {"ProjectionType": "ALL"}}])
    found = db.describe_table(TableName=indexed)["Table"]
    assert found["GlobalSecondaryIndexes"][0]["IndexArn"] == f"{found['TableArn']}/index/i"
    key = str(uuid.uuid4())
    encrypted = made(SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key})
    described = db.describe_table(TableName=encrypted)["Table"]["SSEDescription"]
    assert described["KMSMasterKeyArn"] == f"arn:aws:kms:us-east-1:000000000000:key/{key}"


def test_a_batch_does_not_name_the_key_that_is_missing(db: Any, made: Callable[..., str]) -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html"""
    with pytest.raises(ClientError, match="The provided key element does not match the schema"):
        db.batch_write_item(RequestItems={made(): [{"PutRequest": {"Item": {"x": {"S": "y"}}}}]})


def test_a_transaction_of_writes_has_no_responses(db: Any, made: Callable[..., str]) -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ExecuteTransaction.html"""
    name = made()
    statements = [{"Statement": f"INSERT INTO \"{name}\" VALUE {{'p': 'a', 'n': {number}}}"} for number in (1, 2)]
    assert db.execute_transaction(TransactStatements=statements)["Responses"] == []
    with pytest.raises(ClientError, match="'parameters' failed to satisfy constraint"):
        db.execute_statement(Statement=f'SELECT * FROM "{name}"', Parameters=[])


def test_replicas_are_refused(db: Any, made: Callable[..., str]) -> None:
    updates = [{"Create": {"RegionName": "eu-west-1"}}]
    assert refusal(db.update_table, TableName=made(), ReplicaUpdates=updates)[0] == "NotImplementedException"


def test_a_tables_class_is_stored(db: Any, made: Callable[..., str]) -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TableClassSummary.html"""
    plain, classed = made(), made(TableClass="STANDARD")
    assert "TableClassSummary" not in db.describe_table(TableName=plain)["Table"]
    assert db.describe_table(TableName=classed)["Table"]["TableClassSummary"] == {"TableClass": "STANDARD"}
    for name in (plain, classed):
        changed = db.update_table(TableName=name, TableClass="STANDARD_INFREQUENT_ACCESS")["TableDescription"]
        found = db.describe_table(TableName=name)["Table"]["TableClassSummary"]
        assert changed["TableClassSummary"] == found
        assert found["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    assert refusal(db.update_table, TableName=plain, TableClass="COLD")[0] == "ValidationException"


def test_a_tables_encryption_changes_and_its_managed_key_is_there(db: Any, kms: Any, made: Callable[..., str]) -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.howitworks.html"""
    name = made()
    refused = refusal(db.update_table, TableName=name, SSESpecification={"Enabled": False})
    assert refused[1].endswith("Table is already encrypted by default")
    changed = db.update_table(TableName=name, SSESpecification={"Enabled": True})["TableDescription"]["SSEDescription"]
    found = db.describe_table(TableName=name)["Table"]["SSEDescription"]
    assert (changed["Status"], found["Status"]) == ("UPDATING", "ENABLED")
    key = kms.describe_key(KeyId=found["KMSMasterKeyArn"])["KeyMetadata"]
    assert (key["KeyManager"], key["KeyState"]) == ("AWS", "Enabled")
    made_so = db.describe_table(TableName=made(SSESpecification={"Enabled": True}))["Table"]["SSEDescription"]
    assert (
        made_so["KMSMasterKeyArn"] == key["Arn"] == kms.describe_key(KeyId="alias/aws/dynamodb")["KeyMetadata"]["Arn"]
    )

    again = refusal(db.update_table, TableName=name, SSESpecification={"Enabled": True})
    assert again[1].endswith("Table is already encrypted by given KMSMasterKey")
    own = kms.create_key()["KeyMetadata"]
    db.update_table(
        TableName=name, SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": own["KeyId"]}
    )
    assert db.describe_table(TableName=name)["Table"]["SSEDescription"]["KMSMasterKeyArn"] == own["Arn"]
    db.update_table(TableName=name, SSESpecification={"Enabled": False})
    assert "SSEDescription" not in db.describe_table(TableName=name)["Table"]


def test_contributor_insights_are_disabled(db: Any, made: Callable[..., str]) -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DescribeContributorInsights.html"""
    name = made()
    assert db.describe_contributor_insights(TableName=name)["ContributorInsightsStatus"] == "DISABLED"
    assert refusal(db.describe_contributor_insights, TableName=name + "x")[0] == "ResourceNotFoundException"
    assert refusal(db.describe_contributor_insights, TableName=name, IndexName="iii")[0] == "ResourceNotFoundException"


def test_the_answer_of_a_change_is_that_of_a_table_which_changes(db: Any) -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/WorkingWithTables.Basics.html

    The usual warm throughput is in the answer of UpdateTable, not of CreateTable; one that is asked for is in both.
    """
    name, warm = f"strict-{uuid.uuid4().hex[:8]}", {"ReadUnitsPerSecond": 13_000, "WriteUnitsPerSecond": 5_000}
    keys = [{"AttributeName": "p", "KeyType": "HASH"}]
    index = {"KeySchema": keys, "Projection": {"ProjectionType": "ALL"}}
    made = db.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=keys,
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        GlobalSecondaryIndexes=[index | {"IndexName": "iii"}],
    )["TableDescription"]
    assert (made["TableStatus"], made["GlobalSecondaryIndexes"][0]["IndexStatus"]) == ("CREATING", "CREATING")
    assert "WarmThroughput" not in made
    adding = [{"Create": index | {"IndexName": "jjj"}}]
    added = db.update_table(TableName=name, GlobalSecondaryIndexUpdates=adding)["TableDescription"]
    states = {one["IndexName"]: one["IndexStatus"] for one in added["GlobalSecondaryIndexes"]}
    assert (added["TableStatus"], states) == ("UPDATING", {"iii": "ACTIVE", "jjj": "CREATING"})
    assert added["WarmThroughput"] == {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 4_000, "Status": "ACTIVE"}
    warmed = db.update_table(TableName=name, WarmThroughput=warm)["TableDescription"]
    assert warmed["WarmThroughput"] == warm | {"Status": "UPDATING"}
    found = db.describe_table(TableName=name)["Table"]
    assert (found["TableStatus"], found["WarmThroughput"]) == ("ACTIVE", warm | {"Status": "ACTIVE"})
    assert {one["IndexStatus"] for one in found["GlobalSecondaryIndexes"]} == {"ACTIVE"}
    assert db.delete_table(TableName=name)["TableDescription"]["TableStatus"] == "DELETING"
