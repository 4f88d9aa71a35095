"""analytics-worker: a job's question in; its result in S3 and its state in DynamoDB out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import psycopg
import pytest

from sluice_pipeline.dynamo.values import typed
from tests.support.handlers import Context, loaded

DEMO = {"operation": "simple_demo", "parameters": {"rows": "2"}}  # schedules write numbers as text


class Function:
    """The handler over a database that answers every question with the same rows."""

    def __init__(self, module: Any, clients: dict[str, MagicMock], patch: pytest.MonkeyPatch) -> None:
        self._module, self._patch = module, patch
        self.dynamodb = clients["dynamodb"]
        self.dynamodb.get_item.return_value = {"Item": typed({"pk": "job#j1", "sk": "job", "state": "queued"})}
        self.dynamodb.update_item.return_value = {"Attributes": {}}
        self.results: dict[str, bytes] = {}
        clients["s3"].put_object.side_effect = lambda **put: self.results.update({put["Key"]: put["Body"].read()})
        self.connection = MagicMock()
        self.connection.execute.return_value.fetchone.return_value = (None, None, "version")
        cursor = self.connection.cursor.return_value.__enter__.return_value
        cursor.description = [SimpleNamespace(name="n")]
        cursor.fetchmany.side_effect = [[(1,), (2,)], []]
        patch.setattr(module.warehouse, "connection", lambda **_: self.connection)

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        return self.send({"job_id": "j1", "request": request})

    def send(self, event: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._module.handler(event, Context())
        return answer

    def states(self) -> list[str]:
        """The states that the job was given."""
        values = [call.kwargs["ExpressionAttributeValues"] for call in self.dynamodb.update_item.call_args_list]
        return [(value.get(":state") or value[":running"])["S"] for value in values]

    def error(self, name: str) -> type[Exception]:
        found: type[Exception] = getattr(self._module, name)
        return found


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> Iterator[Function]:
    clients = {name: MagicMock(name=name) for name in ("s3", "dynamodb", "secretsmanager")}
    with loaded("api.jobs.handler", **clients) as module:
        yield Function(module, clients, monkeypatch)


def test_a_jobs_rows_are_stored_and_it_has_succeeded(function: Function) -> None:
    answer = function.run(DEMO)
    (body,) = function.results.values()
    assert list(function.results) == ["analytics/j1.json"]
    assert json.loads(body) == [{"n": 1}, {"n": 2}]
    assert answer == {"operation": "simple_demo", "rows": 2, "bytes": len(body)}
    assert function.states() == ["running", "succeeded"]


def test_a_wrong_question_is_refused_so_that_the_workflow_does_not_try_again(function: Function) -> None:
    with pytest.raises(function.error("JobRefused"), match="InvalidRequest"):
        function.run({"operation": "simple_demo", "parameters": {"rows": "many"}})
    assert function.results == {}
    assert function.states() == ["running"]


def test_a_database_that_does_not_answer_is_another_error_so_that_the_workflow_tries_again(function: Function) -> None:
    function.connection.execute.side_effect = psycopg.OperationalError("no answer")
    with pytest.raises(function.error("WarehouseAway")):
        function.run(DEMO)
    assert function.results == {}


def test_a_job_that_step_functions_stopped_is_noted_as_failed(function: Function) -> None:
    detail = {"name": "j1", "status": "TIMED_OUT"}
    assert function.send({"detail-type": "Step Functions Execution Status Change", "detail": detail}) == {}
    assert function.states() == ["failed"]
