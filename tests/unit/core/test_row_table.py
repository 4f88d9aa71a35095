"""Rows as items: each key is an item of its own, and what a former key holds is moved, never lost or doubled."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from sluice_pipeline.dynamo.rows import FORMER, RowTable, keyed_item, row_key
from sluice_pipeline.dynamo.values import plain, typed

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = ("left", "right")


class Memory:
    """A table in memory: transactions with the conditions that RowTable writes, batch reads, and the object's index."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], dict[str, Any]] = {}
        self.reads: list[int] = []

    def transact_write_items(self, TransactItems: Sequence[dict[str, Any]], ClientRequestToken: str) -> None:  # noqa: N803
        actions = [next(iter(item.items())) for item in TransactItems]
        keys = [self._key(action.get("Key") or action["Item"]) for _, action in actions]
        assert len(set(keys)) == len(keys), "a transaction takes no two actions about one item"
        holds = [self._holds(self.items.get(key, {}), action) for key, (_, action) in zip(keys, actions, strict=True)]
        if not all(holds):
            reasons = [{"Code": "None" if good else "ConditionalCheckFailed"} for good in holds]
            response: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            raise ClientError(response, "TransactWriteItems")
        for key, (verb, action) in zip(keys, actions, strict=True):
            if verb == "Put":
                self.items[key] = plain(action["Item"])
            else:
                self.items.pop(key, None)

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        ((name, request),) = RequestItems.items()
        self.reads.append(len(request["Keys"]))
        found = [self.items[key] for key in map(self._key, request["Keys"]) if key in self.items]
        return {"Responses": {name: [typed(item) for item in found]}, "UnprocessedKeys": {}}

    def _key(self, item: dict[str, Any]) -> tuple[str, str]:
        return item["pk"]["S"], item["sk"]["S"]

    def _holds(self, item: dict[str, Any], action: dict[str, Any]) -> bool:
        """Evaluates the expression as Python: absent attributes are less than nothing."""
        values = plain(action["ExpressionAttributeValues"])
        text = action["ConditionExpression"].replace(" = ", " == ").replace(" AND ", " and ").replace(" OR ", " or ")
        text = re.sub(r"attribute_not_exists\((\w+)\)", r"('\1' not in item)", text)
        text = re.sub(r"(?<![':\w])(row_version|run_key|object_id)\b", r"item.get('\1', '')", text)
        names = {name[1:]: value for name, value in values.items()}
        return bool(eval(text.replace(":", ""), {"__builtins__": {}}, {"item": item} | names))


def item(left: str, right: str, text: str = "", hours: int = 0, run: int = 1) -> dict[str, Any]:
    row = {"left": left, "right": right, "text": text, "at": NOON + timedelta(hours=hours)}
    row |= {"_record_id": f"object-{hours}", "_source_offset": hours, "_source_key": "bronze/x"}
    return keyed_item("pairs", KEY, row, "at", "2026-03-02T00:00:00.000Z", run)


def store_former(memory: Memory, *items: dict[str, Any]) -> None:
    """Stores items as a function did before keys were escaped."""
    for one in items:
        former = one.get(FORMER, one)
        stored = {name: value for name, value in one.items() if name != FORMER}
        memory.items[former["pk"], former["sk"]] = stored | {"pk": former["pk"], "sk": former["sk"]}


def rows(memory: Memory) -> list[tuple[str, str, str]]:
    return sorted((i["row"]["left"], i["row"]["right"], i["row"].get("text", "")) for i in memory.items.values())


def test_rows_that_once_had_one_key_are_two_items() -> None:
    memory = Memory()
    assert RowTable(memory, "t").upsert([item("a#b", "c"), item("a", "b#c")]) == 2
    assert rows(memory) == [("a", "b#c", ""), ("a#b", "c", "")]
    assert all(FORMER not in stored for stored in memory.items.values())


def test_a_key_without_separators_is_the_former_one_and_costs_no_read() -> None:
    memory = Memory()
    one = item("a", "b")
    assert (one["pk"], one["sk"], FORMER in one) == ("row#pairs#a#b", "a#b", False)
    RowTable(memory, "t").upsert([one])
    assert memory.reads == []


def test_an_item_under_its_former_key_is_moved_when_its_row_comes_again() -> None:
    memory = Memory()
    store_former(memory, item("a#b", "c", "old"))
    assert ("row#pairs#a#b#c", "a#b#c") in memory.items
    assert RowTable(memory, "t").upsert([item("a#b", "c", "new", hours=1)]) == 1
    assert list(memory.items) == [("escaped-row#pairs#a\\#b#c", "a\\#b#c")]
    assert rows(memory) == [("a#b", "c", "new")]


def test_a_newer_version_under_the_former_key_survives_an_older_one() -> None:
    memory = Memory()
    store_former(memory, item("a#b", "c", "newer", hours=5))
    assert RowTable(memory, "t").upsert([item("a#b", "c", "older", hours=1)]) == 0
    assert rows(memory) == [("a#b", "c", "newer")]
    assert list(memory.items) == [("escaped-row#pairs#a\\#b#c", "a\\#b#c")]


def test_another_row_under_the_same_former_key_stays_until_it_comes_again() -> None:
    memory = Memory()
    table = RowTable(memory, "t")
    store_former(memory, item("a", "b#c", "first"))
    table.upsert([item("a#b", "c", "second")])
    assert rows(memory) == [("a", "b#c", "first"), ("a#b", "c", "second")]
    assert ("row#pairs#a#b#c", "a#b#c") in memory.items
    table.upsert([item("a", "b#c", "third", hours=1)])
    assert rows(memory) == [("a", "b#c", "third"), ("a#b", "c", "second")]
    assert ("row#pairs#a#b#c", "a#b#c") not in memory.items


def test_a_new_key_is_never_another_rows_former_one() -> None:
    """The former key of one row reads as the escaped key of another."""
    memory = Memory()
    store_former(memory, item("a\\\\", "b", "stored"))
    RowTable(memory, "t").upsert([item("a\\", "b", "comes", hours=1)])
    assert rows(memory) == [("a\\", "b", "comes"), ("a\\\\", "b", "stored")]


@pytest.mark.parametrize("former_hours", [0, 5])
def test_a_row_stored_under_both_keys_ends_as_its_newest_version(former_hours: int) -> None:
    """Functions of the release before may still write while a deployment goes on."""
    memory = Memory()
    table = RowTable(memory, "t")
    table.upsert([item("a#b", "c", "new key", hours=2)])
    store_former(memory, item("a#b", "c", "former key", hours=former_hours))
    table.upsert([item("a#b", "c", "replayed", hours=1)])
    assert rows(memory) == [("a#b", "c", "former key" if former_hours else "new key")]


def test_a_version_that_is_removed_is_found_under_its_former_key() -> None:
    memory = Memory()
    store_former(memory, item("a#b", "c"), item("x", "y"))
    assert RowTable(memory, "t").remove([item("a#b", "c"), item("x", "y"), item("g#one", "z")]) == 2
    assert memory.items == {}


PARTS = st.text(st.sampled_from("ab#\\"), max_size=3) | st.sampled_from(["", "(empty)"])
PAIRS = st.tuples(PARTS, PARTS)


@given(st.lists(st.tuples(PAIRS, st.integers(0, 9)), max_size=12), st.lists(PAIRS, max_size=6))
def test_whatever_was_stored_each_row_that_comes_is_stored_once_in_its_newest_version(
    coming: list[tuple[tuple[str, str], int]], before: list[tuple[str, str]]
) -> None:
    memory = Memory()
    table = RowTable(memory, "t")
    store_former(memory, *(item(*pair, text="5", hours=5) for pair in before))
    kept = {(i["row"]["left"], i["row"]["right"]): 5 for i in memory.items.values()}  # the others had been lost
    for pair, hours in coming:
        table.upsert([item(*pair, text=str(hours), hours=hours)])
        kept[pair] = max(kept.get(pair, -1), hours)
    assert rows(memory) == sorted((*pair, str(hours)) for pair, hours in kept.items())


@given(PAIRS, PAIRS)
def test_distinct_rows_have_distinct_keys(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (row_key("pairs", one) == row_key("pairs", other)) == (one == other)
