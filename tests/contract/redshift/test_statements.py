"""The Data API: statements, batches, parameters, results, tokens, limits, events."""

import json
import time
import uuid
from typing import Any

import pytest

from tests.support.engine_harness import Queue, eventually
from tests.support.redshift import Warehouse, client_of, refused

SLOW = "select pg_sleep(30)"


def table() -> str:
    return f"t{uuid.uuid4().hex[:10]}"


# -- one statement ---------------------------------------------------------------------------------------------------


def test_the_answer_to_execute_names_where_it_runs_and_not_the_sql(shared: Warehouse) -> None:
    answer = shared.start("select 1")
    del answer["ResponseMetadata"]
    assert answer.keys() == {"Id", "CreatedAt", "Database", "SecretArn", "WorkgroupName"}
    assert (answer["Database"], answer["WorkgroupName"]) == ("dev", shared.name)
    assert str(uuid.UUID(answer["Id"])) == answer["Id"]


def test_every_type_has_its_field(shared: Warehouse) -> None:
    sql = (
        "select 1::smallint a, 2::int b, 9223372036854775807::bigint c, 1.5::float8 d, 2.50::numeric(10,2) e, "
        "true f, false g, 'x'::varchar h, null::int i, '2024-09-30 23:59:59'::timestamp j, '2024-09-30'::date k, "
        "''::varchar l"
    )
    records = shared.data.get_statement_result(Id=shared.run(sql)["Id"])["Records"]
    assert records == [
        [
            {"longValue": 1},
            {"longValue": 2},
            {"longValue": 9223372036854775807},
            {"doubleValue": 1.5},
            {"stringValue": "2.50"},
            {"booleanValue": True},
            {"booleanValue": False},
            {"stringValue": "x"},
            {"isNull": True},
            {"stringValue": "2024-09-30 23:59:59"},
            {"stringValue": "2024-09-30"},
            {"stringValue": ""},
        ]
    ]


def test_columns_have_their_labels_and_types(shared: Warehouse) -> None:
    name = shared.run("select 1 as n, 'x'::varchar(3) as text, 2.5::numeric(10,2) as price, now() as at")["Id"]
    columns = shared.data.get_statement_result(Id=name)["ColumnMetadata"]
    assert [(one["name"], one["label"], one["typeName"]) for one in columns] == [
        ("n", "n", "int4"),
        ("text", "text", "varchar"),
        ("price", "price", "numeric"),
        ("at", "at", "timestamptz"),
    ]
    assert (columns[2]["precision"], columns[2]["scale"]) == (10, 2)


def test_a_finished_query_is_described_with_its_rows_time_and_process(shared: Warehouse) -> None:
    found = shared.run("select 1 union all select 2")
    assert (found["ResultRows"], found["HasResultSet"], found["ResultFormat"]) == (2, True, "JSON")
    assert found["ResultSize"] > 0
    assert found["RedshiftPid"] > 0
    assert found["RedshiftQueryId"] > 0
    assert 0 < found["Duration"] < 30_000_000_000
    assert found["UpdatedAt"] >= found["CreatedAt"]
    assert "Error" not in found


def test_a_change_has_its_number_of_rows_and_no_result(shared: Warehouse) -> None:
    name = table()
    shared.run(f"create table {name} (a int)")
    found = shared.run(f"insert into {name} values (1), (2), (3)")
    assert (found["ResultRows"], found["ResultSize"], found["HasResultSet"]) == (3, -1, False)
    code, message = refused(shared.data.get_statement_result, Id=found["Id"])
    assert code == "ResourceNotFoundException"
    assert message == "Query does not have result. Please check query status with DescribeStatement."
    assert shared.rows(f"select count(*) from {name}") == [[3]]


def test_a_query_without_rows_has_columns_and_an_empty_page(shared: Warehouse) -> None:
    found = shared.run("select 1 as a where false")
    assert (found["ResultRows"], found["HasResultSet"]) == (0, True)
    answer = shared.data.get_statement_result(Id=found["Id"])
    assert (answer["Records"], answer["TotalNumRows"]) == ([], 0)
    assert [one["name"] for one in answer["ColumnMetadata"]] == ["a"]


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("select * from no_such_table", 'ERROR: relation "no_such_table" does not exist'),
        ("select 1/0", "ERROR: division by zero"),
        ("selec 1", "ERROR: syntax error"),
        ("select 1; select 2", "ERROR: cannot insert multiple commands into a prepared statement"),
    ],
)
def test_a_statement_that_fails_says_why(shared: Warehouse, sql: str, why: str) -> None:
    found = shared.end(shared.start(sql)["Id"])
    assert (found["Status"], found["HasResultSet"], found["ResultRows"]) == ("FAILED", False, -1)
    assert found["Error"].startswith(why)


def test_a_database_that_is_not_there_fails_the_statement(shared: Warehouse) -> None:
    assert shared.failure("select 1", Database="other") == 'FATAL: database "other" does not exist'


# -- parameters ------------------------------------------------------------------------------------------------------


def with_values(**values: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def test_parameters_are_values_whatever_they_say(shared: Warehouse) -> None:
    hostile = "'; drop table x; -- %s %(a)s :b \\ \""
    found = shared.rows("select :a::varchar, :b::int + 1, '100%'::varchar", Parameters=with_values(a=hostile, b="41"))
    assert found == [[hostile, 42, "100%"]]


def test_a_parameter_may_be_used_twice_and_not_inside_of_quotes(shared: Warehouse) -> None:
    assert shared.rows("select :a::int + :a::int, ':b'", Parameters=with_values(a="2")) == [[4, ":b"]]


def test_a_cast_is_no_parameter(shared: Warehouse) -> None:
    assert shared.rows("select '5'::int") == [[5]]


def test_an_unused_parameter_is_refused(shared: Warehouse) -> None:
    code, message = refused(shared.start, sql="select ':b'", Parameters=with_values(a="1", b="2"))
    assert code == "ValidationException"
    assert message == "Parameters list contains unused parameters. Unused parameters: [a, b]"


def test_a_parameter_without_a_value_is_a_syntax_error_of_the_database(shared: Warehouse) -> None:
    assert shared.failure("select :a").startswith('ERROR: syntax error at or near ":"')
    assert "Position: 16" in shared.failure("select :a::int+:b", Parameters=with_values(a="1"))


@pytest.mark.parametrize("name", ["", "a-b", ":a", "a b"])
def test_a_wrong_name_of_a_parameter_is_refused(shared: Warehouse, name: str) -> None:
    data = client_of(shared.engine, "redshift-data", {"AccessKeyId": "test", "SecretAccessKey": "test"})
    wanted = shared.place | {"Sql": "select :a", "Parameters": [{"name": name, "value": "1"}]}
    assert refused(data.execute_statement, **wanted)[0] == "ValidationException"


def test_empty_values_and_lists_and_names_given_twice_are_refused(shared: Warehouse) -> None:
    data = client_of(shared.engine, "redshift-data", {"AccessKeyId": "test", "SecretAccessKey": "test"})
    for wrong in ([], [{"name": "a", "value": ""}], [{"name": "a"}], with_values(a="1") * 2):
        found = refused(data.execute_statement, **(shared.place | {"Sql": "select :a", "Parameters": wrong}))
        assert found[0] == "ValidationException", wrong


# -- wrong requests --------------------------------------------------------------------------------------------------


def test_where_a_statement_runs_must_be_said_once(shared: Warehouse) -> None:
    run = shared.data.execute_statement
    assert refused(run, Sql="select 1", Database="dev") == (
        "ValidationException",
        "Either ClusterIdentifier or WorkgroupName needs to be specified.",
    )
    both = {"WorkgroupName": shared.name, "ClusterIdentifier": "one"}
    assert refused(run, Sql="select 1", Database="dev", **both)[0] == "ValidationException"
    for place in ({"ClusterIdentifier": "one"}, {"WorkgroupName": "no-such-group"}):
        found = refused(run, Sql="select 1", Database="dev", **place)
        assert found == ("ValidationException", "Redshift endpoint doesn't exist in this region.")


def test_a_work_group_may_be_named_by_its_arn(shared: Warehouse) -> None:
    assert shared.rows("select 7", WorkgroupName=shared.workgroup["workgroupArn"]) == [[7]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"DbUser": "admin"},
        {"Database": ""},
        {"ClientToken": "x" * 65},
        {"StatementName": "x" * 501},
        {"ResultFormat": "XML"},
        {"SessionKeepAliveSeconds": 86_401},
        {"SessionKeepAliveSeconds": -1},
        {"WaitTimeSeconds": 31},
        {"Sql": " "},
        {"Sql": "select '" + "x" * 100 * 1024 + "'"},
        {"SecretArn": "arn:aws:secretsmanager:us-east-1:000000000000:secret:none-abcdef"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_the_api_does_not_take_is_refused_and_runs_nothing(shared: Warehouse, wrong: dict[str, Any]) -> None:
    data = client_of(shared.engine, "redshift-data", {"AccessKeyId": "test", "SecretAccessKey": "test"})
    name = f"name-{uuid.uuid4().hex}"
    wanted = shared.place | {"Sql": "select 1", "StatementName": name} | wrong
    assert refused(data.execute_statement, **wanted)[0] == "ValidationException"
    assert shared.data.list_statements(StatementName=name, Status="ALL")["Statements"] == []


def test_a_secret_must_have_a_name_and_a_password(shared: Warehouse) -> None:
    secrets = shared.engine.client("secretsmanager")
    for content in ("no json", "{}", json.dumps({"username": "admin"})):
        arn = secrets.create_secret(Name=f"s-{uuid.uuid4().hex}", SecretString=content)["ARN"]
        assert refused(shared.start, sql="select 1", SecretArn=arn)[0] == "ValidationException"


def test_a_secret_with_a_wrong_password_fails_the_statement(shared: Warehouse) -> None:
    content = json.dumps({"username": "admin", "password": "Wrong-passw0rd"})
    arn = shared.engine.client("secretsmanager").create_secret(Name=f"s-{uuid.uuid4().hex}", SecretString=content)[
        "ARN"
    ]
    assert "password authentication failed" in shared.failure("select 1", SecretArn=arn)


@pytest.mark.parametrize("operation", ["describe_statement", "get_statement_result", "cancel_statement"])
def test_an_unknown_statement_does_not_exist(shared: Warehouse, operation: str) -> None:
    known = shared.run("select 1")["Id"]
    for name in (str(uuid.uuid4()), f"{known}:1"):
        found = refused(getattr(shared.data, operation), Id=name)
        assert found == ("ResourceNotFoundException", "Query does not exist.")


# -- tokens, listing, cancelling -------------------------------------------------------------------------------------


def test_the_same_token_runs_a_statement_once(shared: Warehouse) -> None:
    name, token = table(), uuid.uuid4().hex
    shared.run(f"create table {name} (a int)")
    sql = f"insert into {name} values (1)"
    ids = {shared.start(sql, ClientToken=token)["Id"] for _ in range(3)}
    assert len(ids) == 1
    shared.end(ids.pop())
    assert shared.rows(f"select count(*) from {name}") == [[1]]
    code, _ = refused(shared.start, sql="select 2", ClientToken=token)
    assert code == "ValidationException"


def test_statements_are_listed_by_state_and_beginning_of_their_name_newest_first(shared: Warehouse) -> None:
    name = f"list-{uuid.uuid4().hex}"
    first = shared.run("select 1", StatementName=f"{name}-1")["Id"]
    second = shared.end(shared.start("selec", StatementName=f"{name}-2")["Id"])["Id"]
    listed = shared.data.list_statements

    def ids(**more: Any) -> list[str]:
        return [one["Id"] for one in listed(StatementName=name, **more)["Statements"]]

    assert ids() == [first]  # the finished ones
    assert ids(Status="ALL") == [second, first]
    assert ids(Status="FAILED") == [second]
    assert ids(Status="ALL", Database="other") == []
    assert ids(Status="ALL", WorkgroupName=shared.name) == [second, first]
    page = listed(StatementName=name, Status="ALL", MaxResults=1)
    assert [one["Id"] for one in page["Statements"]] == [second]
    rest = listed(StatementName=name, Status="ALL", MaxResults=1, NextToken=page["NextToken"])
    assert ([one["Id"] for one in rest["Statements"]], rest.get("NextToken")) == ([first], None)
    assert refused(listed, NextToken="not a token")[0] == "ValidationException"


def test_a_statement_that_runs_is_cancelled(shared: Warehouse) -> None:
    name = shared.start(SLOW)["Id"]
    eventually(lambda: shared.data.describe_statement(Id=name)["Status"] == "STARTED", 10, "it runs")
    began = time.monotonic()
    assert shared.data.cancel_statement(Id=name)["Status"] is True
    found = shared.end(name)
    assert time.monotonic() - began < 15
    assert (found["Status"], found["HasResultSet"]) == ("ABORTED", False)
    code, message = refused(shared.data.cancel_statement, Id=name)
    assert code == "ValidationException"
    assert message == f"Could not cancel a query that is already in ABORTED state with ID: {name}"


def test_a_statement_can_be_waited_for(shared: Warehouse) -> None:
    answer = shared.start("select pg_sleep(0.2)", WaitTimeSeconds=30)
    assert (answer["Status"], answer["HasResultSet"]) == ("FINISHED", True)
    name = shared.start("select pg_sleep(0.5)")["Id"]
    assert shared.data.describe_statement(Id=name, WaitTimeSeconds=30)["Status"] == "FINISHED"


def test_the_states_are_seen_while_a_statement_runs(shared: Warehouse) -> None:
    name = shared.start("select pg_sleep(1)")["Id"]
    seen = [shared.data.describe_statement(Id=name)["Status"]]

    def ended() -> bool:
        status = shared.data.describe_statement(Id=name)["Status"]
        if status != seen[-1]:
            seen.append(status)
        return bool(status == "FINISHED")

    eventually(ended, 20)
    order = ["SUBMITTED", "PICKED", "STARTED", "FINISHED"]
    assert seen == [one for one in order if one in seen]
    assert seen[-2:] == ["STARTED", "FINISHED"]


# -- results ---------------------------------------------------------------------------------------------------------


def test_large_results_come_in_pages(shared: Warehouse) -> None:
    name = shared.run("select n, repeat('x', 100) from generate_series(1, 20000) as s(n)")["Id"]
    pages = list(shared.data.get_paginator("get_statement_result").paginate(Id=name))
    assert len(pages) > 1
    assert {page["TotalNumRows"] for page in pages} == {20_000}
    assert [record[0]["longValue"] for page in pages for record in page["Records"]] == list(range(1, 20_001))
    assert refused(shared.data.get_statement_result, Id=name, NextToken="x")[0] == "ValidationException"


def test_csv_has_null_as_nothing_and_an_empty_text_in_quotes(shared: Warehouse) -> None:
    sql = "select 1 as a, null::int as b, ''::varchar as c, 'x,\"y\"'::varchar as d, true as e"
    name = shared.run(sql, ResultFormat="CSV")["Id"]
    answer = shared.data.get_statement_result_v2(Id=name)
    assert answer["ResultFormat"] == "CSV"
    assert answer["Records"] == [{"CSVRecords": '"1",,"","x,""y""","true"\r\n'}]
    assert refused(shared.data.get_statement_result, Id=name)[0] == "ValidationException"
    other = shared.run("select 1")["Id"]
    assert refused(shared.data.get_statement_result_v2, Id=other)[0] == "ValidationException"


def test_a_row_that_is_too_large_fails_the_query(shared: Warehouse) -> None:
    assert "Packet for query is too large" in shared.failure("select repeat('x', 70000)")
    assert shared.rows("select length(repeat('x', 60000))") == [[60_000]]


def test_a_result_before_the_end_is_not_there(shared: Warehouse) -> None:
    name = shared.start("select pg_sleep(2)")["Id"]
    assert refused(shared.data.get_statement_result, Id=name)[0] == "ResourceNotFoundException"
    shared.data.cancel_statement(Id=name)
    shared.end(name)
    assert refused(shared.data.get_statement_result, Id=name)[0] == "ResourceNotFoundException"


# -- batches ---------------------------------------------------------------------------------------------------------


def test_a_batch_has_a_statement_and_a_result_for_each_text(shared: Warehouse) -> None:
    name = table()
    found = shared.batch(f"create table {name} (a int)", f"insert into {name} values (1), (2)", f"select a from {name}")
    assert (found["Status"], found["HasResultSet"]) == ("FINISHED", True)
    assert "QueryString" not in found
    assert [one["Id"] for one in found["SubStatements"]] == [f"{found['Id']}:{n}" for n in (1, 2, 3)]
    assert [(one["Status"], one["HasResultSet"]) for one in found["SubStatements"]] == [
        ("FINISHED", False),
        ("FINISHED", False),
        ("FINISHED", True),
    ]
    assert shared.result(f"{found['Id']}:3") == [[1], [2]]
    part = shared.data.describe_statement(Id=f"{found['Id']}:2")
    assert (part["QueryString"], part["ResultRows"]) == (f"insert into {name} values (1), (2)", 2)
    for number in (1, 4):
        assert refused(shared.data.get_statement_result, Id=f"{found['Id']}:{number}")[0] == "ResourceNotFoundException"
    assert refused(shared.data.get_statement_result, Id=found["Id"])[0] == "ResourceNotFoundException"


def test_a_batch_that_fails_has_changed_nothing(shared: Warehouse) -> None:
    name = table()
    shared.run(f"create table {name} (a int)")
    found = shared.batch(f"insert into {name} values (1)", "select 1/0", f"insert into {name} values (2)")
    assert found["Status"] == "FAILED"
    assert found["Error"] == "Query #2 failed with ERROR: division by zero"
    states = [(one["Status"], one.get("Error")) for one in found["SubStatements"]]
    assert states[1:] == [("FAILED", "ERROR: division by zero"), ("ABORTED", None)]
    assert shared.rows(f"select count(*) from {name}") == [[0]]


def test_a_batch_that_commits_each_statement_has_changed_what_was_before_the_failure(shared: Warehouse) -> None:
    name = table()
    shared.run(f"create table {name} (a int)")
    found = shared.batch(f"insert into {name} values (1)", "select 1/0", ExecutionMode="AUTO_COMMIT")
    assert (found["Status"], found["ExecutionMode"]) == ("FAILED", "AUTO_COMMIT")
    assert shared.rows(f"select count(*) from {name}") == [[1]]


def test_parameters_are_for_all_statements_of_a_batch(shared: Warehouse) -> None:
    found = shared.batch("select :a::int", "select :a::int + :b::int", Parameters=with_values(a="1", b="2"))
    assert shared.result(f"{found['Id']}:2") == [[3]]
    data = shared.data
    code, _ = refused(data.batch_execute_statement, Sqls=["select 1"], Parameters=with_values(a="1"), **shared.place)
    assert code == "ValidationException"


def test_a_cancelled_batch_has_changed_nothing(shared: Warehouse) -> None:
    name = table()
    shared.run(f"create table {name} (a int)")
    sqls = [f"insert into {name} values (1)", SLOW, f"insert into {name} values (2)"]
    batch = shared.data.batch_execute_statement(Sqls=sqls, **shared.place)["Id"]
    eventually(lambda: shared.data.describe_statement(Id=f"{batch}:2")["Status"] == "STARTED", 10, "the second runs")
    code, _ = refused(shared.data.cancel_statement, Id=f"{batch}:2")
    assert code == "ValidationException"
    shared.data.cancel_statement(Id=batch)
    found = shared.end(batch)
    assert [one["Status"] for one in found["SubStatements"]][1:] == ["ABORTED", "ABORTED"]
    assert found["Status"] == "ABORTED"
    assert shared.rows(f"select count(*) from {name}") == [[0]]


def test_a_batch_has_1_to_40_statements_and_at_most_100_kb(shared: Warehouse) -> None:
    assert shared.batch(*["select 1"] * 40)["Status"] == "FINISHED"
    large = "select '" + "x" * 60 * 1024 + "'"
    data = client_of(shared.engine, "redshift-data", {"AccessKeyId": "test", "SecretAccessKey": "test"})
    for sqls in (["select 1"] * 41, [], [large, large], ["select 1", ""]):
        assert refused(data.batch_execute_statement, Sqls=sqls, **shared.place)[0] == "ValidationException"


def test_a_batch_is_listed_with_its_texts(shared: Warehouse) -> None:
    name = f"batch-{uuid.uuid4().hex}"
    shared.batch("select 1", "select 2", StatementName=name)
    [listed] = shared.data.list_statements(StatementName=name)["Statements"]
    assert (listed["IsBatchStatement"], listed["QueryStrings"]) == (True, ["select 1", "select 2"])


# -- events ----------------------------------------------------------------------------------------------------------


def test_with_event_tells_the_bus_of_the_end(shared: Warehouse) -> None:
    queue, events, rule = Queue(shared.engine), shared.engine.client("events"), f"r{uuid.uuid4().hex[:10]}"
    name = f"event-{uuid.uuid4().hex}"
    events.put_rule(
        Name=rule,
        EventPattern=json.dumps({"source": ["aws.redshift-data"], "detail": {"statementName": [{"prefix": name}]}}),
    )
    events.put_targets(Rule=rule, Targets=[{"Id": "q", "Arn": queue.arn}])
    statement = shared.run("select 1 union all select 2", WithEvent=True, StatementName=f"{name}-1")
    failed = shared.end(shared.start("selec", WithEvent=True, StatementName=f"{name}-2")["Id"])
    shared.run("select 3", StatementName=f"{name}-3")  # sends none
    found: dict[str, Any] = {}

    def received() -> bool:
        for message in queue.receive():
            event = json.loads(message["Body"])
            found[event["detail"]["statementId"]] = event
        return len(found) == 2

    eventually(received, 20, "two events")
    event = found[statement["Id"]]
    assert event["detail-type"] == "Redshift Data Statement Status Change"
    assert event["resources"] == [shared.workgroup["workgroupArn"]]
    assert (event["detail"]["state"], event["detail"]["rows"]) == ("FINISHED", 2)
    assert found[failed["Id"]]["detail"]["state"] == "FAILED"
    events.remove_targets(Rule=rule, Ids=["q"])
    events.delete_rule(Name=rule)
