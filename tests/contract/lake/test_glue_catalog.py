"""Glue's data catalog: names, versions, partitions and their expressions, limits, and what is refused."""

import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.engine_harness import Engine
from tests.support.state_keeper import Keeper

STORAGE = {
    "Columns": [{"Name": "id", "Type": "bigint"}],
    "Location": "s3://lake/t/",
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
}
CONNECTION = {"Name": "c", "ConnectionType": "JDBC", "ConnectionProperties": {}}
KEYS = [{"Name": "day", "Type": "date"}, {"Name": "n", "Type": "int"}]


class Catalog:
    """Glue with a database of the test's own."""

    def __init__(self, glue: Any) -> None:
        self.glue, self.name = glue, f"db{uuid.uuid4().hex[:8]}"
        glue.create_database(DatabaseInput={"Name": self.name}, Tags={"a": "b"})

    def table(self, name: str = "t", **more: Any) -> None:
        given = {"Name": name, "StorageDescriptor": STORAGE, "PartitionKeys": KEYS} | more
        self.glue.create_table(DatabaseName=self.name, TableInput=given)

    def add(self, *values: tuple[str, str]) -> list[Any]:
        listed = [{"Values": list(v), "StorageDescriptor": STORAGE} for v in values]
        answer = self.glue.batch_create_partition(DatabaseName=self.name, TableName="t", PartitionInputList=listed)
        return list(answer.get("Errors", []))

    def find(self, expression: str, **more: Any) -> list[list[str]]:
        pages = self.glue.get_paginator("get_partitions").paginate(
            DatabaseName=self.name, TableName="t", Expression=expression, **more
        )
        return [one["Values"] for page in pages for one in page["Partitions"]]


@pytest.fixture
def catalog(engine: Engine) -> Catalog:
    return Catalog(engine.client("glue"))


def refused(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return str(caught.value.response["Error"]["Code"])


def test_names_are_folded_to_lower_case(catalog: Catalog) -> None:
    catalog.table("MiXed")
    found = catalog.glue.get_table(DatabaseName=catalog.name.upper(), Name="mIXED")["Table"]
    assert (found["Name"], found["DatabaseName"], found["VersionId"]) == ("mixed", catalog.name, "0")
    code = refused(catalog.glue.create_table, DatabaseName=catalog.name, TableInput={"Name": "MIXED"})
    assert code == "AlreadyExistsException"


def test_what_is_not_there_is_not_found(catalog: Catalog) -> None:
    glue, name = catalog.glue, catalog.name
    for call, parameters in (
        (glue.get_database, {"Name": "nosuch"}),
        (glue.delete_database, {"Name": "nosuch"}),
        (glue.get_table, {"DatabaseName": name, "Name": "nosuch"}),
        (glue.delete_table, {"DatabaseName": name, "Name": "nosuch"}),
        (glue.get_partitions, {"DatabaseName": name, "TableName": "nosuch"}),
        (glue.create_table, {"DatabaseName": "nosuch", "TableInput": {"Name": "t"}}),
        (glue.get_tables, {"DatabaseName": "nosuch"}),
    ):
        assert refused(call, **parameters) == "EntityNotFoundException", call


def test_a_database_has_its_tags_and_goes_with_its_tables(catalog: Catalog) -> None:
    catalog.table()
    arn = f"arn:aws:glue:us-east-1:000000000000:database/{catalog.name}"
    catalog.glue.tag_resource(ResourceArn=arn, TagsToAdd={"c": "d"})
    catalog.glue.untag_resource(ResourceArn=arn, TagsToRemove=["a"])
    assert catalog.glue.get_tags(ResourceArn=arn)["Tags"] == {"c": "d"}
    catalog.glue.delete_database(Name=catalog.name)
    assert refused(catalog.glue.get_database, Name=catalog.name) == "EntityNotFoundException"
    assert refused(catalog.glue.get_tags, ResourceArn=arn) == "EntityNotFoundException"


def test_each_update_is_a_version(catalog: Catalog) -> None:
    catalog.table()
    for text in ("one", "two"):
        catalog.glue.update_table(DatabaseName=catalog.name, TableInput={"Name": "t", "Description": text})
    catalog.glue.update_table(
        DatabaseName=catalog.name, TableInput={"Name": "t", "Description": "three"}, SkipArchive=True
    )
    where = {"DatabaseName": catalog.name, "TableName": "t"}
    versions = catalog.glue.get_table_versions(**where)["TableVersions"]
    assert [(v["VersionId"], v["Table"].get("Description")) for v in versions] == [
        ("3", "three"),
        ("1", "one"),
        ("0", None),
    ]
    stale = refused(catalog.glue.update_table, DatabaseName=catalog.name, TableInput={"Name": "t"}, VersionId="1")
    assert stale == "ConcurrentModificationException"
    assert refused(catalog.glue.delete_table_version, **where, VersionId="3") == "InvalidInputException"
    catalog.glue.delete_table_version(**where, VersionId="0")
    assert refused(catalog.glue.get_table_version, **where, VersionId="0") == "EntityNotFoundException"


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("day = '2020-01-01'", 2),
        ("day >= '2020-01-02' AND n = 1", 1),
        ("(day = '2020-01-01') OR (n = 3)", 3),
        ("n IN (1, 3)", 3),
        ("n BETWEEN 2 AND 3", 2),
        ("n <> 1", 2),
        ("n != 1", 2),
        ("day LIKE '2020-01-%'", 4),
        ("", 4),
    ],
)
def test_partitions_are_found_by_expressions(catalog: Catalog, expression: str, found: int) -> None:
    catalog.table(PartitionKeys=[{"Name": "day", "Type": "string"}, {"Name": "n", "Type": "int"}])
    catalog.add(("2020-01-01", "1"), ("2020-01-01", "2"), ("2020-01-02", "1"), ("2020-01-03", "3"))
    assert len(catalog.find(expression)) == found


def test_an_expression_that_is_none_is_refused(catalog: Catalog) -> None:
    catalog.table()
    catalog.add(("2020-01-01", "1"))
    for expression in ("day ==", "nosuch = 1", "day = '2020-02-31'", "1; drop"):
        where = {"DatabaseName": catalog.name, "TableName": "t", "Expression": expression}
        assert refused(catalog.glue.get_partitions, **where) == "InvalidInputException", expression


def test_a_batch_makes_what_can_be_made_and_names_the_rest(catalog: Catalog) -> None:
    catalog.table()
    assert catalog.add(("2020-01-01", "1")) == []
    failed = catalog.add(("2020-01-01", "1"), ("2020-01-02", "1"))
    assert [(one["PartitionValues"], one["ErrorDetail"]["ErrorCode"]) for one in failed] == [
        (["2020-01-01", "1"], "AlreadyExistsException")
    ]
    assert catalog.find("") == [["2020-01-01", "1"], ["2020-01-02", "1"]]
    too_many = [{"Values": ["2021-01-01", str(n)]} for n in range(101)]
    where = {"DatabaseName": catalog.name, "TableName": "t"}
    assert refused(catalog.glue.batch_create_partition, **where, PartitionInputList=too_many) == "InvalidInputException"
    assert refused(catalog.glue.create_partition, **where, PartitionInput={"Values": ["1"]}) == "InvalidInputException"


def test_partitions_come_in_pages_and_segments(catalog: Catalog) -> None:
    catalog.table()
    wanted = [("2020-01-01", f"{n:03}") for n in range(250)]
    for first in range(0, 250, 100):
        catalog.add(*wanted[first : first + 100])
    assert catalog.find("", PaginationConfig={"PageSize": 7}) == [list(one) for one in wanted]
    segments = [catalog.find("", Segment={"SegmentNumber": n, "TotalSegments": 3}) for n in range(3)]
    assert sorted(one for some in segments for one in some) == [list(one) for one in wanted]


def test_a_partition_is_replaced_and_moved(catalog: Catalog) -> None:
    catalog.table()
    catalog.add(("2020-01-01", "1"), ("2020-01-02", "1"))
    where = {"DatabaseName": catalog.name, "TableName": "t"}
    moved = {"Values": ["2020-01-01", "1"], "StorageDescriptor": STORAGE | {"Location": "s3://lake/new/"}}
    catalog.glue.update_partition(**where, PartitionValueList=["2020-01-01", "1"], PartitionInput=moved)
    found = catalog.glue.get_partition(**where, PartitionValues=["2020-01-01", "1"])["Partition"]
    assert found["StorageDescriptor"]["Location"] == "s3://lake/new/"
    taken = refused(
        catalog.glue.update_partition, **where, PartitionValueList=["2020-01-02", "1"], PartitionInput=moved
    )
    assert taken == "AlreadyExistsException"
    catalog.glue.delete_partition(**where, PartitionValues=["2020-01-02", "1"])
    assert catalog.find("") == [["2020-01-01", "1"]]


def test_statistics_belong_to_columns_that_there_are(catalog: Catalog) -> None:
    catalog.table()
    where = {"DatabaseName": catalog.name, "TableName": "t"}
    data = {"Type": "LONG", "LongColumnStatisticsData": {"NumberOfNulls": 0, "NumberOfDistinctValues": 3}}
    listed = [
        {"ColumnName": n, "ColumnType": "bigint", "AnalyzedTime": 0, "StatisticsData": data} for n in ("id", "nosuch")
    ]
    failed = catalog.glue.update_column_statistics_for_table(**where, ColumnStatisticsList=listed)["Errors"]
    assert [one["ColumnStatistics"]["ColumnName"] for one in failed] == ["nosuch"]
    found = catalog.glue.get_column_statistics_for_table(**where, ColumnNames=["id", "day"])
    assert [one["ColumnName"] for one in found["ColumnStatisticsList"]] == ["id"]
    assert [one["ColumnName"] for one in found["Errors"]] == ["day"]


def test_an_operation_that_does_nothing_here_is_refused(catalog: Catalog) -> None:
    """Success for work that never happened is what other emulators answer."""
    assert refused(catalog.glue.create_connection, ConnectionInput=CONNECTION) == "InternalFailure"


def test_the_catalog_survives_a_restart(keeper: Keeper) -> None:
    catalog = Catalog(keeper.engine.client("glue"))
    catalog.table()
    catalog.add(("2020-01-01", "1"))
    keeper.again()
    catalog.glue = keeper.engine.client("glue")
    assert catalog.find("") == [["2020-01-01", "1"]]
    assert catalog.glue.get_table(DatabaseName=catalog.name, Name="t")["Table"]["PartitionKeys"] == KEYS
