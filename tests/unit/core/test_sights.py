"""First sights in the ledger: once, bounded, notified once, at whatever call a function dies; `sluice schema`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from unittest.mock import MagicMock

import pytest
from botocore.exceptions import ClientError

from core.transform.drift import Drift
from sluice.pipeline import schema
from sluice_pipeline.catalog.datasets import Catalog, parse_dataset
from sluice_pipeline.catalog.sights import MAX_SIGHTS, Sight, Sights
from sluice_pipeline.dynamo.values import plain, typed
from sluice_pipeline.events.messages import ChunkMessage
from sluice_pipeline.ledger.sights import HEAD, SightLedger
from sluice_pipeline.notices.notices import Notices
from sluice_pipeline.objects.chunks import Chunk
from sluice_pipeline.objects.failures import ObjectFailed
from sluice_pipeline.objects.identity import ObjectRef
from tests.support.handlers import notices


def catalog(columns: str = "discard") -> Catalog:
    fields = {"day": {"type": "date", "required": True}, "n": {"type": "int64"}}
    raw = {"dataset": "d", "partition_by": "day", "fields": fields, "contract": {"columns": columns}}
    return Catalog({"d": parse_dataset(raw, "d.yaml")})


def message(key: str = "a", chunk: int = 0) -> ChunkMessage:
    ref = ObjectRef("b", f"bronze/d/{key}.jsonl", "v1", "e", 100)
    return ChunkMessage(ref, ref.as_origin(), "d", Chunk(chunk, 0, 100, 8))


def sights(*columns: str) -> Sights:
    found = Sights()
    for offset, column in enumerate(columns):
        found.add(Sight(column, "int64"), offset)
    return found


class Killed(Exception):
    """The function died."""


class Client:
    """A ledger table in memory; ``dies_at``: the call, counted from 1, at which the function dies, before or after."""

    def __init__(self, items: dict[tuple[str, str], dict[str, Any]] | None = None) -> None:
        self.items = {} if items is None else items
        self.calls = 0
        self.dies_at = 0
        self.after = False

    def _call(self, work: Any) -> Any:
        self.calls += 1
        if self.calls == self.dies_at and not self.after:
            raise Killed
        result = work()
        if self.calls == self.dies_at:
            raise Killed
        return result

    def get_paginator(self, _: str) -> Client:
        return self

    def paginate(self, ExpressionAttributeValues: Mapping[str, Any], **_: Any) -> Iterator[dict[str, Any]]:  # noqa: N803
        values = plain(ExpressionAttributeValues)

        def found() -> list[dict[str, Any]]:
            return [
                typed(item)
                for (pk, sk), item in self.items.items()
                if pk == values[":pk"] and sk.startswith(values[":prefix"])
            ]

        yield {"Items": self._call(found)}

    def publish(self, **_: Any) -> None:
        self._call(lambda: None)

    def transact_write_items(self, TransactItems: Sequence[dict[str, Any]], ClientRequestToken: str) -> None:  # noqa: N803
        del ClientRequestToken
        self._call(lambda: self._transact([action["Update"] for action in TransactItems]))

    def _transact(self, updates: Sequence[dict[str, Any]]) -> None:
        keys = [(update["Key"]["pk"]["S"], update["Key"]["sk"]["S"]) for update in updates]
        assert len(set(keys)) == len(keys) <= 100
        held = [self._holds(key, update) for key, update in zip(keys, updates, strict=True)]
        if not all(held):
            reasons = [{"Code": "None" if one else "ConditionalCheckFailed"} for one in held]
            error: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            raise ClientError(error, "TransactWriteItems")
        for key, update in zip(keys, updates, strict=True):
            item = self.items.setdefault(key, {"pk": key[0], "sk": key[1]})
            values = plain(update["ExpressionAttributeValues"])
            if update["UpdateExpression"].startswith("ADD"):
                item["sights"] = item.get("sights", 0) + values[":count"]
            else:
                item |= {name[1:]: value for name, value in values.items() if name != ":at"}
                item |= {"notified_at": values[":at"]} if ":at" in values else {}

    def _holds(self, key: tuple[str, str], update: Mapping[str, Any]) -> bool:
        condition, item = update.get("ConditionExpression", ""), self.items.get(key)
        if condition == "attribute_not_exists(pk)":
            return item is None
        if "sights <= :room" in condition:
            return item is None or item["sights"] <= plain(update["ExpressionAttributeValues"])[":room"]
        return not condition

    def columns(self) -> list[str]:
        return sorted(item["column"] for (_, sk), item in self.items.items() if sk != HEAD)


class Function:
    """A warm function with a ledger and a topic."""

    def __init__(self, client: Client, sns: Any = None) -> None:
        self.client = client
        self.sns = sns or MagicMock()
        self.drift = Drift(SightLedger(client, "ledger"), Notices(self.sns, "topic"))

    def settle(self, about: ChunkMessage, seen: Sights, columns: str = "discard") -> list[list[str]]:
        """The columns of each notice that this call sends."""
        before = len(notices(self.sns))
        self.drift.settle(about, {"d": seen}, catalog(columns))
        return [[one["column"] for one in notice["sights"]] for notice in notices(self.sns)[before:]]


@pytest.fixture(autouse=True)
def metrics_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "transform")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "unit-tests")


def test_a_sight_is_recorded_and_notified_once() -> None:
    client = Client()
    function = Function(client)
    assert function.settle(message(), sights("x", "y")) == [["x", "y"]]
    calls = client.calls
    assert function.settle(message("b"), sights("x")) == []
    assert client.calls == calls, "a warm function knows it"
    assert Function(client).settle(message("c"), sights("y", "z")) == [["z"]]
    assert client.columns() == ["x", "y", "z"]
    assert client.items["schema#d", HEAD]["sights"] == 3


def test_the_notice_says_what_was_seen_where_and_what_to_do() -> None:
    function = Function(Client())
    function.settle(message(), sights("x"))
    [notice] = notices(function.sns)
    assert (notice["kind"], notice["dataset"], notice["contract"]) == ("schema.drift", "d", "discard")
    assert notice["source_key"] == "bronze/d/a.jsonl"
    assert notice["sights"] == [{"column": "x", "type": "int64", "declared": "", "offset": 0}]
    assert notice["look"] == "sluice schema d"
    assert notice["repair"].startswith("sluice schema diff d")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", range(1, 6))
def test_a_function_that_dies_at_any_call_loses_no_sight_and_no_notice(call: int, after: bool) -> None:
    """Query, transaction, query, notice, transaction: the redelivery does what is left."""
    client = Client()
    client.dies_at, client.after = call, after
    published = MagicMock()
    published.publish.side_effect = lambda **given: client.publish(**given)
    with pytest.raises(Killed):
        Function(client, published).settle(message(), sights("x", "y"))
    client.dies_at = 0
    sent = len(published.publish.call_args_list) - (call == 4 and not after)
    again = Function(client, published).settle(message(), sights("x", "y"))
    assert client.columns() == ["x", "y"]
    assert client.items["schema#d", HEAD]["sights"] == 2
    assert sent + len(again) == (2 if (call, after) in ((4, True), (5, False)) else 1)
    assert Function(client, published).settle(message(), sights("x", "y")) == []


def test_another_chunk_does_not_send_the_notice_of_a_sight_that_is_not_its_own() -> None:
    client, published = Client(), MagicMock()
    published.publish.side_effect = lambda **given: client.publish(**given)
    client.dies_at = 4
    with pytest.raises(Killed):
        Function(client, published).settle(message(), sights("x"))
    client.dies_at = 0
    assert Function(client).settle(message(chunk=1), sights("x")) == []
    assert Function(client).settle(message("b"), sights("x")) == []
    assert Function(client).settle(message(), sights("x")) == [["x"]]


@pytest.mark.parametrize("others", [("other",), tuple(f"c{n}" for n in range(MAX_SIGHTS - 1))])
def test_a_notice_is_sent_by_a_worker_that_met_its_sight_in_another_chunk_before(others: tuple[str, ...]) -> None:
    """The worker that recorded the sight has died; another one, which has read the ledger since, gets the chunk."""
    client, published = Client(), MagicMock()
    published.publish.side_effect = lambda **given: client.publish(**given)
    client.dies_at = 4
    with pytest.raises(Killed):
        Function(client, published).settle(message(), sights("x"))
    client.dies_at = 0
    warm = Function(client)
    assert warm.settle(message("b"), sights(*others)) == [list(others)]
    assert warm.settle(message(), sights("x")) == [["x"]]
    calls = client.calls
    assert warm.settle(message(), sights("x")) == []
    assert client.calls == calls, "a warm function knows it"


def test_the_ledger_holds_a_bounded_number_and_the_rest_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    client = Client()
    function = Function(client)
    for part in range(4):
        function.settle(message(chunk=part), sights(*(f"c{part}_{n}" for n in range(90))))
    assert len(client.columns()) == client.items["schema#d", HEAD]["sights"] == MAX_SIGHTS
    assert '"SchemaDriftLeftOut":[70.0]' in capsys.readouterr().out.replace(" ", "")


def test_names_of_any_kind_are_recorded() -> None:
    client = Client()
    Function(client).settle(message(), sights("x" * 5000, "\ud800", "a b\0"))
    assert sorted(map(len, client.columns())) == [1, 4, 255]


def test_frozen_columns_fail_the_object_after_the_sight_is_recorded() -> None:
    client = Client()
    with pytest.raises(ObjectFailed, match="schema_frozen"):
        Function(client).settle(message(), sights("x"), "freeze")
    assert client.columns() == ["x"]


def test_fields_are_proposed_with_the_type_that_takes_all_values() -> None:
    client = Client()
    seen = sights("x", "A b", "day")
    seen.add(Sight("x", "float64"), 5)
    seen.add(Sight("n", "float64", "int64"), 6)
    Function(client).settle(message(), seen)

    class Stack(dict[str, str]):
        def client(self, _: str) -> Client:
            return client

    found = schema.seen(Stack(ledger_table="ledger"), catalog(), ["d"])  # type: ignore[arg-type]
    assert {(one.column, one.type, one.state) for one in found} == {
        ("x", "int64", "open"), ("x", "float64", "open"), ("A b", "int64", "open"), ("n", "float64", "open"),
        ("day", "int64", "in the YAML"),
    }  # fmt: skip
    assert sorted(schema.as_yaml(schema.proposed(found, catalog()))) == sorted([
        "# datasets/d.yaml",
        "fields:",
        '  # "A b" (int64) is no name of a field (lower case, digits, _): let the sender rename it',
        "  n: { type: float64 } # instead of int64; keep its other settings",
        "  x: { type: float64 }",
    ])  # fmt: skip
