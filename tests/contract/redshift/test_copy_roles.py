"""COPY through the Data API: only a role of the namespace that trusts Redshift, and with that role's rights alone."""

from collections.abc import Callable

import pytest

from tests.support.engine_harness import Engine
from tests.support.redshift import Load, Warehouse, make_role


@pytest.fixture
def load(engine: Engine, warehouse: Callable[..., Warehouse]) -> Load:
    return Load.make(engine, warehouse)


@pytest.mark.parametrize("role", [None, "default"])
def test_the_role_of_the_namespace_loads(load: Load, role: str | None) -> None:
    found = load.copy(role)
    assert (found["Status"], found["HasResultSet"]) == ("FINISHED", False), found
    assert load.rows() == [[1, "x"], [2, None], [3, "ü"]]


def test_a_role_that_is_not_the_namespace_s_is_refused(load: Load, engine: Engine) -> None:
    other = make_role(engine, load.bucket)
    found = load.copy(f"'{other}'")
    arn = load.warehouse.namespace["namespaceArn"]
    assert (found["Status"], found["Error"]) == (
        "FAILED",
        f"ERROR: User {arn} is not authorized to assume IAM Role {other}",
    )
    assert load.rows() == []


def test_a_role_that_trusts_another_service_is_refused(load: Load, engine: Engine) -> None:
    other = make_role(engine, load.bucket, service="lambda.amazonaws.com")
    load.warehouse.serverless.update_namespace(namespaceName=load.warehouse.name, iamRoles=[load.role, other])
    assert "is not authorized to assume IAM Role" in load.copy(f"'{other}'")["Error"]


def test_a_role_without_a_right_reads_nothing(load: Load, engine: Engine) -> None:
    other = make_role(engine, load.bucket, allowed=False)
    load.warehouse.serverless.update_namespace(namespaceName=load.warehouse.name, iamRoles=[load.role, other])
    found = load.copy(f"'{other}'")
    assert (found["Status"], "Access Denied" in found["Error"]) == ("FAILED", True), found
    assert load.rows() == []


def test_no_default_role_is_said(load: Load) -> None:
    load.warehouse.serverless.update_namespace(namespaceName=load.warehouse.name, defaultIamRoleArn="")
    assert load.copy("default")["Error"] == "ERROR: Default IAM role is not set for the namespace"


def test_a_load_is_replaced_in_one_batch_or_not_at_all(load: Load) -> None:
    copy = f"copy staged from 's3://{load.bucket}/in/' iam_role '{load.role}' format as parquet"
    replace = ["create temp table staged (like t)", copy, "delete from t", "insert into t select * from staged"]
    for _ in range(3):
        assert load.warehouse.batch(*replace)["Status"] == "FINISHED"
    assert load.rows() == [[1, "x"], [2, None], [3, "ü"]]
    failed = load.warehouse.batch(*replace[:3], "select 1/0")
    assert failed["Error"] == "Query #4 failed with ERROR: division by zero"
    assert load.rows() == [[1, "x"], [2, None], [3, "ü"]]


def test_truncate_commits_what_was_before_it(load: Load) -> None:
    load.copy()
    failed = load.warehouse.batch("create table u as select 1 as a", "truncate t", "select 1/0")
    assert failed["Status"] == "FAILED"
    assert load.rows() == []
    assert load.warehouse.rows("select a from u") == [[1]]


def test_statements_are_in_the_history_of_the_database(load: Load) -> None:
    found = load.copy()
    sql = "select status, error_message from sys_query_history where query_id = :id::bigint"
    parameters = [{"name": "id", "value": str(found["RedshiftQueryId"])}]
    [[status, why]] = load.warehouse.rows(sql, Parameters=parameters)
    assert (status.strip(), (why or "").strip()) == ("success", "")
    sql = "select loaded_rows, status from sys_load_history where query_id = :id::bigint"
    assert load.warehouse.rows(sql, Parameters=parameters) == [[3, "completed"]]


def test_what_is_wrong_with_a_file_is_found_by_the_statement_s_number(load: Load) -> None:
    load.warehouse.run("create table narrow (a int, b varchar(1))")
    load.put("bad/1.parquet", [1], ["long"])
    sql = f"copy narrow from 's3://{load.bucket}/bad/' iam_role '{load.role}' format as parquet"
    found = load.warehouse.end(load.warehouse.start(sql)["Id"])
    assert (found["Status"], "Spectrum Scan Error" in found["Error"]) == ("FAILED", True)
    sql = "select trim(column_name) from sys_load_error_detail where query_id = :id::bigint"
    parameters = [{"name": "id", "value": str(found["RedshiftQueryId"])}]
    assert load.warehouse.rows(sql, Parameters=parameters) == [["b"]]
