"""Duplicates by key: counted in the committed objects, and shown by status only while they are true."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice import paths
from sluice.commands import _status_screen
from sluice.pipeline import duplicates, storage
from sluice.pipeline.key_counts import Counts, Duplicates
from sluice.pipeline.overview import Collector
from sluice.pipeline.verify import verify
from tests.support.fakes import OUTPUTS, FakeStack


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeStack:
    monkeypatch.setattr(paths, "CACHE_DIR", tmp_path)
    return FakeStack()


def ingest(stack: FakeStack, key: str, ids: list[str | None]) -> str:
    """A committed object with a row for each shipment_id."""
    object_id = stack.ingested(key, len(ids))
    [file] = [name for name in storage.files(stack.s3, OUTPUTS["silver_bucket"], "silver/") if object_id in name]
    out = io.BytesIO()
    records = pa.array([f"{object_id}-{n}" for n in range(len(ids))])
    pq.write_table(pa.table({"_record_id": records, "shipment_id": pa.array(ids, pa.string())}), out)
    stack.s3.put_object(OUTPUTS["silver_bucket"], file, out.getvalue())
    return object_id


def counted(stack: FakeStack, **options: Any) -> Counts:
    report = verify(stack, **options)  # type: ignore[arg-type]
    assert report.ok, report.differences
    return report.duplicates


def test_verify_counts_within_and_across_objects(stack: FakeStack) -> None:
    ingest(stack, "bronze/shipments/a.jsonl", ["1", "2", "2"])
    ingest(stack, "bronze/shipments/b.jsonl", ["1", "3", "4"])
    report = verify(stack)  # type: ignore[arg-type]
    assert report.duplicates == {"shipments": Duplicates(rows=4, keys=2)}
    assert report.to_dict()["duplicates"] == {"shipments": {"rows": 4, "keys": 2}}
    assert report.ok
    assert counted(stack, prefixes=["bronze/shipments/b"]) == {"shipments": Duplicates(0, 0)}


def test_only_committed_objects_count(stack: FakeStack) -> None:
    ingest(stack, "bronze/shipments/a.jsonl", ["1", "2"])
    other = ingest(stack, "bronze/shipments/b.jsonl", ["1", "2"])
    stack.object_item(other).update(state="planned")
    assert verify(stack).duplicates == {"shipments": Duplicates(0, 0)}  # type: ignore[arg-type]


def test_a_dataset_without_a_key_has_no_duplicates(stack: FakeStack) -> None:
    stack.ingested("bronze/control_totals/a.jsonl", 3, dataset="control_totals")
    assert counted(stack) == {}


# -- remembered --------------------------------------------------------------------------------------------------------


def remember(stack: FakeStack) -> None:
    duplicates.remember(stack, duplicates.state_of(stack), counted(stack))  # type: ignore[arg-type]


def replayed(stack: FakeStack) -> None:
    item = next(item for item in stack.dynamodb.items if item["sk"] == "object")
    item["run"] += 1


def another_life(stack: FakeStack) -> None:
    """The same objects and runs, in an engine that began empty."""
    for item in stack.dynamodb.items:
        item["updated_at"] = "2026-01-01T00:00:00.000Z"


CHANGES: dict[str, Callable[[FakeStack], object]] = {
    "an object more": lambda stack: ingest(stack, "bronze/shipments/z.jsonl", ["9"]),
    "an object less": lambda stack: stack.dynamodb.items.pop(),
    "a replay": replayed,
    "another life": another_life,
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_count_is_remembered_until_something_is_committed(stack: FakeStack, name: str) -> None:
    assert duplicates.remembered(stack) is None  # type: ignore[arg-type]
    ingest(stack, "bronze/shipments/a.jsonl", ["1", "2", "2"])
    remember(stack)
    found = duplicates.remembered(stack)  # type: ignore[arg-type]
    assert found
    assert found.counts == {"shipments": Duplicates(2, 1)}
    CHANGES[name](stack)
    assert duplicates.remembered(stack) is None  # type: ignore[arg-type]


def test_another_key_in_the_yaml_is_another_count(
    stack: FakeStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ingest(stack, "bronze/shipments/a.jsonl", ["1", "2", "2"])
    remember(stack)
    (tmp_path / "shipments.yaml").write_text("dataset: shipments")
    monkeypatch.setattr(paths, "DATASETS_DIR", tmp_path)
    assert duplicates.remembered(stack) is None  # type: ignore[arg-type]


def test_what_is_committed_while_verify_counts_is_not_remembered(stack: FakeStack) -> None:
    ingest(stack, "bronze/shipments/a.jsonl", ["1", "2", "2"])
    before, counts = duplicates.state_of(stack), counted(stack)  # type: ignore[arg-type]
    ingest(stack, "bronze/shipments/b.jsonl", ["1"])
    duplicates.remember(stack, before, counts)  # type: ignore[arg-type]
    assert duplicates.remembered(stack) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"at": 1}', '{"at": "", "of": "", "counts": {"a": {"x": 1}}}'])
def test_a_broken_memory_is_none(stack: FakeStack, tmp_path: Path, text: str) -> None:
    ingest(stack, "bronze/shipments/a.jsonl", ["1"])
    remember(stack)
    [file] = (tmp_path / "duplicates").iterdir()
    file.write_text(text)
    assert duplicates.remembered(stack) is None  # type: ignore[arg-type]


def test_status_shows_the_last_count_or_who_counts(stack: FakeStack) -> None:
    from rich.console import Console

    def line() -> str:
        out = io.StringIO()
        seen = Collector(stack).collect()  # type: ignore[arg-type]
        json.dumps(seen.to_dict(), default=str)
        Console(file=out, width=200).print(_status_screen.pipeline_part(seen))
        return next(line for line in out.getvalue().splitlines() if line.startswith("duplicates"))

    never = "duplicates by key: not counted since the last commit; sluice verify counts them"
    ingest(stack, "bronze/shipments/a.jsonl", ["1", "2", "2", "2"])
    assert line().strip() == never
    remember(stack)
    assert line().startswith("duplicates by key: 3 rows have 1 key in shipments (sluice verify, ")
    ingest(stack, "bronze/shipments/b.jsonl", ["3"])
    assert line().strip() == never
