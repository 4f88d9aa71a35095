"""Redshift in a saved state: namespaces, statements and results are there afterwards, sessions are not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import state_keeper
from tests.support.engine_harness import Engine, eventually
from tests.support.redshift import Load, Warehouse, refused, server_of_its_own
from tests.support.state_keeper import Keeper


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keeper]:
    """An engine that can be restored; its PostgreSQL stays."""
    with server_of_its_own() as server:
        monkeypatch.setattr(state_keeper, "OPTIONS", state_keeper.OPTIONS | server)
        keeper = Keeper(tmp_path)
        yield keeper
        keeper.engine.stop()


def test_namespaces_statements_and_results_survive_and_what_ran_has_failed(kept: Keeper) -> None:
    before = Warehouse(kept.engine)
    before.run("create table t as select 5 as a")
    done = before.run("select a, 'x'::varchar from t")["Id"]
    batch = before.batch("select 1", "select 2")["Id"]
    token = before.start("select 1", ClientToken="one")["Id"]
    before.end(token)
    session = before.start("select 1", SessionKeepAliveSeconds=600)
    before.end(session["Id"])
    slow = before.start("select pg_sleep(120)")["Id"]
    eventually(lambda: before.data.describe_statement(Id=slow)["Status"] == "STARTED", 10)
    kept.save(force=True)
    kept.restart()
    after = _after(before, kept.engine)
    assert after.result(done) == [[5, "x"]]
    assert after.result(f"{batch}:2") == [[2]]
    assert after.start("select 1", ClientToken="one")["Id"] == token
    found = after.end(slow)
    assert (found["Status"], found["Error"]) == ("FAILED", "ERROR: the engine was stopped while the statement ran")
    code, _ = refused(after.data.execute_statement, Sql="select 1", SessionId=session["SessionId"])
    assert code == "ResourceNotFoundException"
    assert after.rows("select a from t") == [[5]]
    listed = [one["Id"] for one in after.data.list_statements(Status="ALL")["Statements"]]
    assert {done, batch, token, slow} <= set(listed)
    after.delete()


def test_a_state_is_saved_after_a_copy(kept: Keeper) -> None:
    """COPY's own reads of S3 once counted as running for ever, and a save waits for what runs."""
    load = Load.make(kept.engine, lambda **settings: Warehouse(kept.engine, **settings))
    done = load.copy()["Id"]
    kept.save()
    kept.restart()
    after = _after(load.warehouse, kept.engine)
    assert after.data.describe_statement(Id=done)["Status"] == "FINISHED"
    assert after.rows("select a, b from t order by a") == [[1, "x"], [2, None], [3, "ü"]]
    after.delete()


def _after(warehouse: Warehouse, engine: Engine) -> Warehouse:
    found: Any = object.__new__(Warehouse)
    vars(found).update(vars(warehouse) | {"engine": engine})
    found.serverless, found.data = engine.client("redshift-serverless"), engine.client("redshift-data")
    assert isinstance(found, Warehouse)
    return found


def test_an_engine_that_begins_again_makes_the_same_namespace_again(tmp_path: Path) -> None:
    with server_of_its_own() as server:
        for number in range(2):
            home = tmp_path / str(number)
            home.mkdir()
            engine = Engine(home, **server)
            try:
                made = Warehouse(engine)
                made.run("create table t (a int)")
                assert made.rows("select current_database()") == [["dev"]]
            finally:
                engine.stop()


def test_an_engine_ends_soon_while_statements_run(tmp_path: Path) -> None:
    with server_of_its_own() as server:
        engine = Engine(tmp_path, **server)
        try:
            made = Warehouse(engine)
            slow = [made.start("select pg_sleep(300)")["Id"] for _ in range(3)]
            eventually(lambda: all(made.data.describe_statement(Id=one)["Status"] == "STARTED" for one in slow), 20)
            assert engine.stop(seconds=20) < 20
        finally:
            engine.process.kill()


def test_without_a_server_a_namespace_is_refused(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    try:
        code, message = refused(engine.client("redshift-serverless").create_namespace, namespaceName="one")
        assert (code, "without a PostgreSQL" in message) == ("ValidationException", True)
    finally:
        engine.stop()
