"""Athena as a service: states, results in pages and in S3, work groups, tokens, limits, stopping, restarts."""

import json
import os
import signal
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.engine_harness import ROLE, Engine, eventually
from tests.support.state_keeper import Keeper

ENDLESS = "select count(*) from unnest(sequence(1, 100000000)) as a(x) cross join unnest(sequence(1, 100000)) as b(y)"


class Athena:
    """Athena with a database and a bucket of the test's own."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.athena, self.s3, glue = engine.client("athena"), engine.client("s3"), engine.client("glue")
        self.name = f"db{uuid.uuid4().hex[:8]}"
        self.s3.create_bucket(Bucket=self.name)
        glue.create_database(DatabaseInput={"Name": self.name})

    def start(self, sql: str, **more: Any) -> str:
        wanted = {
            "QueryExecutionContext": {"Database": self.name},
            "ResultConfiguration": {"OutputLocation": f"s3://{self.name}/results/"},
        } | more
        return str(self.athena.start_query_execution(QueryString=sql, **wanted)["QueryExecutionId"])

    def describe(self, name: str) -> Any:
        return self.athena.get_query_execution(QueryExecutionId=name)["QueryExecution"]

    def end(self, name: str) -> Any:
        return eventually(lambda: (d := self.describe(name))["Status"]["State"] not in ("QUEUED", "RUNNING") and d, 30)

    def run(self, sql: str, **more: Any) -> Any:
        found = self.end(self.start(sql, **more))
        assert found["Status"]["State"] == "SUCCEEDED", found["Status"]
        return found

    def rows(self, sql: str, **more: Any) -> list[list[str | None]]:
        name = self.run(sql, **more)["QueryExecutionId"]
        pages = self.athena.get_paginator("get_query_results").paginate(QueryExecutionId=name)
        rows = [row for page in pages for row in page["ResultSet"]["Rows"]]
        return [[value.get("VarCharValue") for value in row["Data"]] for row in rows]

    def content(self, uri: str) -> str:
        bucket, key = uri.removeprefix("s3://").split("/", 1)
        return str(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode())


@pytest.fixture
def athena(engine: Engine) -> Athena:
    return Athena(engine)


def refused(call: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    return str(error["Code"]), str(error["Message"])


def test_a_select_has_its_header_its_types_and_a_file_of_csv(athena: Athena) -> None:
    found = athena.run("select 1 as a, cast(null as varchar) as b, '' as c")
    assert (found["StatementType"], found["SubstatementType"], found["WorkGroup"]) == ("DML", "SELECT", "primary")
    target = found["ResultConfiguration"]["OutputLocation"]
    assert target == f"s3://{athena.name}/results/{found['QueryExecutionId']}.csv"
    assert athena.content(target) == '"a","b","c"\n"1",,""\n'
    key = target.removeprefix(f"s3://{athena.name}/") + ".metadata"
    described = athena.s3.get_object(Bucket=athena.name, Key=key)["Body"].read()
    assert described.startswith(f"\n${found['QueryExecutionId']}".encode())  # a field with 36 characters
    assert described.count(b"hive") == 3
    answer = athena.athena.get_query_results(QueryExecutionId=found["QueryExecutionId"])
    assert [c["Type"] for c in answer["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]] == [
        "integer",
        "varchar",
        "varchar",
    ]
    assert [row["Data"] for row in answer["ResultSet"]["Rows"]] == [
        [{"VarCharValue": "a"}, {"VarCharValue": "b"}, {"VarCharValue": "c"}],
        [{"VarCharValue": "1"}, {}, {"VarCharValue": ""}],
    ]
    assert {"SubmissionDateTime", "CompletionDateTime"} <= set(found["Status"])


def test_results_come_in_pages_of_a_thousand(athena: Athena) -> None:
    rows = athena.rows("select x from unnest(sequence(1, 2500)) as s(x)")
    assert [row[0] for row in rows] == ["x", *map(str, range(1, 2501))]
    name = athena.run("select 1")["QueryExecutionId"]
    call = athena.athena.get_query_results
    assert refused(call, QueryExecutionId=name, MaxResults=1001)[0] in (
        "InvalidRequestException",
        "ParamValidationError",
    )
    assert refused(call, QueryExecutionId=name, NextToken="rubbish")[0] == "InvalidRequestException"


def test_tables_live_in_the_glue_catalog_and_their_files_in_s3(athena: Athena) -> None:
    place = f"s3://{athena.name}/t/"
    athena.run(
        f"create table t with (external_location = '{place}', partitioned_by = array['d']) as select 1 as id, 'a' as d"
    )
    athena.run("insert into t values (2, 'b')")
    assert athena.rows("select * from t order by id") == [["id", "d"], ["1", "a"], ["2", "b"]]
    keys = [one["Key"] for one in athena.s3.list_objects_v2(Bucket=athena.name, Prefix="t/")["Contents"]]
    assert sorted(key.rsplit("/", 1)[0] for key in keys) == ["t/d=a", "t/d=b"]
    found = athena.athena.get_table_metadata(CatalogName="AwsDataCatalog", DatabaseName=athena.name, TableName="t")
    assert found["TableMetadata"]["PartitionKeys"] == [{"Name": "d", "Type": "string"}]
    assert athena.describe(athena.start("select id from t where d = 'a'"))["Query"].startswith("select id")
    # An object that is deleted has no rows any more.
    athena.s3.delete_object(Bucket=athena.name, Key=next(key for key in keys if "d=b" in key))
    assert athena.rows("select id from t") == [["id"], ["1"]]


def test_markers_and_empty_objects_are_no_data(athena: Athena) -> None:
    for key, body in (
        ("j/_SUCCESS", b"x"),
        ("j/.hidden", b"x"),
        ("j/_temporary/a", b"x"),
        ("j/", b""),
        ("j/a", b'{"id": 1}\n'),
    ):
        athena.s3.put_object(Bucket=athena.name, Key=key, Body=body)
    athena.run(
        "create external table j (id int) row format serde 'org.openx.data.jsonserde.JsonSerDe' "
        f"location 's3://{athena.name}/j/'"
    )
    assert athena.rows("select id from j") == [["id"], ["1"]]


def test_a_failed_query_says_why_and_has_no_result(athena: Athena) -> None:
    found = athena.end(athena.start("select nosuch from (select 1 as a) t"))
    assert found["Status"]["State"] == "FAILED"
    assert found["Status"]["StateChangeReason"].startswith("COLUMN_NOT_FOUND")
    assert found["Status"]["AthenaError"]["ErrorCategory"] == 2
    code, message = refused(athena.athena.get_query_results, QueryExecutionId=found["QueryExecutionId"])
    assert (code, "Final query state: FAILED" in message) == ("InvalidRequestException", True)


def test_a_table_whose_place_is_gone_has_no_rows_or_says_why(athena: Athena) -> None:
    gone = f"gone-{uuid.uuid4().hex[:8]}"
    athena.s3.create_bucket(Bucket=gone)
    serde = "row format serde 'org.openx.data.jsonserde.JsonSerDe'"
    athena.run(f"create external table t (id int) partitioned by (d string) {serde} location 's3://{gone}/t/'")
    athena.s3.put_object(Bucket=gone, Key="t/d=a/x.json", Body=b'{"id": 1}\n')
    athena.run("msck repair table t")
    assert athena.rows("select id, d from t") == [["id", "d"], ["1", "a"]]
    # A folder without objects is a partition without rows, as on AWS; a bucket that is gone is an error.
    athena.s3.delete_object(Bucket=gone, Key="t/d=a/x.json")
    assert athena.rows("select id, d from t") == [["id", "d"]]
    athena.s3.delete_bucket(Bucket=gone)
    found = athena.end(athena.start("select id from t"))
    assert (found["Status"]["State"], found["Status"]["AthenaError"]["ErrorCategory"]) == ("FAILED", 2)
    assert (
        "NoSuchBucket" in found["Status"]["StateChangeReason"]
        or "does not exist" in (found["Status"]["StateChangeReason"])
    )


def test_text_that_is_no_statement_is_refused_at_once(athena: Athena) -> None:
    for sql in ("selec 1", "select * from", " ", "select 1; select 2"):
        assert refused(athena.start, sql=sql)[0] == "InvalidRequestException", sql


def test_a_query_that_runs_is_stopped(athena: Athena) -> None:
    name = athena.start(ENDLESS)
    eventually(lambda: athena.describe(name)["Status"]["State"] == "RUNNING", 20)
    code, message = refused(athena.athena.get_query_results, QueryExecutionId=name)
    assert (code, "Query has not yet finished" in message) == ("InvalidRequestException", True)
    athena.athena.stop_query_execution(QueryExecutionId=name)
    assert athena.describe(name)["Status"]["State"] == "CANCELLED"
    athena.athena.stop_query_execution(QueryExecutionId=name)  # once more changes nothing
    assert athena.rows("select 1") == [["_col0"], ["1"]]


def test_a_token_starts_a_query_once(athena: Athena) -> None:
    token = uuid.uuid4().hex
    first = athena.start("select 1", ClientRequestToken=token)
    assert athena.start("select 1", ClientRequestToken=token) == first
    code, message = refused(athena.start, sql="select 2", ClientRequestToken=token)
    assert (code, message) == ("InvalidRequestException", "Idempotent parameters do not match")


def test_a_work_group_decides_where_results_go_and_how_much_is_read(athena: Athena) -> None:
    group, call = f"g{uuid.uuid4().hex[:8]}", athena.athena
    place = f"s3://{athena.name}/group/"
    call.create_work_group(
        Name=group,
        Configuration={"ResultConfiguration": {"OutputLocation": place}, "BytesScannedCutoffPerQuery": 10_000_000},
        Tags=[{"Key": "a", "Value": "b"}],
    )
    assert refused(call.create_work_group, Name=group)[0] == "InvalidRequestException"
    found = athena.run("select 1", WorkGroup=group)
    assert found["ResultConfiguration"]["OutputLocation"].startswith(place)  # not where the request asked
    athena.s3.put_object(Bucket=athena.name, Key="big/a.json", Body=b'{"id": 1, "x": "%s"}\n' % (b"x" * 1000) * 11_000)
    athena.run(
        "create external table big (id int) row format serde 'org.openx.data.jsonserde.JsonSerDe' "
        f"location 's3://{athena.name}/big/'"
    )
    limited = athena.end(athena.start("select count(*) from big", WorkGroup=group))
    assert limited["Status"]["State"] == "CANCELLED"
    assert limited["Status"]["StateChangeReason"].startswith("Bytes scanned limit was exceeded")
    call.update_work_group(
        WorkGroup=group, State="DISABLED", ConfigurationUpdates={"RemoveBytesScannedCutoffPerQuery": True}
    )
    assert "BytesScannedCutoffPerQuery" not in call.get_work_group(WorkGroup=group)["WorkGroup"]["Configuration"]
    assert refused(athena.start, sql="select 1", WorkGroup=group)[1] == f"WorkGroup {group} is disabled."
    arn = f"arn:aws:athena:us-east-1:000000000000:workgroup/{group}"
    assert call.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    call.create_prepared_statement(StatementName="p", WorkGroup=group, QueryStatement="select ?")
    assert refused(call.delete_work_group, WorkGroup=group) == (
        "InvalidRequestException",
        f"WorkGroup {group} is not empty",
    )
    call.delete_work_group(WorkGroup=group, RecursiveDeleteOption=True)
    assert refused(call.get_work_group, WorkGroup=group)[0] == "InvalidRequestException"


def test_a_query_needs_a_place_for_its_result(athena: Athena) -> None:
    code, message = refused(athena.start, sql="select 1", ResultConfiguration={})
    assert (code, message.startswith("No output location provided.")) == ("InvalidRequestException", True)
    gone = {"OutputLocation": f"s3://nosuch-{uuid.uuid4().hex}/"}
    found = athena.end(athena.start("select 1", ResultConfiguration=gone))
    assert (found["Status"]["State"], "NoSuchBucket" in found["Status"]["StateChangeReason"]) == ("FAILED", True)


def test_named_and_prepared_statements(athena: Athena) -> None:
    call, name = athena.athena, f"p{uuid.uuid4().hex[:8]}"
    call.create_prepared_statement(StatementName=name, WorkGroup="primary", QueryStatement="select ? as a, ? as b")
    assert athena.rows(f"execute {name} using 1, 'x, ''y'") == [["a", "b"], ["1", "x, 'y"]]
    assert athena.rows(f"execute {name}", ExecutionParameters=["2", "'z'"]) == [["a", "b"], ["2", "z"]]
    call.delete_prepared_statement(StatementName=name, WorkGroup="primary")
    assert (
        refused(call.get_prepared_statement, StatementName=name, WorkGroup="primary")[0] == "ResourceNotFoundException"
    )
    assert "was not found" in refused(athena.start, sql=f"execute {name}")[1]
    made = call.create_named_query(Name="n", Database=athena.name, QueryString="select 1")["NamedQueryId"]
    assert call.get_named_query(NamedQueryId=made)["NamedQuery"]["QueryString"] == "select 1"
    call.delete_named_query(NamedQueryId=made)
    assert refused(call.get_named_query, NamedQueryId=made)[0] == "InvalidRequestException"


def test_many_queries_at_once_all_end_with_their_own_answer(athena: Athena) -> None:
    names = {number: athena.start(f"select {number} as n") for number in range(30)}
    for number, name in names.items():
        assert athena.end(name)["Status"]["State"] == "SUCCEEDED"
        [_, row] = athena.athena.get_query_results(QueryExecutionId=name)["ResultSet"]["Rows"]
        assert row["Data"] == [{"VarCharValue": str(number)}]


def test_a_process_that_dies_costs_its_query_and_nothing_else(athena: Athena, engine: Engine) -> None:
    name = athena.start(ENDLESS)
    eventually(lambda: athena.describe(name)["Status"]["State"] == "RUNNING", 20)
    before = time.monotonic()
    for child in _workers(engine):
        _kill(child)
    found = athena.end(name)
    assert (found["Status"]["State"], time.monotonic() - before < 20) == ("FAILED", True)
    assert "the process of the query ended" in found["Status"]["StateChangeReason"]
    assert athena.rows("select 1") == [["_col0"], ["1"]]


def _workers(engine: Engine) -> list[int]:
    return [
        child
        for child in engine.children()
        if b"sluice_ext.athena.worker" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def test_queries_and_work_groups_survive_a_restart_and_one_that_ran_has_failed(keeper: Keeper) -> None:
    athena = Athena(keeper.engine)
    done = athena.run("select 42 as answer")["QueryExecutionId"]
    athena.athena.create_work_group(Name="kept")
    running = athena.start(ENDLESS)
    eventually(lambda: athena.describe(running)["Status"]["State"] == "RUNNING", 20)
    keeper.again()
    athena.athena = keeper.engine.client("athena")
    rows = athena.athena.get_query_results(QueryExecutionId=done)["ResultSet"]["Rows"]
    assert [row["Data"] for row in rows] == [[{"VarCharValue": "answer"}], [{"VarCharValue": "42"}]]
    assert "kept" in [one["Name"] for one in athena.athena.list_work_groups()["WorkGroups"]]
    status = athena.describe(running)["Status"]
    assert (status["State"], "the engine was stopped" in status["StateChangeReason"]) == ("FAILED", True)


def test_step_functions_wait_for_a_query_and_fail_with_it(athena: Athena) -> None:
    states = athena.engine.client("stepfunctions")
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::athena:startQueryExecution.sync",
        "Parameters": {
            "QueryString.$": "$.sql",
            "ResultConfiguration": {"OutputLocation": f"s3://{athena.name}/results/"},
        },
        "End": True,
    }
    definition = json.dumps({"StartAt": "Ask", "States": {"Ask": task}})
    machine = states.create_state_machine(name=athena.name, definition=definition, roleArn=ROLE)["stateMachineArn"]

    def end(sql: str) -> Any:
        started = states.start_execution(stateMachineArn=machine, input=json.dumps({"sql": sql}))["executionArn"]
        return eventually(
            lambda: (d := states.describe_execution(executionArn=started))["status"] != "RUNNING" and d, 60
        )

    done = end("select 42 as answer")
    assert done["status"] == "SUCCEEDED", done
    query = json.loads(done["output"])["QueryExecution"]
    assert query["Status"]["State"] == "SUCCEEDED"
    assert athena.content(query["ResultConfiguration"]["OutputLocation"]) == '"answer"\n"42"\n'
    failed = end("select 1 / 0")
    assert failed["status"] == "FAILED", failed
    assert "DIVISION_BY_ZERO" in failed["cause"]
