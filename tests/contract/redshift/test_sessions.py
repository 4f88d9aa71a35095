"""Sessions, callers, and what they may see and do."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.engine_harness import Engine, eventually
from tests.support.redshift import Warehouse, client_of, refused

Make = Callable[..., Warehouse]


# -- sessions --------------------------------------------------------------------------------------------------------


def opened(shared: Warehouse, sql: str = "create temp table kept as select 1 as a", seconds: int = 600) -> str:
    """A session that an opening statement has left."""
    answer = shared.start(sql, SessionKeepAliveSeconds=seconds)
    assert shared.end(answer["Id"])["SessionId"] == answer["SessionId"]
    return str(answer["SessionId"])


def test_temporary_tables_and_settings_live_on_in_a_session(shared: Warehouse) -> None:
    session = opened(shared)
    shared.run("insert into kept values (2)", SessionId=session)
    shared.run("set application_name to 'mine'", SessionId=session)
    assert shared.rows("select sum(a) from kept", SessionId=session) == [[3]]
    assert shared.rows("show application_name", SessionId=session) == [["mine"]]
    assert 'relation "kept" does not exist' in shared.failure("select * from kept")


def test_a_transaction_may_span_statements_of_a_session(shared: Warehouse) -> None:
    name = f"t{uuid.uuid4().hex[:10]}"
    session = opened(shared, f"create table {name} (a int)")
    for sql in ("begin", f"insert into {name} values (1)"):
        shared.run(sql, SessionId=session)
    assert shared.rows(f"select count(*) from {name}") == [[0]]
    shared.run("rollback", SessionId=session)
    batch = shared.batch(f"insert into {name} values (2)", f"select count(*) from {name}", SessionId=session)
    assert shared.result(f"{batch['Id']}:2") == [[1]]
    failed = shared.batch(f"insert into {name} values (3)", "select 1/0", SessionId=session)
    assert failed["Status"] == "FAILED"
    assert shared.rows(f"select a from {name}", SessionId=session) == [[2]]


def test_a_session_says_where_it_runs_so_the_request_may_not(shared: Warehouse) -> None:
    session = opened(shared)
    for more in ({"WorkgroupName": shared.name}, {"Database": "dev"}, {"SecretArn": shared.secret}):
        code, _ = refused(shared.data.execute_statement, Sql="select 1", SessionId=session, **more)
        assert code == "ValidationException"
    found = shared.run("select 1", SessionId=session)
    assert (found["WorkgroupName"], found["Database"], found["SecretArn"]) == (shared.name, "dev", shared.secret)


def test_a_session_runs_one_statement_at_a_time(shared: Warehouse) -> None:
    session = opened(shared)
    slow = shared.start("select pg_sleep(20)", SessionId=session)["Id"]
    assert refused(shared.data.execute_statement, Sql="select 1", SessionId=session)[0] == "ValidationException"
    eventually(lambda: shared.data.describe_statement(Id=slow)["Status"] == "STARTED", 10)
    shared.data.cancel_statement(Id=slow)
    shared.end(slow)
    # A cancelled statement leaves the session open.
    assert eventually(lambda: _tried(shared, session), 10) == [[1]]


def _tried(shared: Warehouse, session: str) -> Any:
    try:
        return shared.rows("select a from kept", SessionId=session)
    except shared.data.exceptions.ValidationException:  # a moment before it is free
        return None


def test_a_session_ends_when_its_time_is_over(shared: Warehouse) -> None:
    session = opened(shared, seconds=1)

    def gone() -> bool:
        try:
            shared.data.execute_statement(Sql="select pg_sleep(0)", SessionId=session, SessionKeepAliveSeconds=0)
        except shared.data.exceptions.ResourceNotFoundException:
            return True
        except shared.data.exceptions.ValidationException:
            return False
        return False

    eventually(gone, 20, "the session is over")


def test_an_unknown_session_does_not_exist(shared: Warehouse) -> None:
    found = refused(shared.data.execute_statement, Sql="select 1", SessionId=str(uuid.uuid4()))
    assert found[0] == "ResourceNotFoundException"


# -- callers ---------------------------------------------------------------------------------------------------------


def user(engine: Engine) -> tuple[str, dict[str, str]]:
    """An IAM user and its keys."""
    iam, name = engine.client("iam"), f"u{uuid.uuid4().hex[:10]}"
    iam.create_user(UserName=name)
    return name, iam.create_access_key(UserName=name)["AccessKey"]


def test_a_user_of_iam_is_a_user_of_the_database_without_rights(shared: Warehouse, engine: Engine) -> None:
    name, keys = user(engine)
    data = client_of(engine, "redshift-data", keys)
    table = f"t{uuid.uuid4().hex[:10]}"
    shared.run(f"create table {table} (a int)")
    place = {"WorkgroupName": shared.name, "Database": "dev"}
    answer = data.execute_statement(Sql="select current_user", **place)
    assert answer["DbUser"] == f"IAM:{name}"
    found = shared.end(answer["Id"], data)
    assert found["Status"] == "FINISHED", found
    assert data.get_statement_result(Id=answer["Id"])["Records"] == [[{"stringValue": f"IAM:{name}"}]]
    failed = shared.end(data.execute_statement(Sql=f"select * from {table}", **place)["Id"], data)
    assert failed["Error"] == f"ERROR: permission denied for table {table}"
    shared.run(f'grant select on {table} to "IAM:{name}"')
    assert shared.end(data.execute_statement(Sql=f"select * from {table}", **place)["Id"], data)["Status"] == "FINISHED"


def test_the_administrator_may_use_what_users_have_made(shared: Warehouse, engine: Engine) -> None:
    _, keys = user(engine)
    data = client_of(engine, "redshift-data", keys)
    table = f"t{uuid.uuid4().hex[:10]}"
    place = {"WorkgroupName": shared.name, "Database": "dev"}
    made = data.execute_statement(Sql=f"create table public.{table} as select 5 as a", **place)["Id"]
    assert shared.end(made, data)["Status"] == "FINISHED"
    assert shared.rows(f"select a from {table}") == [[5]]


def test_a_role_sees_its_own_statements_only(shared: Warehouse, engine: Engine) -> None:
    iam, sts, name = engine.client("iam"), engine.client("sts"), f"r{uuid.uuid4().hex[:10]}"
    trust = {"Statement": {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    actions = ["redshift-data:*", "redshift-serverless:GetCredentials"]
    rights = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": actions, "Resource": "*"}}
    iam.put_role_policy(RoleName=name, PolicyName="rights", PolicyDocument=json.dumps(rights))
    first, second = (
        client_of(engine, "redshift-data", sts.assume_role(RoleArn=arn, RoleSessionName=one)["Credentials"])
        for one in ("first", "second")
    )
    place = {"WorkgroupName": shared.name, "Database": "dev"}
    answer = first.execute_statement(Sql="select 1", **place)
    assert answer["DbUser"] == f"IAMR:{name}"
    statement = answer["Id"]
    shared.end(statement, first)
    for operation in ("describe_statement", "get_statement_result", "cancel_statement"):
        assert refused(getattr(shared.data, operation), Id=statement)[0] == "ResourceNotFoundException"
    # Another session of the role sees them, unless it asks for its own.
    assert second.describe_statement(Id=statement)["Status"] == "FINISHED"
    assert [one["Id"] for one in second.list_statements()["Statements"]] == [statement]
    assert second.list_statements(RoleLevel=False)["Statements"] == []
    assert [one["Id"] for one in first.list_statements(RoleLevel=False)["Statements"]] == [statement]
    token = {"Sql": "select 1", "ClientToken": uuid.uuid4().hex} | place
    assert first.execute_statement(**token)["Id"] != shared.data.execute_statement(**token)["Id"]


def test_a_session_is_its_caller_s(shared: Warehouse, engine: Engine) -> None:
    _, keys = user(engine)
    other = client_of(engine, "redshift-data", keys)
    found = refused(other.execute_statement, Sql="select 1", SessionId=opened(shared))
    assert found[0] == "ResourceNotFoundException"


# -- what is there ---------------------------------------------------------------------------------------------------


def test_databases_schemas_tables_and_columns_are_listed(warehouse: Make) -> None:
    made = warehouse()
    made.run("create schema other")
    made.run("create table public.trips (id bigint not null, price numeric(10,2) default 1.5, name varchar(20))")
    made.run("create view other.few as select id from public.trips")
    data, place = made.data, made.place
    assert data.list_databases(**place)["Databases"] == ["dev"]
    assert {"public", "other", "pg_catalog"} <= set(data.list_schemas(**place)["Schemas"])
    assert data.list_schemas(**place, SchemaPattern="oth%")["Schemas"] == ["other"]
    assert data.list_tables(**place, SchemaPattern="public")["Tables"] == [
        {"name": "trips", "type": "TABLE", "schema": "public"}
    ]
    assert data.list_tables(**place, TablePattern="f_w")["Tables"] == [
        {"name": "few", "type": "VIEW", "schema": "other"}
    ]
    columns = data.describe_table(**place, Table="trips", Schema="public")["ColumnList"]
    keys = ("name", "typeName", "nullable", "precision", "scale", "length")
    assert [tuple(one[key] for key in keys) for one in columns] == [
        ("id", "int8", 0, 0, 0, 8),
        ("price", "numeric", 1, 10, 2, 10),
        ("name", "varchar", 1, 20, 0, 20),
    ]
    assert (columns[1]["columnDefault"], columns[2]["tableName"]) == ("1.5", "trips")
    assert data.describe_table(**place, Table="none")["ColumnList"] == []


def test_lists_come_in_pages_and_take_no_wrong_request(shared: Warehouse) -> None:
    place = shared.place
    page = shared.data.list_tables(**place, SchemaPattern="pg_catalog", MaxResults=2)
    assert len(page["Tables"]) == 2
    rest = shared.data.list_tables(**place, SchemaPattern="pg_catalog", MaxResults=2, NextToken=page["NextToken"])
    assert rest["Tables"] != page["Tables"]
    assert refused(shared.data.list_tables, **place, NextToken="x")[0] == "ValidationException"
    assert refused(shared.data.list_tables, Database="dev")[0] == "ValidationException"
    assert refused(shared.data.describe_table, **place)[0] == "ValidationException"
    other = place | {"Database": "other"}
    assert refused(shared.data.list_schemas, **other)[0] == "DatabaseConnectionException"


@pytest.mark.parametrize("operation", ["list_databases", "list_schemas", "list_tables"])
def test_a_pattern_is_a_value(shared: Warehouse, operation: str) -> None:
    if operation == "list_databases":
        assert shared.data.list_databases(**shared.place)["Databases"] == ["dev"]
        return
    hostile = "x' OR '1'='1"
    answer = getattr(shared.data, operation)(**shared.place, SchemaPattern=hostile)
    assert answer[operation.removeprefix("list_").capitalize()] == []
