"""The PyArrow engine against a judge in plain Python, row by row."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quality.audit import rows as reading
from quality.audit.arrow_engine import judge
from quality.audit.rows import Outcome, RowsChanged
from sluice_pipeline.catalog.expectations import Expectation, Kind, expectations_of
from tests.support.expected import (
    ARRIVED,
    dataset_of,
    expectations_of_rows,
    silver_of_rows,
    values_of,
)
from tests.support.thorough import examples


def row_of(**values: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("name", "stars", "weight", "price", "paid", "day", "more"))
    return {"at": ARRIVED} | empty | values


def outcomes(expectations: Mapping[str, Any], values: Sequence[Mapping[str, Any]], files: int = 1) -> list[Outcome]:
    dataset = dataset_of(expectations)
    return judge(expectations_of(dataset), silver_of_rows(dataset, values, files).rows)


def outcome(expectation: Mapping[str, Any], values: Sequence[Mapping[str, Any]], files: int = 1) -> Outcome:
    (found,) = outcomes({"one": expectation}, values, files)
    return found


# -- the reference ---------------------------------------------------------------------------------------------------


def verdict(one: Expectation, row: Mapping[str, Any]) -> bool | None:
    """Of a single row; None: there is nothing to judge."""
    value = row[one.fields[0]]
    if isinstance(value, float) and math.isnan(value):
        value = None
    if one.kind == Kind.NOT_NULL:
        return value is not None
    if value is None:
        return None
    if one.kind == Kind.SET:
        return value in one.allowed
    if one.kind == Kind.PATTERN:
        return re.fullmatch(one.pattern, value) is not None
    low, high = one.minimum, one.maximum
    return (low is None or value >= low) and (high is None or value <= high)


def expected(one: Expectation, values: Sequence[Mapping[str, Any]]) -> tuple[bool, int, int, tuple[int, ...]]:
    if one.kind == Kind.ROW_COUNT:
        low, high = one.minimum, one.maximum
        return (low is None or len(values) >= low) and (high is None or len(values) <= high), len(values), 0, ()
    if one.kind == Kind.FRESH:
        times = [
            value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)
            for row in values
            if (value := row[one.fields[0]]) is not None
        ]
        fresh = bool(times) and ARRIVED - max(times) <= timedelta(hours=one.hours)
        return fresh, len(values), 0, ()
    if one.kind in (Kind.UNIQUE, Kind.UNIQUE_TOGETHER):
        keys = [tuple(row[name] for name in one.fields) for row in values]
        counts = Counter(key for key in keys if None not in key)
        found = [None if None in key else counts[key] == 1 for key in keys]
    else:
        found = [verdict(one, row) for row in values]
    judged = [number for number, good in enumerate(found) if good is not None]
    failed = [number for number in judged if not found[number]]
    passed = not judged or (len(judged) - len(failed)) / len(judged) >= one.mostly
    return passed, len(judged), len(failed), tuple(failed[:5])


@settings(max_examples=examples(150), deadline=None)
@given(expectations_of_rows(), values_of(), st.integers(1, 3), st.sampled_from([1, 3, 1000]))
def test_it_judges_as_plain_python_does(
    expectations: dict[str, Any], values: list[dict[str, Any]], files: int, at_once: int
) -> None:
    dataset = dataset_of(expectations)
    parsed = expectations_of(dataset)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_AT_ONCE", at_once)
        found = judge(parsed, silver_of_rows(dataset, values, files).rows)
    for one, got in zip(parsed, found, strict=True):
        if one.kind != Kind.CONDITION:  # conditions have tests of their own: tests/unit/core/test_row_settings.py
            assert (got.passed, got.judged, got.failed, got.first) == expected(one, values), one


# -- examples --------------------------------------------------------------------------------------------------------


def test_values_that_come_again_are_found_over_several_files() -> None:
    values = [row_of(name=name) for name in ("a", "b", None, "c", "b", None, "a", "b")]
    assert outcome({"unique": ["name"]}, values, files=4) == Outcome(False, 6, 5, (0, 1, 4, 6, 7))


def test_a_condition_without_values_is_neither_true_nor_false() -> None:
    values = [row_of(stars=3), row_of(stars=0), row_of()]
    assert outcome({"condition": "stars > 1"}, values) == Outcome(False, 2, 1, (1,))


def test_a_bound_of_a_decimal_is_the_decimal_that_is_written() -> None:
    values = [row_of(price=Decimal("0.1")), row_of(price=Decimal("0.0999"))]
    assert outcome({"field": "price", "min": 0.1}, values) == Outcome(False, 2, 1, (1,))


def test_freshness_is_measured_from_the_arrival() -> None:
    old = [row_of(at=ARRIVED - timedelta(hours=24))]
    older = [row_of(at=ARRIVED - timedelta(hours=24, microseconds=1))]
    assert outcome({"field": "at", "within_hours": 24}, old) == Outcome(
        True, 1, observed="newest 2026-02-28T12:00:00.000000Z"
    )
    assert not outcome({"field": "at", "within_hours": 24}, older).passed
    assert outcome({"field": "day", "within_hours": 24}, old) == Outcome(False, 1, observed="no value")


def test_an_object_without_a_row_fails_what_it_needs_rows_for() -> None:
    found = outcomes(
        {
            "some": {"min_rows": 1},
            "fresh": {"field": "at", "within_hours": 1},
            "named": {"field": "name", "not_null": True},
            "once": {"unique": ["name"]},
        },
        [],
    )
    assert [one.passed for one in found] == [False, True, True, False]  # fresh, named, once, some
    assert [one.observed for one in found] == ["no value", "", "", "0 rows"]


def test_mostly_is_the_least_part_that_has_to_pass() -> None:
    values = [row_of(stars=number) for number in range(10)]
    assert outcome({"field": "stars", "min": 1, "mostly": 0.9}, values).passed
    assert not outcome({"field": "stars", "min": 2, "mostly": 0.9}, values).passed


def test_only_the_first_failed_rows_are_named() -> None:
    assert outcome({"field": "name", "not_null": True}, [row_of()] * 9, files=2) == Outcome(
        False, 9, 9, (0, 1, 2, 3, 4)
    )


def test_a_file_with_other_rows_than_the_ledger_says_is_no_verdict() -> None:
    dataset = dataset_of({"one": {"field": "name", "not_null": True}})
    silver = silver_of_rows(dataset, [row_of()] * 3)
    (file,) = silver.rows.files
    wrong = reading.Rows(dataset, [reading.File(file.bucket, file.key, 2)], ARRIVED, silver.rows.read)
    with pytest.raises(RowsChanged, match="has 3 rows and not 2"):
        judge(expectations_of(dataset), wrong)
