"""``record_type`` routes rows of bronze/mixed/; under the dataset's own prefix a row need not have one."""

import json

import pytest

from fixtures import shipping
from sluice_pipeline.objects.failures import Reason
from tests.support.reading import read_object


def _lines(dataset: str, **changed: object) -> bytes:
    rows = [{k: v for k, v in row.items() if k != "record_type"} | changed for row in shipping.records(dataset, 5, 12)]
    return "\n".join(map(json.dumps, rows)).encode()


@pytest.mark.parametrize("dataset", shipping.DATASETS)
def test_a_row_without_a_record_type_is_good_under_its_own_prefix(dataset: str) -> None:
    found = read_object(f"bronze/{dataset}/a.jsonl", _lines(dataset))
    assert (found.bad, len(found.rows(dataset))) == ([], 12)


@pytest.mark.parametrize("dataset", shipping.DATASETS)
def test_a_row_without_a_record_type_is_rejected_in_mixed_files(dataset: str) -> None:
    found = read_object("bronze/mixed/a.jsonl", _lines(dataset))
    assert not found.silver
    assert [row.errors[0].reason for row in found.bad] == [Reason.MISSING_REQUIRED] * 12


@pytest.mark.parametrize("dataset", shipping.DATASETS)
def test_a_record_type_of_another_dataset_is_rejected_under_a_datasets_own_prefix(dataset: str) -> None:
    found = read_object(f"bronze/{dataset}/a.jsonl", _lines(dataset, record_type="another"))
    assert not found.silver
    assert [row.errors[0].reason for row in found.bad] == [Reason.NOT_ALLOWED] * 12
