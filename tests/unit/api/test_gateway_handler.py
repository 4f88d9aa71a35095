"""api: requests of API Gateway in, answers in the API's two shapes out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import psycopg
import pytest

from tests.support.handlers import Context, loaded


class Function:
    """The handler over a database that answers every question with the same rows."""

    def __init__(self, module: Any, patch: pytest.MonkeyPatch) -> None:
        self._module, self._patch = module, patch
        self.connection = MagicMock()
        self.connection.execute.return_value.fetchone.return_value = (None, None, "version")
        self.cursor = self.connection.cursor.return_value.__enter__.return_value
        self.cursor.description = [SimpleNamespace(name="n"), SimpleNamespace(name="square")]
        self.cursor.fetchmany.side_effect = [[(1, 1), (2, 4)], []]
        patch.setattr(module.warehouse, "connection", lambda **_: self.connection)

    def has_no_database(self) -> None:
        def connection(**_: bool) -> None:
            raise psycopg.OperationalError("connection to db.example failed")

        self._patch.setattr(self._module.warehouse, "connection", connection)

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> tuple[int, dict[str, Any]]:
        event = {
            "httpMethod": method,
            "path": path,
            "resource": path,
            "headers": {"Content-Type": "application/json"},
            "multiValueHeaders": {},
            "queryStringParameters": query or None,
            "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} or None,
            "requestContext": {"requestId": "r1", "identity": {}},
            "body": None if body is None else body if isinstance(body, str) else json.dumps(body),
            "isBase64Encoded": False,
        }
        answer = self._module.handler(event, Context())
        return answer["statusCode"], json.loads(answer["body"])


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> Iterator[Function]:
    with loaded("api.gateway.handler") as module:
        yield Function(module, monkeypatch)


def test_an_operation_answers_with_its_rows(function: Function) -> None:
    status, answer = function.ask("POST", "/analytics", {"operation": "simple_demo", "parameters": {"rows": 2}})
    assert status == 200
    assert answer["data"] == [{"n": 1, "square": 1}, {"n": 2, "square": 4}]
    assert (answer["operation"], answer["operationId"]) == ("simple_demo", "r1")
    assert answer["metadata"]["resultCount"] == 2
    assert function.cursor.execute.call_args.args[1] == (2, 3)  # rows, and one more to see whether there are more


def test_a_question_in_the_query_string_is_the_same_question(function: Function) -> None:
    status, answer = function.ask("GET", "/analytics", operation="simple_demo", rows="2")
    assert (status, answer["data"][1]) == (200, {"n": 2, "square": 4})


def test_a_database_that_does_not_answer_is_503_and_nothing_of_it_is_said(function: Function) -> None:
    function.has_no_database()
    status, answer = function.ask("GET", "/health/deep")
    assert (status, answer["error"]["type"]) == (503, "DatabaseUnavailable")
    assert "db.example" not in json.dumps(answer)


def test_health_is_answered_without_the_database(function: Function) -> None:
    function.has_no_database()
    status, answer = function.ask("GET", "/health")
    assert (status, answer) == (200, {"success": True, "status": "ok"})
    function.connection.execute.assert_not_called()


def test_an_operation_that_is_none_is_answered_with_the_nearest_and_all_of_them(function: Function) -> None:
    status, answer = function.ask("GET", "/analytics", operation="count_anlysis", group_by="carrier")
    assert (status, answer["error"]["message"]) == (400, "there is no such operation, did you mean count_analysis?")
    [all_, document] = answer["suggestions"]
    assert all_.startswith("the operations are database_info, simple_demo, ")
    assert all_.endswith(", custom_query")
    assert document == "GET /openapi.json"
    _, answer = function.ask("POST", "/analytics", {"parameters": {}})
    assert answer["error"]["message"] == "the request names no operation"
    _, answer = function.ask("GET", "/analytics", operation="<script>" * 500)
    assert answer["error"]["message"] == "there is no such operation"
    assert "script" not in json.dumps(answer)


def test_each_error_of_a_request_is_said_once_and_whole(function: Function) -> None:
    names = [f"{'x' * 250}{number}" for number in range(3)]
    body = {"operation": "simple_demo", "parameters": dict.fromkeys(names, 1)}
    status, answer = function.ask("POST", "/analytics", body)
    said = [answer["error"]["message"], *answer["suggestions"]]
    assert status == 400
    assert len(said) == len(set(said)) == 4
    assert all(sum(name in one for one in said) == 1 for name in names)
    assert all(one.endswith("Extra inputs are not permitted") for one in said[:3])


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind"),
    [
        ("POST", "/analytics", {"operation": "simple_demo", "parameters": {"colour": 1}}, 400, "InvalidRequest"),
        ("POST", "/analytics", "{", 400, "InvalidRequest"),
        ("POST", "/analytics", "x" * 100_001, 413, "RequestTooLarge"),
        ("DELETE", "/analytics", None, 405, "MethodNotAllowed"),
        ("GET", "/nothing", None, 404, "NotFound"),
    ],
)
def test_a_wrong_request_is_answered_in_the_shape_of_errors(
    function: Function, method: str, path: str, body: Any, status: int, kind: str
) -> None:
    found, answer = function.ask(method, path, body)
    assert (found, answer["error"]["type"], answer["success"]) == (status, kind, False)
    function.connection.execute.assert_not_called()


def test_an_unexpected_error_is_500_and_its_text_stays_in_the_log(
    function: Function, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    function.connection.execute.side_effect = ZeroDivisionError("inner detail")
    status, answer = function.ask("GET", "/health/deep")
    assert (status, answer["error"]["type"]) == (500, "InternalError")
    assert "inner detail" not in json.dumps(answer)
    assert "inner detail" in caplog.text
    counted = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert [one["HandledErrors"] for one in counted] == [[1.0]], "the alarm api-errors counts it"
