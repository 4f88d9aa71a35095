"""migrate: logins, migrations and tables, in this order and under one lock; nothing secret comes out."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import psycopg
import pytest

from sluice_pipeline.catalog.datasets import parse_dataset
from tests.support.handlers import Context, loaded, project_catalog
from warehouse.database import Login
from warehouse.migrate import locks, roles, tables


class Function:
    """The handler with a database that writes down what is asked of it."""

    def __init__(self, module: Any, secrets: MagicMock, patch: pytest.MonkeyPatch) -> None:
        self.steps: list[str] = []
        self.module, self.patch = module, patch
        master = {"username": "master", "password": "very secret"}
        secrets.get_secret_value.return_value = {"SecretString": json.dumps(master)}
        patch.setenv("ROLE_SECRET_ARNS", json.dumps({"loader": "arn:loader", "reader": "arn:reader"}))
        connection = MagicMock()
        connection.__enter__.return_value = connection
        connection.execute.side_effect = lambda statement, *_: self.steps.append(statement)
        connection.__exit__.side_effect = lambda *_: self.steps.append("closed")
        patch.setattr(module.Login, "connect", lambda login, _: connection if login.username == "master" else None)
        self.masters: set[Login] = set()
        patch.setattr(module.roles, "ensure", self.ensure_role)
        patch.setattr(module.migrations, "apply", lambda _: self.step("migrations", ["0001.schemas"]))
        patch.setattr(module.tables, "ensure", self.ensure_tables)
        patch.setattr(module.views, "ensure", lambda *_: self.step("views", {"shipments_current": "made"}))

    def step(self, name: str, answer: Any) -> Any:
        self.steps.append(name)
        return answer

    def ensure_role(self, _connection: Any, _secrets: Any, arn: str, role: str, master: Login) -> Any:
        self.masters.add(master)
        return self.step(f"{role} {arn}", "made")

    def ensure_tables(self, _: Any, catalog: Any) -> dict[str, str]:
        assert catalog is project_catalog()
        return dict(self.step("tables", {"shipments": "made"}))

    def invoke(self, **event: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.module.handler(event, Context())
        return answer


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> Iterator[Function]:
    yoyo = ModuleType("yoyo")  # in the layer only
    yoyo.__dict__.update(get_backend=None, read_migrations=None)
    monkeypatch.setitem(sys.modules, "yoyo", yoyo)
    secrets = MagicMock()
    with loaded("warehouse.migrate.handler", secretsmanager=secrets) as module:
        yield Function(module, secrets, monkeypatch)


def test_the_warehouse_is_brought_up_to_date_under_one_lock(function: Function) -> None:
    answer = function.invoke()
    assert function.steps == [
        "SELECT pg_advisory_lock(%s)",
        "SET lock_timeout = '5s'",
        "loader arn:loader",
        "reader arn:reader",
        "migrations",
        "tables",
        "views",
        "closed",
    ]
    assert answer == {
        "roles": {"loader": "made", "reader": "made"},
        "migrations": ["0001.schemas"],
        "tables": {"shipments": "made"},
        "views": {"shipments_current": "made"},
    }
    assert "secret" not in json.dumps(answer)


@pytest.mark.parametrize("event", [{}, {"certificates": "those of RDS"}])
def test_every_login_is_made_with_the_certificates_of_the_event(function: Function, event: dict[str, str]) -> None:
    function.invoke(**event)
    assert {master.certificates for master in function.masters} == {event.get("certificates", "")}


@pytest.mark.parametrize(("before", "after"), [("", "a"), ("a", "b"), ("a", "a"), ("a", "")])
def test_a_login_that_opens_retains_its_password_and_gets_the_masters_certificates(
    before: str, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Login] = []
    monkeypatch.setattr(Login, "connect", lambda login, _: tried.append(login) or MagicMock())
    master = Login("db", 5432, "warehouse", "master", "m", after)
    held = Login("db", 5432, "warehouse", "sluice_reader", "r", before)
    secrets = MagicMock()
    secrets.get_secret_value.return_value = {"SecretString": held.to_secret()}
    assert roles.ensure(MagicMock(), secrets, "arn:reader", "reader", master) == "kept"
    wanted = Login("db", 5432, "warehouse", "sluice_reader", "r", after)
    assert tried == [wanted]  # the server is proved before the password is sent
    stored = [call.kwargs["SecretString"] for call in secrets.put_secret_value.call_args_list]
    assert [Login.from_secret(text) for text in stored] == ([] if before == after else [wanted])


def test_a_migration_that_fails_ends_the_deploy_before_the_tables(
    function: Function, caplog: pytest.LogCaptureFixture
) -> None:
    def apply(_: Any) -> None:
        raise RuntimeError("migrations were not applied:\n0002.loads")

    function.patch.setattr(function.module.migrations, "apply", apply)
    with pytest.raises(RuntimeError, match=r"0002\.loads"):
        function.invoke()
    assert "tables" not in function.steps
    assert function.steps[-1] == "closed"
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert errors == ["migrations were not applied: 0002.loads (RuntimeError)"]


def test_a_dataset_that_evolves_has_a_column_for_what_no_field_names() -> None:
    raw = {"dataset": "d", "partition_by": "day", "fields": {"day": {"type": "date", "required": True}}}
    assert "_unnamed" not in tables.wanted(parse_dataset(raw, "d.yaml"))
    evolving = parse_dataset(raw | {"contract": {"columns": "evolve"}}, "d.yaml")
    assert list(tables.wanted(evolving).items())[:2] == [("day", "date"), ("_unnamed", "jsonb")]


@pytest.mark.parametrize("step", ["migrations", "tables", "views"])
def test_a_step_that_does_not_get_its_lock_in_time_is_tried_again(function: Function, step: str) -> None:
    """A load that runs for minutes must not fail a deployment, nor a deployment hold up all loads."""
    answers = {"migrations": ["0001.schemas"], "tables": {}, "views": {}}
    tries: list[str] = []

    def busy(*_: Any) -> Any:
        tries.append(step)
        if len(tries) < 3:
            raise psycopg.errors.LockNotAvailable
        return answers[step]

    module = getattr(function.module, step)
    function.patch.setattr(module, "apply" if step == "migrations" else "ensure", busy)
    pauses: list[float] = []
    function.patch.setattr(time, "sleep", pauses.append)
    assert function.invoke()[step] == answers[step]
    assert len(tries) == 3
    assert len(pauses) == 2


def test_a_lock_that_never_comes_is_an_error_within_the_functions_time(function: Function) -> None:
    def never(*_: Any) -> Any:
        raise psycopg.errors.LockNotAvailable

    function.patch.setattr(function.module.views, "ensure", never)
    pauses: list[float] = []
    function.patch.setattr(time, "sleep", pauses.append)
    with pytest.raises(psycopg.errors.LockNotAvailable):
        function.invoke()
    waited = sum(pauses) + locks.TRIES * int(locks.LOCK_TIMEOUT.removesuffix("s"))
    assert 60 < waited < 200
