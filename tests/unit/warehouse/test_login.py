"""The reader's login: its DSN, whose password is shown to no one who did not ask, and what is said without one."""

from __future__ import annotations

import json
import os
from typing import Any
from unittest.mock import MagicMock
from urllib.parse import unquote, urlsplit

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from sluice import cli
from sluice.branches.warehouse import login
from sluice.branches.warehouse.login import Login
from sluice.console import SluiceError
from sluice.pipeline import stack as stacks
from sluice.pipeline.stack import Stack

SECRET = {
    "host": "db.internal",
    "port": 5432,
    "dbname": "warehouse",
    "username": "sluice_reader",
    "password": "p@ss/w:rd",
}
cli.register_verbs()


class FakeStack(Stack):
    def client(self, service: str, **_: Any) -> Any:
        assert service == "secretsmanager"
        return SECRETS


SECRETS = MagicMock()
OUTPUTS = {"warehouse_secret_arns": {"loader": "arn:loader", "reader": "arn:reader"}}


@pytest.fixture
def stack() -> Stack:
    SECRETS.reset_mock(side_effect=True)
    SECRETS.get_secret_value.side_effect = None
    SECRETS.get_secret_value.return_value = {"SecretString": json.dumps(SECRET)}
    return FakeStack(None, "us-east-1", OUTPUTS)


def test_the_reader_and_no_other_role_logs_in(stack: Stack) -> None:
    found = login.reader(stack)
    SECRETS.get_secret_value.assert_called_once_with(SecretId="arn:reader")
    assert (found.host, found.port, found.dbname, found.user) == ("db.internal", 5432, "warehouse", "sluice_reader")


def test_on_the_engine_the_server_is_at_this_machines_port(stack: Stack) -> None:
    assert login.reader(stack, 60729).address == "postgresql://sluice_reader@127.0.0.1:60729/warehouse"


@given(user=st.text(min_size=1), password=st.text(min_size=1), dbname=st.text(min_size=1))
def test_a_dsn_gives_back_its_parts_whatever_they_hold(user: str, password: str, dbname: str) -> None:
    made = Login("127.0.0.1", 5432, dbname.replace("\0", ""), user.replace("\0", ""), password.replace("\0", ""))
    parts = urlsplit(made.dsn)
    assert (parts.hostname, parts.port) == ("127.0.0.1", 5432)
    assert unquote(parts.username or "") == made.user
    assert unquote(parts.password or "") == made.password
    assert unquote(parts.path[1:]) == made.dbname


def test_the_password_is_in_the_dsn_only(stack: Stack) -> None:
    found = login.reader(stack)
    assert "p%40ss%2Fw%3Ard" in found.dsn
    for shown in (repr(found), str(found), found.address):
        assert "p@ss" not in shown
        assert "p%40ss" not in shown


@pytest.mark.parametrize("outputs", [{}, {"warehouse_secret_arns": None}, {"warehouse_secret_arns": {"loader": "x"}}])
def test_without_a_warehouse_there_is_no_login(outputs: dict[str, Any]) -> None:
    with pytest.raises(SluiceError, match="no warehouse is deployed: `warehouse_enabled = true`"):
        login.reader(Stack(None, "us-east-1", outputs))


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"host": "x", "port": "y"}', json.dumps(SECRET | {"port": None})]
)
def test_a_secret_that_is_no_login_is_one_line_without_its_content(text: str, stack: Stack) -> None:
    SECRETS.get_secret_value.return_value = {"SecretString": text}
    with pytest.raises(SluiceError, match="is not yet a database login") as raised:
        login.reader(stack)
    assert "p@ss" not in str(raised.value)


@pytest.mark.parametrize(
    "error",
    [ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetSecretValue"),
     EndpointConnectionError(endpoint_url="http://127.0.0.1:1")],
)  # fmt: skip
def test_secrets_manager_that_refuses_or_is_away_is_one_line(error: Exception, stack: Stack) -> None:
    SECRETS.get_secret_value.side_effect = error
    with pytest.raises(SluiceError, match="cannot be read from Secrets Manager") as raised:
        login.reader(stack)
    assert "\n" not in str(raised.value)


class TestPsql:
    @pytest.fixture(autouse=True)
    def deployed(self, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stacks, "choose", lambda *_: stack)

    def test_psql_gets_the_password_in_its_environment_and_not_as_an_argument(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        called: list[Any] = []
        monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/psql")
        monkeypatch.setattr(os, "execvpe", lambda *given: called.append(given))
        assert cli.run(["psql", "-c", "SELECT 1", "--", "-At"]) == 0
        [(program, words, environment)] = called
        address = "postgresql://sluice_reader@db.internal:5432/warehouse"
        assert (program, words) == ("/usr/bin/psql", ["/usr/bin/psql", address, "-c", "SELECT 1", "-At"])
        assert environment["PGPASSWORD"] == "p@ss/w:rd"

    def test_without_psql_the_message_says_where_to_connect(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("shutil.which", lambda _: None)
        assert cli.run(["psql"]) == 1
        err = capsys.readouterr().err
        assert err.startswith("sluice: psql is not installed: use `sluice psql -c SQL`")
        assert "postgresql://sluice_reader@db.internal:5432/warehouse" in err
        assert "p@ss" not in err

    def test_json_needs_sql(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.run(["psql", "--json"]) == 2
        assert capsys.readouterr().err == "sluice: --json needs -c SQL\n"
