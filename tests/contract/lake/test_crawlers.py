"""Crawlers: what they make of files in S3, their policies, states, logs and events."""

import gzip
import io
import json
import uuid
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from tests.support.engine_harness import Engine, Queue, eventually
from tests.support.schedules import Clock
from tests.support.state_keeper import Keeper

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
LOG_ONLY = {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"}
PARQUET = pa.table({"id": pa.array([1, 2], pa.int64()), "Amount": pa.array([1.5, None], pa.float64())})


def parquet(table: Any = PARQUET) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def lines(*rows: dict[str, Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


class Lake:
    """A bucket, a database, a role and crawlers of the test's own. Without statements the role may do everything."""

    def __init__(self, engine: Engine, *statements: dict[str, Any]) -> None:
        self.engine, self.name = engine, f"lake{uuid.uuid4().hex[:8]}"
        self.glue, self.s3 = engine.client("glue"), engine.client("s3", s3={"addressing_style": "path"})
        iam = engine.client("iam")
        self.s3.create_bucket(Bucket=self.name)
        self.role = iam.create_role(RoleName=self.name, AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements or (EVERYTHING,))})
        iam.put_role_policy(RoleName=self.name, PolicyName="own", PolicyDocument=document)
        self.glue.create_database(DatabaseInput={"Name": self.name})

    def put(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket=self.name, Key=key, Body=body)

    def crawler(self, path: str = "", exclusions: tuple[str, ...] = (), **more: Any) -> str:
        name = more.pop("Name", f"c-{uuid.uuid4().hex[:8]}")
        target = {"Path": f"s3://{self.name}/{path}", "Exclusions": list(exclusions)}
        given = {"Role": self.name, "DatabaseName": self.name, "Targets": {"S3Targets": [target]}} | more
        self.glue.create_crawler(Name=name, **given)
        return name

    def crawl(self, name: str) -> Any:
        """The crawler after it has run."""
        self.glue.start_crawler(Name=name)
        return self.ready(name)

    def ready(self, name: str) -> Any:
        return eventually(lambda: (c := self.describe(name))["State"] == "READY" and c, 60, f"{name} to be ready")

    def describe(self, name: str) -> Any:
        return self.glue.get_crawler(Name=name)["Crawler"]

    def run(self, path: str = "", exclusions: tuple[str, ...] = (), **more: Any) -> str:
        """The name of a new crawler that has run and succeeded."""
        name = self.crawler(path, exclusions, **more)
        self.again(name)
        return name

    def again(self, name: str) -> None:
        found = self.crawl(name)
        assert found["LastCrawl"]["Status"] == "SUCCEEDED", found["LastCrawl"]

    def tables(self) -> dict[str, Any]:
        pages = self.glue.get_paginator("get_tables").paginate(DatabaseName=self.name)
        return {one["Name"]: one for page in pages for one in page["TableList"]}

    def shapes(self) -> dict[str, list[tuple[str, str]]]:
        """Columns of each table, partition keys last."""
        return {
            name: [(c["Name"], c["Type"]) for c in [*one["StorageDescriptor"]["Columns"], *one["PartitionKeys"]]]
            for name, one in self.tables().items()
        }

    def partitions(self, table: str) -> dict[tuple[str, ...], Any]:
        pages = self.glue.get_paginator("get_partitions").paginate(DatabaseName=self.name, TableName=table)
        return {tuple(one["Values"]): one for page in pages for one in page["Partitions"]}

    def metrics(self, name: str) -> tuple[int, int, int]:
        """Tables that the last crawl created, updated and deleted."""
        [one] = self.glue.get_crawler_metrics(CrawlerNameList=[name])["CrawlerMetricsList"]
        return one["TablesCreated"], one["TablesUpdated"], one["TablesDeleted"]

    def query(self, sql: str) -> list[list[str | None]]:
        athena = self.engine.client("athena")
        started = athena.start_query_execution(
            QueryString=sql,
            QueryExecutionContext={"Database": self.name},
            ResultConfiguration={"OutputLocation": f"s3://{self.name}/_results/"},
        )["QueryExecutionId"]
        state = eventually(
            lambda: (
                (s := athena.get_query_execution(QueryExecutionId=started)["QueryExecution"]["Status"])["State"]
                not in ("QUEUED", "RUNNING")
                and s
            ),
            60,
        )
        assert state["State"] == "SUCCEEDED", state
        rows = athena.get_query_results(QueryExecutionId=started)["ResultSet"]["Rows"]
        return [[value.get("VarCharValue") for value in row["Data"]] for row in rows[1:]]


@pytest.fixture
def lake(engine: Engine) -> Lake:
    return Lake(engine)


def refused(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return str(caught.value.response["Error"]["Code"])


def test_hive_partitions_of_parquet_become_a_table_that_athena_reads(lake: Lake) -> None:
    for day in ("2020-01-01", "2020-01-02"):
        for hour in (1, 2):
            lake.put(f"Sales/day={day}/hour={hour}/a.parquet", parquet())
    name = lake.run("Sales/")
    assert lake.shapes() == {"sales": [("id", "bigint"), ("amount", "double"), ("day", "string"), ("hour", "string")]}
    table = lake.tables()["sales"]
    assert table["StorageDescriptor"]["Location"] == f"s3://{lake.name}/Sales/"
    assert table["Parameters"]["classification"] == "parquet"
    assert (table["Parameters"]["objectCount"], table["Parameters"]["recordCount"]) == ("4", "8")
    assert table["Parameters"]["UPDATED_BY_CRAWLER"] == name
    found = lake.partitions("sales")
    assert sorted(found) == [(d, h) for d in ("2020-01-01", "2020-01-02") for h in ("1", "2")]
    location = found["2020-01-02", "1"]["StorageDescriptor"]["Location"]
    assert location == f"s3://{lake.name}/Sales/day=2020-01-02/hour=1/"
    assert lake.query("select count(*), sum(id) from sales where day = '2020-01-02'") == [["4", "6"]]
    assert lake.metrics(name) == (1, 0, 0)


def test_json_lines_and_csv_have_their_types_and_are_read_by_athena(lake: Lake) -> None:
    lake.put("j/a.json", lines({"id": 1, "name": "x", "tags": ["a"], "more": {"n": 1.5}}, {"id": 2**40, "ok": True}))
    lake.put("j/b.json.gz", gzip.compress(lines({"id": 3})))
    lake.put("c/a.csv", b"id,name,amount\n1,a,1.5\n2,b,\n")
    lake.run("c/")
    lake.run("j/", exclusions=("*.gz",))
    assert lake.shapes() == {
        "c": [("id", "bigint"), ("name", "string"), ("amount", "double")],
        "j": [
            ("id", "bigint"), ("name", "string"), ("tags", "array<string>"), ("more", "struct<n:double>"),
            ("ok", "boolean"),
        ],
    }  # fmt: skip
    assert lake.tables()["c"]["Parameters"]["skip.header.line.count"] == "1"
    assert lake.query("select sum(id), sum(amount) from c") == [["3", "1.5"]]
    assert lake.query("select name, more.n from j where id = 1") == [["x", "1.5"]]


def test_a_mixed_folder_is_several_tables(lake: Lake) -> None:
    lake.put("in/orders/a.json", lines({"order": 1, "total": 2}))
    lake.put("in/orders/b.json", lines({"order": 2, "total": 3}))
    lake.put("in/people/a.csv", b"name,age\nx,1\n")
    lake.put("in/rubbish.bin", bytes(range(256)))
    lake.put("in/empty.json", b"")
    lake.put("in/_SUCCESS", b"x")
    lake.run("in/", TablePrefix="T_")
    assert lake.shapes() == {
        "t_orders": [("order", "int"), ("total", "int")],
        "t_people": [("name", "string"), ("age", "bigint")],
        "t_rubbish_bin": [],
    }
    assert lake.tables()["t_rubbish_bin"]["Parameters"]["classification"] == "UNKNOWN"


def test_schemas_that_differ_are_tables_unless_they_are_combined(lake: Lake) -> None:
    lake.put("t/year=2017/a.json", lines({"A": 1, "B": 2}))
    lake.put("t/year=2018/a.json", lines({"C": 3, "D": 4}))
    first = lake.run("t/")
    assert sorted(lake.tables()) == ["year_2017", "year_2018"]
    combine = json.dumps({"Version": 1.0, "Grouping": {"TableGroupingPolicy": "CombineCompatibleSchemas"}})
    lake.glue.update_crawler(
        Name=first,
        Configuration=combine,
        SchemaChangePolicy={"UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": "DELETE_FROM_DATABASE"},
    )
    lake.again(first)
    assert lake.shapes() == {"t": [("a", "int"), ("b", "int"), ("c", "int"), ("d", "int"), ("year", "string")]}
    assert lake.metrics(first) == (1, 0, 2)


def test_the_level_of_tables_can_be_given(lake: Lake) -> None:
    for place in ("one/x/a", "one/y/a", "two/x/a", "two/y/a"):
        lake.put(f"all/{place}.json", lines({"id": 1}))
    level = json.dumps({"Version": 1.0, "Grouping": {"TableLevelConfiguration": 3}})
    lake.run("all/", Configuration=level)
    assert lake.shapes() == {name: [("id", "int"), ("partition_0", "string")] for name in ("one", "two")}
    assert sorted(lake.partitions("one")) == [("x",), ("y",)]


def test_folders_without_keys_are_numbered_partitions_of_the_include_path(lake: Lake) -> None:
    for place in ("table1/p1", "table1/p2", "table2/p3", "table2/p4"):
        lake.put(f"folder1/{place}/f.csv", b"id,name\n1,a\n")
    lake.run("folder1")
    assert lake.shapes() == {
        "folder1": [("id", "bigint"), ("name", "string"), ("partition_0", "string"), ("partition_1", "string")]
    }
    assert sorted(lake.partitions("folder1")) == [
        ("table1", "p1"), ("table1", "p2"), ("table2", "p3"), ("table2", "p4"),
    ]  # fmt: skip


def test_a_second_crawl_adds_columns_and_partitions_and_then_changes_nothing(lake: Lake) -> None:
    lake.put("t/d=1/a.json", lines({"id": 1, "name": "a"}))
    name = lake.run("t/")
    lake.put("t/d=2/a.json", lines({"id": 2, "name": "b", "price": 1.5}))
    lake.again(name)
    assert lake.shapes() == {"t": [("id", "int"), ("name", "string"), ("price", "double"), ("d", "string")]}
    assert sorted(lake.partitions("t")) == [("1",), ("2",)]
    assert lake.metrics(name) == (0, 1, 0)
    version = lake.tables()["t"]["VersionId"]
    lake.again(name)
    assert (lake.metrics(name), lake.tables()["t"]["VersionId"]) == ((0, 0, 0), version)


def test_log_leaves_the_schema_and_adds_partitions(lake: Lake) -> None:
    lake.put("t/d=1/a.json", lines({"id": 1, "name": "a"}))
    name = lake.run("t/", SchemaChangePolicy=LOG_ONLY)
    lake.put("t/d=2/a.json", lines({"id": 2, "name": "b", "price": 1.5}))
    lake.s3.delete_object(Bucket=lake.name, Key="t/d=1/a.json")
    lake.again(name)
    assert lake.shapes() == {"t": [("id", "int"), ("name", "string"), ("d", "string")]}
    assert sorted(lake.partitions("t")) == [("1",), ("2",)]


@pytest.mark.parametrize("behavior", ["DELETE_FROM_DATABASE", "DEPRECATE_IN_DATABASE"])
def test_what_is_gone_is_deleted_or_deprecated(lake: Lake, behavior: str) -> None:
    for key in ("all/t/d=1/a.json", "all/t/d=2/a.json"):
        lake.put(key, lines({"id": 1, "name": "a"}))
    lake.put("all/u/a.csv", b"x,y\n1,2\n3,4\n")
    policy = {"UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": behavior}
    name = lake.run("all/", SchemaChangePolicy=policy)
    assert sorted(lake.tables()) == ["t", "u"]
    for key in ("all/t/d=1/a.json", "all/u/a.csv"):
        lake.s3.delete_object(Bucket=lake.name, Key=key)
    lake.again(name)
    if behavior == "DELETE_FROM_DATABASE":
        assert (sorted(lake.tables()), sorted(lake.partitions("t"))) == (["t"], [("2",)])
        return
    assert "DEPRECATED_BY_CRAWLER" in lake.tables()["u"]["Parameters"]
    found = {values: "DEPRECATED_BY_CRAWLER" in one["Parameters"] for values, one in lake.partitions("t").items()}
    assert found == {("1",): True, ("2",): False}
    # What is there again is no longer deprecated.
    lake.put("all/u/a.csv", b"x,y\n1,2\n3,4\n")
    lake.again(name)
    assert "DEPRECATED_BY_CRAWLER" not in lake.tables()["u"]["Parameters"]


def test_new_columns_are_merged_behind_those_of_the_table(lake: Lake) -> None:
    lake.put("t/a.json", lines({"id": 1, "name": "a", "old": 1}))
    merge = json.dumps({"Version": 1.0, "CrawlerOutput": {"Tables": {"AddOrUpdateBehavior": "MergeNewColumns"}}})
    name = lake.run("t/", Configuration=merge)
    lake.put("t/a.json", lines({"new": True, "id": 1, "name": "a"}))
    lake.again(name)
    assert lake.shapes() == {"t": [("id", "int"), ("name", "string"), ("old", "int"), ("new", "boolean")]}


def test_only_new_folders_are_read_when_that_is_asked_for(lake: Lake) -> None:
    policy = {"RecrawlPolicy": {"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"}, "SchemaChangePolicy": LOG_ONLY}
    for folder in ("x", "y"):
        lake.put(f"t/{folder}/a.json", lines({"id": 1, "name": "a"}))
    name = lake.run("t/", **policy)
    lake.put("t/x/b.json", lines({"other": 1, "quite": 2}))  # in a folder that it knows
    lake.put("t/z/a.json", lines({"id": 1, "name": "a"}))
    lake.again(name)
    assert lake.shapes() == {"t": [("id", "int"), ("name", "string"), ("partition_0", "string")]}
    assert sorted(lake.partitions("t")) == [("x",), ("y",), ("z",)]
    with pytest.raises(ClientError, match="LOG"):
        lake.crawler("t/", RecrawlPolicy=policy["RecrawlPolicy"])


def test_a_table_of_another_place_is_not_touched(lake: Lake) -> None:
    storage = {"Columns": [{"Name": "own", "Type": "int"}], "Location": "s3://elsewhere/t/"}
    lake.glue.create_table(DatabaseName=lake.name, TableInput={"Name": "t", "StorageDescriptor": storage})
    lake.put("t/a.json", lines({"id": 1}))
    name = lake.run("t/")
    shapes = lake.shapes()
    [other] = [table for table in shapes if table != "t"]
    assert other.startswith("t_")
    assert (shapes["t"], shapes[other]) == ([("own", "int")], [("id", "int")])
    lake.again(name)
    assert sorted(lake.tables()) == ["t", other]


def test_a_csv_classifier_names_what_the_file_does_not_tell(lake: Lake) -> None:
    classifier = f"k-{uuid.uuid4().hex[:8]}"
    given = {"Name": classifier, "Delimiter": "~", "ContainsHeader": "ABSENT", "Header": ["code", "city"]}
    lake.glue.create_classifier(CsvClassifier=given)
    lake.put("t/a.txt", b"a~Rome\nb~Paris\n")
    lake.run("t/", Classifiers=[classifier])
    assert lake.shapes() == {"t": [("code", "string"), ("city", "string")]}
    assert lake.query("select city from t where code = 'b'") == [["Paris"]]
    assert refused(lake.crawler, path="t/", Classifiers=["nosuch"]) == "EntityNotFoundException"
    assert refused(lake.glue.create_classifier, XMLClassifier={"Name": "x", "Classification": "c", "RowTag": "r"}) == (
        "InvalidInputException"
    )


def test_an_empty_place_has_no_tables_and_a_missing_bucket_fails(lake: Lake) -> None:
    lake.put("nothing/", b"")
    lake.run("nothing/")
    assert lake.tables() == {}
    name = lake.crawler(Targets={"S3Targets": [{"Path": f"s3://none-{uuid.uuid4().hex}/a/"}]})
    last = lake.crawl(name)["LastCrawl"]
    assert (last["Status"], "NoSuchBucket" in last["ErrorMessage"]) == ("FAILED", True)


DT = [{"Name": "dt", "Type": "date"}]
SERDE = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"


def of_tables(lake: Lake, *names: str, **more: Any) -> dict[str, Any]:
    """A crawler of tables that are there before it."""
    configured = json.dumps(
        {"Version": 1.0, "CrawlerOutput": {"Partitions": {"AddOrUpdateBehavior": "InheritFromTable"}}}
    )
    targets = {"CatalogTargets": [{"DatabaseName": lake.name, "Tables": list(names)}]}
    return {"Targets": targets, "SchemaChangePolicy": LOG_ONLY, "Configuration": configured} | more


def made_by_hand(lake: Lake, name: str, *columns: tuple[str, str]) -> dict[str, Any]:
    """A table of Parquet with dates as partitions."""
    storage = {
        "Columns": [{"Name": column, "Type": kind} for column, kind in columns],
        "Location": f"s3://{lake.name}/silver/{name}",  # without a slash at its end, which is allowed
        "SerdeInfo": {"SerializationLibrary": SERDE},
    }
    lake.glue.create_table(
        DatabaseName=lake.name,
        TableInput={"Name": name, "StorageDescriptor": storage, "PartitionKeys": DT, "TableType": "EXTERNAL_TABLE"},
    )
    return storage


def test_tables_that_are_there_get_their_new_partitions_and_stay_as_they_are(lake: Lake) -> None:
    storage = made_by_hand(lake, "sales", ("amount", "double"), ("id", "bigint"))
    made_by_hand(lake, "empty", ("id", "bigint"))
    before = lake.tables()
    lake.put("silver/sales/dt=2020-01-01/a.parquet", parquet())
    lake.put("silver/other/dt=2020-01-01/a.parquet", parquet())  # of no table
    name = lake.run(**of_tables(lake, "sales", "empty"))
    assert lake.tables() == before
    found = lake.partitions("sales")
    assert {values: one["StorageDescriptor"]["Columns"] for values, one in found.items()} == {
        ("2020-01-01",): storage["Columns"]
    }
    assert lake.partitions("empty") == {}
    # What others moved stays where it is, and gets the table's columns; new folders become partitions.
    older = found["2020-01-01",]["StorageDescriptor"] | {"Location": f"s3://{lake.name}/moved/", "Columns": []}
    where = {"DatabaseName": lake.name, "TableName": "sales"}
    given = {"Values": ["2020-01-01"], "StorageDescriptor": older}
    lake.glue.update_partition(**where, PartitionValueList=["2020-01-01"], PartitionInput=given)
    lake.put("moved/a.parquet", parquet())
    lake.put("silver/sales/dt=2020-01-02/a.parquet", parquet(PARQUET.append_column("more", pa.array([1, 1]))))
    lake.again(name)
    assert lake.tables() == before
    places = {values[0]: one["StorageDescriptor"] for values, one in lake.partitions("sales").items()}
    assert {day: one["Location"] for day, one in places.items()} == {
        "2020-01-01": f"s3://{lake.name}/moved/",
        "2020-01-02": f"s3://{lake.name}/silver/sales/dt=2020-01-02/",
    }
    assert [one["Columns"] for one in places.values()] == [storage["Columns"]] * 2
    rows = lake.query("select dt, count(*), sum(id) from sales where dt >= date '2020-01-01' group by 1 order by 1")
    assert rows == [["2020-01-01", "2", "3"], ["2020-01-02", "2", "3"]]
    assert lake.metrics(name) == (0, 0, 0)


def test_columns_that_files_have_more_are_added_to_tables_where_that_is_asked_for(lake: Lake) -> None:
    made_by_hand(lake, "sales", ("amount", "double"), ("id", "bigint"))
    lake.put("silver/sales/dt=2020-01-01/a.parquet", parquet(PARQUET.append_column("more", pa.array([1, 1]))))
    output = {"Tables": {"AddOrUpdateBehavior": "MergeNewColumns"}}
    policy = {"UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": "LOG"}
    configured = json.dumps({"Version": 1.0, "CrawlerOutput": output})
    lake.run(**of_tables(lake, "sales", SchemaChangePolicy=policy, Configuration=configured))
    assert lake.shapes() == {"sales": [("amount", "double"), ("id", "bigint"), ("more", "bigint"), ("dt", "date")]}


def test_a_crawler_of_tables_that_cannot_be_so_is_refused_and_a_missing_table_fails(lake: Lake) -> None:
    for wrong in (
        {"SchemaChangePolicy": {"UpdateBehavior": "LOG", "DeleteBehavior": "DELETE_FROM_DATABASE"}},
        {"RecrawlPolicy": {"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"}},
        {
            "Targets": {
                "CatalogTargets": [{"DatabaseName": lake.name, "Tables": ["t"]}],
                "S3Targets": [{"Path": f"s3://{lake.name}/"}],
            }
        },
    ):
        assert refused(lake.crawler, **of_tables(lake, "t", **wrong)) == "InvalidInputException", wrong
    last = lake.crawl(lake.crawler(**of_tables(lake, "t")))["LastCrawl"]
    assert (last["Status"], "EntityNotFoundException" in last["ErrorMessage"]) == ("FAILED", True)
    lake.glue.create_table(DatabaseName=lake.name, TableInput={"Name": "t", "TableType": "VIRTUAL_VIEW"})
    last = lake.crawl(lake.crawler(**of_tables(lake, "t")))["LastCrawl"]
    assert (last["Status"], "is not in Amazon S3" in last["ErrorMessage"]) == ("FAILED", True)


def test_a_folder_of_other_partition_keys_leaves_a_table_alone(lake: Lake) -> None:
    made_by_hand(lake, "sales", ("id", "bigint"))
    lake.put("silver/sales/hour=1/a.parquet", parquet())
    lake.run(**of_tables(lake, "sales"))
    assert (lake.shapes(), lake.partitions("sales")) == ({"sales": [("id", "bigint"), ("dt", "date")]}, {})


def test_a_role_that_glue_may_not_assume_is_refused_and_one_that_lost_its_trust_fails_the_crawl(lake: Lake) -> None:
    iam = lake.engine.client("iam")
    name = lake.crawler("t/")
    other = json.dumps(json.loads(TRUST) | {"Statement": [json.loads(TRUST)["Statement"][0] | {"Effect": "Deny"}]})
    for wrong in (TRUST.replace("glue.", "lambda."), other):
        iam.update_assume_role_policy(RoleName=lake.name, PolicyDocument=wrong)
        with pytest.raises(ClientError, match="unable to assume provided role. Please verify role's TrustPolicy"):
            lake.crawler("t/")
        last = lake.crawl(name)["LastCrawl"]
        assert (last["Status"], "TrustPolicy" in last["ErrorMessage"]) == ("FAILED", True)
    iam.update_assume_role_policy(RoleName=lake.name, PolicyDocument=TRUST)
    lake.again(name)


def test_a_table_threshold_stops_a_crawl_before_it_writes(lake: Lake) -> None:
    for at in range(3):
        lake.put(f"t/{at}.json", lines({f"a{at}": 1, f"b{at}": 2}))
    configured = json.dumps({"Version": 1.0, "CrawlerOutput": {"Tables": {"TableThreshold": 2}}})
    last = lake.crawl(lake.crawler("t/", Configuration=configured))["LastCrawl"]
    assert last["Status"] == "FAILED"
    assert "greater than the table threshold value provided: 2" in last["ErrorMessage"]
    assert lake.tables() == {}


def test_each_crawl_has_its_log_its_history_and_its_events(lake: Lake, queue: Any) -> None:
    events, target = lake.engine.client("events"), queue()
    pattern = json.dumps({"source": ["aws.glue"], "detail-type": ["Glue Crawler State Change"]})
    events.put_rule(Name=lake.name, EventPattern=pattern)
    events.put_targets(Rule=lake.name, Targets=[{"Id": "q", "Arn": target.arn}])
    lake.put("t/a.json", lines({"id": 1}))
    name = lake.run("t/")
    [crawl] = lake.glue.list_crawls(CrawlerName=name)["Crawls"]
    assert crawl["State"] == "COMPLETED"
    assert json.loads(json.loads(crawl["Summary"])["TABLE"])["ADD"]["Details"]["names"] == ["t"]
    last = lake.describe(name)["LastCrawl"]
    logs = lake.engine.client("logs")

    def logged() -> list[str]:
        try:
            found = logs.get_log_events(logGroupName=last["LogGroup"], logStreamName=last["LogStream"])["events"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [one["message"] for one in found]

    text = "".join(eventually(logged, 20, "the log"))
    assert f"[{crawl['CrawlId']}] INFO : Created table t in database {lake.name}" in text
    details = _details(target, name, 2)
    assert [one["state"] for one in details] == ["Started", "Succeeded"]
    assert details[1]["tablesCreated"] == "1"
    failed = lake.glue.list_crawls(
        CrawlerName=name, Filters=[{"FieldName": "STATE", "FilterOperator": "EQ", "FieldValue": "FAILED"}]
    )
    assert failed["Crawls"] == []


def _details(target: Queue, name: str, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    def enough() -> bool:
        found.extend(json.loads(one["Body"])["detail"] for one in target.receive())
        return sum(one["crawlerName"] == name for one in found) >= count

    eventually(enough, 20, "events of the crawler")
    return sorted((one for one in found if one["crawlerName"] == name), key=lambda one: one["state"])


def test_a_schedule_starts_the_crawler_each_time_that_it_is_due(lake: Lake, engine: Engine) -> None:
    lake.put("t/1.json", lines({"id": 1}))
    clock = Clock(engine)
    hour = clock.to_a_quiet_minute()
    day = hour + timedelta(days=1)
    # 1 is Sunday, as everywhere on AWS.
    name = lake.crawler("t/", Schedule=f"cron(0/20 {day.hour} ? * {day.isoweekday() % 7 + 1} *)")
    assert clock.to(day - timedelta(minutes=1)) == 0
    ended: list[str] = []
    for minutes, count in ((1, 1), (21, 2), (59, 3)):
        assert clock.to(day + timedelta(minutes=minutes)) == 1
        lake.ready(name)
        crawls = lake.glue.list_crawls(CrawlerName=name)["Crawls"]
        ended = [one["State"] for one in crawls]
        assert ended == ["COMPLETED"] * count
    assert lake.shapes() == {"t": [("id", "int")]}
    lake.glue.stop_crawler_schedule(CrawlerName=name)
    clock.to(day + timedelta(days=7, minutes=30))
    assert len(lake.glue.list_crawls(CrawlerName=name)["Crawls"]) == 3
    lake.glue.start_crawler_schedule(CrawlerName=name)
    clock.to(day + timedelta(days=14, minutes=1))
    lake.ready(name)
    assert len(lake.glue.list_crawls(CrawlerName=name)["Crawls"]) == 4
    lake.glue.delete_crawler(Name=name)
    assert clock.move(days=8) == 0
    clock.post(reset=True)


def test_requests_that_are_wrong_are_refused(lake: Lake) -> None:
    name = lake.crawler("t/")
    glue = lake.glue
    assert refused(glue.create_crawler, Name=name, Role=lake.name, DatabaseName="d", Targets={"S3Targets": []}) == (
        "AlreadyExistsException"
    )
    for wrong in (
        {"Role": "nosuch"},
        {"Targets": {"S3Targets": []}},
        {"Targets": {"DynamoDBTargets": [{"Path": "t"}]}},
        {"Targets": {"S3Targets": [{"Path": "s3://"}]}},
        {"Targets": {"S3Targets": [{"Path": "s3://b/", "Exclusions": ["{a"]}]}},
        {"Configuration": "{"},
        {"Configuration": '{"Version": 2}'},
        {"Schedule": "rate(5 minutes)"},
        {"Schedule": "cron(61 * * * ? *)"},
        {"RecrawlPolicy": {"RecrawlBehavior": "CRAWL_EVENT_MODE"}},
    ):
        assert refused(lake.crawler, path="t/", **wrong) == "InvalidInputException", wrong
    for call in (glue.get_crawler, glue.start_crawler, glue.stop_crawler, glue.delete_crawler):
        assert refused(call, Name="nosuch") == "EntityNotFoundException"
    assert refused(glue.stop_crawler, Name=name) == "CrawlerNotRunningException"
    assert refused(glue.start_crawler_schedule, CrawlerName=name) == "NoScheduleException"
    glue.update_crawler_schedule(CrawlerName=name, Schedule="cron(15 12 * * ? *)")
    assert lake.describe(name)["Schedule"] == {"ScheduleExpression": "cron(15 12 * * ? *)", "State": "SCHEDULED"}
    assert refused(glue.start_crawler_schedule, CrawlerName=name) == "SchedulerRunningException"
    glue.stop_crawler_schedule(CrawlerName=name)
    assert lake.describe(name)["Schedule"]["State"] == "NOT_SCHEDULED"
    assert refused(glue.stop_crawler_schedule, CrawlerName=name) == "SchedulerNotRunningException"
    answer = glue.batch_get_crawlers(CrawlerNames=[name, "nosuch"])
    assert ([one["Name"] for one in answer["Crawlers"]], answer["CrawlersNotFound"]) == ([name], ["nosuch"])
    glue.delete_crawler(Name=name)
    assert name not in glue.list_crawlers()["CrawlerNames"]


def test_a_crawl_that_is_stopped_is_cancelled(lake: Lake) -> None:
    for at in range(300):
        lake.put(f"t/{at:03}.json", lines(*({"id": n} for n in range(500))))
    name = lake.crawler("t/")
    lake.glue.start_crawler(Name=name)
    assert refused(lake.glue.start_crawler, Name=name) == "CrawlerRunningException"
    assert refused(lake.glue.delete_crawler, Name=name) == "CrawlerRunningException"
    lake.glue.stop_crawler(Name=name)
    assert lake.ready(name)["LastCrawl"]["Status"] == "CANCELLED"
    assert lake.tables() == {}
    lake.again(name)
    assert lake.shapes() == {"t": [("id", "int")]}


CATALOG = {"Effect": "Allow", "Action": ["glue:*", "logs:*"], "Resource": "*"}


def test_a_crawler_reads_and_writes_with_the_permissions_of_its_role(engine: Engine) -> None:
    lake = Lake(engine, CATALOG)
    lake.put("t/a.json", lines({"id": 1}))
    last = lake.crawl(lake.crawler("t/"))["LastCrawl"]
    assert (last["Status"], "s3:ListBucket" in last["ErrorMessage"]) == ("FAILED", True)
    bucket = "arn:aws:s3:::*"
    reading = {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject"], "Resource": bucket}
    allowed = Lake(engine, CATALOG, reading)
    allowed.put("t/a.json", lines({"id": 1}))
    allowed.run("t/")
    assert allowed.shapes() == {"t": [("id", "int")]}
    blind = Lake(engine, reading)
    blind.put("t/a.json", lines({"id": 1}))
    last = blind.crawl(blind.crawler("t/"))["LastCrawl"]
    assert (last["Status"], "glue:GetDatabase" in last["ErrorMessage"]) == ("FAILED", True)
    assert blind.tables() == {}


def test_a_file_that_the_role_may_not_read_is_named_in_the_log(engine: Engine) -> None:
    listing = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}
    some = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::*/open/*"}
    lake = Lake(engine, CATALOG, listing, some)
    lake.put("open/a.json", lines({"id": 1}))
    lake.put("shut/a.json", lines({"id": 1}))
    lake.run()
    assert lake.shapes() == {"open": [("id", "int")]}


def test_step_functions_start_a_crawler(lake: Lake) -> None:
    lake.put("t/a.json", lines({"id": 1}))
    name = lake.crawler("t/")
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:glue:startCrawler",
        "Parameters": {"Name": name},
        "End": True,
    }
    definition = json.dumps({"StartAt": "Crawl", "States": {"Crawl": task}})
    states = lake.engine.client("stepfunctions")
    machine = states.create_state_machine(name=lake.name, definition=definition, roleArn=lake.role)["stateMachineArn"]
    execution = states.start_execution(stateMachineArn=machine)["executionArn"]
    status = eventually(
        lambda: (s := states.describe_execution(executionArn=execution))["status"] != "RUNNING" and s, 30
    )
    assert status["status"] == "SUCCEEDED", status
    lake.ready(name)
    assert lake.shapes() == {"t": [("id", "int")]}


def test_crawlers_survive_a_restart_and_a_crawl_in_flight_has_failed(keeper: Keeper) -> None:
    lake = Lake(keeper.engine)
    for at in range(200):
        lake.put(f"t/{at:03}.json", lines(*({"id": n} for n in range(300))))
    name = lake.crawler("t/", Schedule="cron(0 5 * * ? *)", Tags={"a": "b"})
    lake.again(name)
    lake.glue.start_crawler(Name=name)
    keeper.save(drain_seconds=0, force=True)
    running = lake.describe(name)["State"]
    keeper.restart()
    lake.glue = keeper.engine.client("glue")
    found = lake.describe(name)
    assert (found["State"], found["Schedule"]["State"]) == ("READY", "SCHEDULED")
    if running == "RUNNING":
        assert found["LastCrawl"]["Status"] == "FAILED"
        assert "the engine was stopped during the crawl" in found["LastCrawl"]["ErrorMessage"]
    assert lake.shapes() == {"t": [("id", "int")]}
    assert lake.glue.get_tags(ResourceArn=f"arn:aws:glue:us-east-1:000000000000:crawler/{name}")["Tags"] == {"a": "b"}
    lake.again(name)


def test_a_hostile_file_ends_as_unknown(lake: Lake) -> None:
    lake.put("t/bomb/a.json.gz", gzip.compress(b"[" * 50_000_000))
    lake.put("t/deep/a.json", b'{"a":' * 100_000)
    lake.put("t/short/a.parquet", b"PAR1\xff\xff\xff\xffPAR1")
    lake.put("t/cut/a.parquet", parquet()[:-20])
    lake.run("t/")
    found = {name: one["Parameters"]["classification"] for name, one in lake.tables().items()}
    assert set(found.values()) == {"UNKNOWN"}, found
    assert sum(int(one["Parameters"]["objectCount"]) for one in lake.tables().values()) == 4
