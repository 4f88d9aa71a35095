"""load: announcements of committed objects in; rows in the warehouse, counts, notices and visibility out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import MagicMock

import psycopg
import pytest

from sluice_pipeline.events.committed import event_of
from tests.support.handlers import Context, loaded, metrics, notices, sqs_event

OBJECT_ID = "0" * 32
BODY = json.dumps(event_of(OBJECT_ID, 1, "shipments"))


class Function:
    """The handler; ``load`` stands in for the transaction in the database."""

    def __init__(self, module: Any, clients: dict[str, MagicMock], patch: pytest.MonkeyPatch) -> None:
        self._module = module
        self.sqs, self.sns, self.dynamodb = (clients[name] for name in ("sqs", "sns", "dynamodb"))
        self.dynamodb.update_item.return_value = {"Attributes": {}}
        self._patch = patch

    def loads(self, load: Callable[[Any], Any]) -> None:
        self._patch.setattr(self._module.loader, "load", load)

    def loads_together(self, load: Callable[[Any], Any]) -> None:
        self._patch.setattr(self._module.loader, "load_together", load)

    def fails(self, error: Exception) -> None:
        def load(_: Any) -> None:
            raise error

        self.loads(load)

    def receive(self, body: str = BODY, receives: int = 1) -> list[str]:
        return self.receive_all(body, receives=receives)

    def receive_all(self, *bodies: str, receives: int = 1) -> list[str]:
        answer = self._module.handler(sqs_event(*bodies, receives=receives), Context())
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def waits(self) -> list[int]:
        return [call.kwargs["VisibilityTimeout"] for call in self.sqs.change_message_visibility.call_args_list]

    def loaded(self, **values: Any) -> Any:
        from warehouse.load.loader import Loaded

        return Loaded(
            **{"batch_id": "b", "rows": 3, "rows_by_table": {"shipments": 3}, "files": 1, "fresh": True} | values
        )


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> Iterator[Function]:
    clients = {name: MagicMock(name=name) for name in ("s3", "dynamodb", "sqs", "sns", "secretsmanager")}
    with loaded("warehouse.load.handler", **clients) as module:
        yield Function(module, clients, monkeypatch)


def test_a_committed_object_is_loaded_and_counted(function: Function, capsys: pytest.CaptureFixture[str]) -> None:
    asked = []
    function.loads(lambda committed: asked.append(committed) or function.loaded())
    assert function.receive() == []
    assert [(one.object_id, one.run, one.dataset) for one in asked] == [(OBJECT_ID, 1, "shipments")]
    found = metrics(capsys.readouterr().out)
    assert (found["RowsLoaded"], found["ObjectsLoaded"]) == (3, 1)
    assert "EntityVersions" not in found
    assert function.waits() == []


def test_of_a_batch_each_object_has_its_own_outcome(function: Function, capsys: pytest.CaptureFixture[str]) -> None:
    """Loaded with others, newer run, loaded with others but not recorded, left to itself, and the first one again."""
    alone: list[str] = []
    function.loads(lambda one: alone.append(one.object_id) or function.loaded(fresh=one.object_id != "1" * 32))
    outcomes = [function.loaded(rows=5, seconds=0.25), None, ConnectionError("the ledger is away")]
    function.loads_together(lambda batch: dict(zip(batch, outcomes, strict=False)))
    bodies = [json.dumps(event_of(str(n) * 32, 1, "shipments")) for n in (1, 2, 3, 4, 1)]
    assert function.receive_all(*bodies) == ["m2"]
    assert alone == ["4" * 32, "1" * 32]
    printed = capsys.readouterr().out
    counted = [json.loads(line) for line in printed.splitlines() if "RowsLoaded" in line]
    assert [(one["RowsLoaded"], one["LoadSeconds"]) for one in counted] == [([5], [0.25]), ([3], [0.0])]
    assert function.waits() == [1]


def test_an_outcome_is_not_used_in_another_invocation(function: Function) -> None:
    function.loads_together(lambda batch: dict.fromkeys(batch, ConnectionError("gone")))
    other = json.dumps(event_of("1" * 32, 1, "shipments"))
    assert function.receive_all(BODY, other) == ["m0", "m1"]
    function.loads(lambda _: function.loaded())
    assert function.receive_all(BODY, other, receives=2) == []


def test_what_was_loaded_before_is_not_counted_again(function: Function, capsys: pytest.CaptureFixture[str]) -> None:
    function.loads(lambda _: function.loaded(fresh=False))
    assert function.receive() == []
    assert "RowsLoaded" not in metrics(capsys.readouterr().out)


def test_a_run_that_a_newer_one_has_replaced_is_acknowledged(function: Function) -> None:
    function.loads(lambda _: None)
    assert function.receive() == []
    assert notices(function.sns) == []


def test_a_transient_error_leaves_the_message_for_later(function: Function) -> None:
    function.fails(psycopg.OperationalError("the server does not answer"))
    assert [function.receive(receives=receives) for receives in (1, 2, 3)] == [["m0"]] * 3
    assert function.waits() == [1, 5, 25]
    assert notices(function.sns) == []


def test_a_database_that_fails_over_costs_no_load(function: Function) -> None:
    """Aurora is back within 60 seconds, when it has a reader:
    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Concepts.AuroraHighAvailability.html
    """
    function.fails(psycopg.OperationalError("the server does not answer"))
    for receives in (1, 2, 3, 4):
        function.receive(receives=receives)
    assert sum(function.waits()) > 120
    assert notices(function.sns) == []


def test_a_permanent_error_is_tried_again_at_once_so_that_its_message_is_dead_soon(function: Function) -> None:
    function.fails(psycopg.errors.InsufficientPrivilege("permission denied for table shipments"))
    assert function.receive() == ["m0"]
    assert function.waits() == [0]


@pytest.mark.parametrize("missing", [psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn])
def test_what_a_deployment_is_about_to_make_is_waited_for(function: Function, missing: type[psycopg.Error]) -> None:
    function.fails(missing("it does not exist"))
    assert [function.receive(receives=receives) for receives in (1, 2, 3)] == [["m0"]] * 3
    assert function.waits() == [1, 5, 25]


def test_the_last_try_is_recorded_and_notified(function: Function, capsys: pytest.CaptureFixture[str]) -> None:
    function.fails(psycopg.OperationalError("the server does not answer"))
    assert function.receive(receives=5) == ["m0"]
    (notice,) = notices(function.sns)
    assert (notice["kind"], notice["object_id"]) == ("load.failed", OBJECT_ID)
    assert notice["reason"] == "OperationalError: the server does not answer"
    (noted,) = function.dynamodb.update_item.call_args_list
    assert noted.kwargs["ExpressionAttributeValues"][":error"] == {"S": notice["reason"]}
    assert metrics(capsys.readouterr().out)["LoadsFailed"] == 1


def test_a_message_that_is_no_announcement_is_notified_at_its_last_receive(function: Function) -> None:
    assert [function.receive("{}", receives) for receives in (1, 5)] == [["m0"], ["m0"]]
    assert [notice["kind"] for notice in notices(function.sns)] == ["dead.letter"]
