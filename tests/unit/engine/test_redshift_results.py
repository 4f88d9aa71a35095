"""Results of the Data API: rows in pages and as CSV, and what is too large."""

from __future__ import annotations

import csv
import io
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_ext.redshift.data import results
from sluice_ext.redshift.data.results import Result, TooLarge, as_csv, field_of
from tests.support.thorough import examples

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"))
VALUES = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), TEXT)


@st.composite
def tables(draw: st.DrawFn) -> list[list[Any]]:
    width = draw(st.integers(1, 4))
    return draw(st.lists(st.lists(VALUES, min_size=width, max_size=width), max_size=30))


@given(tables(), st.integers(1, 400))
@settings(max_examples=examples(60), deadline=None)
def test_every_row_is_on_one_page_in_its_order(rows: list[list[Any]], page: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "PAGE_BYTES", page)
        found = Result([])
        found.fill(rows)
    assert list(found.all()) == [[field_of(value) for value in row] for row in rows]
    assert found.rows == len(rows) == sum(rows for _, _, rows in found.pages)
    assert found.page(len(found.pages)) == []
    restored: Result = pickle.loads(pickle.dumps(found))
    assert list(restored.all()) == list(found.all())
    for one in (found, restored):
        one.delete()


@given(st.lists(st.lists(TEXT, min_size=2, max_size=2), max_size=20))
@settings(max_examples=examples(60), deadline=None)
def test_csv_is_read_back_as_it_was(rows: list[list[str]]) -> None:
    text = as_csv([[field_of(value) for value in row] for row in rows])
    assert list(csv.reader(io.StringIO(text, newline=""))) == rows


def test_null_and_an_empty_text_differ_in_csv() -> None:
    assert as_csv([[field_of(None), field_of("")]]) == ',""\r\n'


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (None, {"isNull": True}),
        (True, {"booleanValue": True}),
        (0, {"longValue": 0}),
        (1.5, {"doubleValue": 1.5}),
        ("", {"stringValue": ""}),
    ],
)
def test_a_value_has_the_field_of_its_type(value: Any, field: dict[str, Any]) -> None:
    assert field_of(value) == field


def test_a_row_of_64_kb_is_taken_and_one_byte_more_is_not() -> None:
    taken = Result([])
    taken.fill([["x" * results.ROW_BYTES]])
    assert taken.size == results.ROW_BYTES
    refused = Result([])
    with pytest.raises(TooLarge, match="64 KB"):
        refused.fill([["ü" * (results.ROW_BYTES // 2), "x"]])
    taken.delete()
    refused.delete()


def test_a_result_that_is_too_large_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "MAX_BYTES", 1000)
    taken = 0

    def endless() -> Iterator[list[str]]:
        nonlocal taken
        while True:
            taken += 1
            yield ["x" * 100]

    found = Result([])
    with pytest.raises(TooLarge, match="exceeded size limit"):
        found.fill(endless())
    assert taken == 11
    found.delete()
