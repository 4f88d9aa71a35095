"""Files as they really come (fixtures/cases.py) become exactly the rows that they should, whole and in chunks."""

from __future__ import annotations

import io

import pytest

from fixtures import cases
from fixtures.cases import Case
from sluice.pipeline.source import count_rows
from sluice_pipeline.objects.failures import ObjectFailed
from tests.support.reading import CHUNK, ReadObject, read_object

ALL = cases.all_cases()
IDENTITY = {"shipments": "shipment_id", "erp": "id"}


def ids(case: Case, found: ReadObject) -> tuple[str, ...]:
    return tuple(str(row[IDENTITY[case.dataset]]) for row in found.rows(case.dataset))


def test_every_case_has_a_name_of_its_own() -> None:
    assert len({case.name for case in ALL}) == len({case.key for case in ALL}) == len(ALL)


@pytest.mark.parametrize("chunk_bytes", [CHUNK, 997, 100])
@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_a_file_becomes_the_rows_that_it_should(case: Case, chunk_bytes: int) -> None:
    if case.failed:
        with pytest.raises(ObjectFailed) as failed:
            read_object(case.key, case.body, chunk_bytes)
        assert (failed.value.code, bool(failed.value.detail)) == (case.failed, True)
        return
    found = read_object(case.key, case.body, chunk_bytes)
    assert ids(case, found) == case.good
    assert len(found.bad) == len(case.bad)
    for row, error in zip(found.bad, case.bad, strict=True):
        assert error in [(one.reason, one.field) for one in row.errors]
    assert found.rows_in == len(case.good) + len(case.bad) == count_rows(case.key, io.BytesIO(case.body))
    assert found.trailing == (7 if case.name == "gzip-bytes-after.jsonl.gz" else 0)


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_instants_are_what_they_should_be_in_silver(suffix: str) -> None:
    [case] = [one for one in ALL if one.name == f"timestamps.{suffix}"]
    found = read_object(case.key, case.body)
    assert [row["event_time"] for row in found.rows("shipments")] == [meant for _, meant in cases.STAMPS]


def test_everything_that_is_wrong_with_a_row_is_said_with_value_and_expectation() -> None:
    [case] = [one for one in ALL if one.name == "every-fault-of-a-row.jsonl"]
    [bad] = read_object(case.key, case.body).bad
    assert [tuple(error) for error in bad.errors] == [
        ("event_time", "wrong_type", '"soon"', "an RFC 3339 instant; the text is none"),
        ("shipment_id", "missing_required", "null", "a string"),
        ("weight_kg", "wrong_type", '"x"', "a float64"),
    ]
