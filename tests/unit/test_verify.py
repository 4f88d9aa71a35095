"""Reconciliation: a pipeline that worked has no difference, and each kind of damage is found and named."""

import io
from typing import Any

import pytest

from fixtures import formats, shipping
from sluice.data.queues import Depth
from sluice.data.source import UncountableError, count_rows
from sluice.data.verify import Report, object_id, verify
from tests.unit.data_fakes import FakeStack

KEY = "bronze/shipments/a b.jsonl"


@pytest.fixture
def stack() -> FakeStack:
    return FakeStack()


def run(stack: FakeStack, **options: object) -> Report:
    return verify(stack, **options)  # type: ignore[arg-type]


def only(report: Report) -> str:
    """The one difference, as the line the user sees."""
    assert len(report.differences) == 1, report.differences
    return report.differences[0].line()


def test_a_pipeline_that_worked_reconciles(stack: FakeStack) -> None:
    stack.take_in(KEY, 5, 2)
    stack.take_in("bronze/shipments/b.jsonl", 4, 0, chunks=3)
    stack.take_in("bronze/mixed/c.jsonl", 0, 3, dataset="mixed")
    stack.take_in("bronze/shipments/empty.jsonl", 0)
    report = run(stack)
    assert report.ok
    assert [(row.source, row.ledger, row.silver, row.quarantine) for row in report.objects] == [
        (3, 3, 0, 3), (7, 7, 5, 2), (12, 12, 12, 0), (0, 0, 0, 0),
    ]  # fmt: skip
    assert report.to_dict()["summary"]["rows_source"] == 22
    assert report.queues["chunks"] == Depth(0, 0, 0)


def test_a_missing_silver_file_is_named_with_its_rows(stack: FakeStack) -> None:
    name = stack.take_in(KEY, 5)
    key = f"silver/shipments/dt=2025-03-01/{name}-00000.parquet"
    stack.s3.delete("silver-b", key)
    lines = [difference.line() for difference in run(stack).differences]
    assert lines[0] == (
        f"{KEY}: s3://silver-b/{key} is missing, the ledger says it holds 5 rows; repair: sluice requeue {name}"
    )
    assert "0 rows in silver + 0 in quarantine are not the 5 that came in" in lines[1]
    assert len(lines) == 2


def test_a_missing_quarantine_file_is_named(stack: FakeStack) -> None:
    name = stack.take_in(KEY, 5, 2)
    stack.s3.delete("quarantine-b", f"quarantine/shipments/{name}-00000.jsonl")
    assert "quarantine-b/quarantine/shipments" in run(stack).differences[0].what


@pytest.mark.parametrize("place", ["silver/shipments", "quarantine/shipments"])
def test_a_file_that_goes_after_it_was_listed_is_missing(
    stack: FakeStack, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    stack.take_in(KEY, 5, 2)
    read = stack.s3.get_object

    def another_was_quicker(Bucket: str, Key: str, **which: str) -> dict[str, Any]:  # noqa: N803
        if Key.startswith(place):
            stack.s3.delete(Bucket, Key)
        return read(Bucket, Key, **which)

    monkeypatch.setattr(stack.s3, "get_object", another_was_quicker)
    assert place in run(stack).differences[0].what


def test_a_file_with_other_rows_than_the_ledger_says_differs(stack: FakeStack) -> None:
    name = stack.take_in(KEY, 5)
    stack.put_silver(f"silver/shipments/dt=2025-03-01/{name}-00000.parquet", [f"{name}-{n}" for n in range(4)])
    assert "holds 4 rows, the ledger says 5" in run(stack).differences[0].what


def test_a_doubled_file_is_found_with_the_command_that_removes_it(stack: FakeStack) -> None:
    name = stack.take_in(KEY, 5)
    copy = f"silver/shipments/dt=2025-03-02/{name}-00000.parquet"
    stack.put_silver(copy, [f"{name}-{n}" for n in range(5)])
    line = only(run(stack))
    assert KEY in line
    assert line.endswith(f"repair: aws s3 rm s3://silver-b/{copy}")


def test_a_file_that_no_object_wrote_is_an_orphan(stack: FakeStack) -> None:
    stack.take_in(KEY, 5)
    stack.put_silver(f"silver/flights/dt=2025-03-02/{'f' * 32}-00000.parquet", ["x"])
    stack.put_quarantine(f"quarantine/flights/{'e' * 32}-00000.jsonl", ["x"])
    report = run(stack)
    assert [difference.what for difference in report.differences] == ["no object of the ledger wrote this file"] * 2
    assert run(stack, dataset="shipments").ok
    assert not run(stack, dataset="flights").ok


def test_a_bronze_object_without_an_entry_is_found(stack: FakeStack) -> None:
    stack.take_in(KEY, 5)
    stack.s3.put_object("bronze-b", "bronze/shipments/lost one.jsonl", b"{}\n")
    line = only(run(stack))
    assert line == (
        "bronze/shipments/lost one.jsonl: in bronze, but not in the ledger; "
        "repair: sluice requeue 'bronze/shipments/lost one.jsonl'"
    )


def test_the_files_of_an_object_that_lost_its_entry_are_one_difference_with_it(stack: FakeStack) -> None:
    name = stack.take_in(KEY, 5, 1)
    stack.dynamodb.items.remove(stack.object_item(name))
    assert only(run(stack)).endswith(f"repair: sluice requeue '{KEY}'")


def test_every_version_wants_an_entry_not_only_the_latest(stack: FakeStack) -> None:
    stack.s3.put_object("bronze-b", KEY, b"first\n")
    stack.take_in(KEY, 5)
    assert "not in the ledger" in only(run(stack))


def test_the_same_bytes_put_again_are_the_same_object(stack: FakeStack) -> None:
    stack.take_in(KEY, 5)
    stack.s3.put_object("bronze-b", KEY, stack.s3.objects["bronze-b", KEY][0].body)
    assert run(stack).ok


def test_a_replayed_copy_belongs_to_its_origin(stack: FakeStack) -> None:
    stack.take_in(KEY, 5)
    stored = stack.s3.objects["bronze-b", KEY][0]
    origin = {"bucket": "bronze-b", "key": "bronze/shipments/a%20b.jsonl", "etag": stored.etag}
    metadata = {f"sluice-origin-{name}": value for name, value in origin.items()}
    stack.s3.put_object("bronze-b", "bronze/_requeue/x/a b.jsonl", stored.body, metadata)
    assert run(stack).ok


def test_a_source_with_more_rows_than_the_ledger_differs(stack: FakeStack) -> None:
    name = stack.take_in(KEY, 5)
    stack.s3.objects["bronze-b", KEY][0].body += b"one more\n"
    report = run(stack)
    assert report.objects[0].differences[0].what == "the source has 6 rows, the ledger 5"
    assert name in report.objects[0].differences[0].repair


def test_the_version_that_the_ledger_names_is_counted_not_the_latest(stack: FakeStack) -> None:
    stack.take_in(KEY, 5)
    stack.take_in(KEY, 7)
    report = run(stack)
    assert sorted((row.source or 0) for row in report.objects) == [5, 7]
    assert report.ok


def test_rows_that_are_there_twice_are_found_by_their_ids(stack: FakeStack) -> None:
    name = stack.take_in(KEY, 5)
    ids = [f"{name}-{n}" for n in (0, 1, 2, 3, 3)]
    stack.put_silver(f"silver/shipments/dt=2025-03-01/{name}-00000.parquet", ids)
    assert f"1 rows are there more than once (_record_id), the first is {name}-3" in only(run(stack))


def test_a_row_in_silver_and_in_quarantine_is_there_twice(stack: FakeStack) -> None:
    name = stack.take_in(KEY, 5, 1)
    stack.put_quarantine(f"quarantine/shipments/{name}-00000.jsonl", [f"{name}-0"])
    assert "more than once" in only(run(stack))


def test_rows_of_another_object_are_found(stack: FakeStack) -> None:
    name = stack.take_in(KEY, 2)
    stack.put_silver(f"silver/shipments/dt=2025-03-01/{name}-00000.parquet", [f"{name}-0", "other-1"])
    assert "1 rows carry the _record_id of another object" in only(run(stack))


def test_an_object_that_is_not_finished_differs_and_its_written_files_are_no_orphans(stack: FakeStack) -> None:
    name = stack.take_in(KEY, 5, chunks=2)
    stack.object_item(name).update(state="planned", chunks_done=1, rows_in=5, rows_silver=5)
    chunk = stack.chunk_item(name, 1)
    for field in ("outputs", "quarantine", "rows_in", "rows_silver", "rows_quarantined"):
        del chunk[field]
    chunk["chunk_state"] = "pending"
    assert "not finished: planned" in only(run(stack))
    assert "1 of 2 chunks done" in only(run(stack))


def test_counters_that_are_not_the_sum_of_the_chunks_differ(stack: FakeStack) -> None:
    name = stack.take_in(KEY, 5, 1)
    stack.object_item(name).update(rows_in=7, rows_silver=6)
    what = [difference.what for difference in run(stack).differences]
    assert "the object's rows_in is 7, its chunks have 6" in what
    assert "the object's rows_silver is 6, its chunks have 5" in what


def test_a_failed_object_is_counted_as_failed_and_its_rows_are_not_expected(stack: FakeStack) -> None:
    stack.s3.put_object("bronze-b", KEY, b"\x00\xff")
    etag = stack.s3.objects["bronze-b", KEY][0].etag
    name = object_id("bronze-b", KEY, etag)
    stack.dynamodb.items.append(
        {"pk": f"object#{name}", "sk": "object", "object_id": name, "state": "failed", "failed_reason": "unreadable"}
        | {"key": KEY, "bucket": "bronze-b", "dataset": "shipments", "chunk_count": 0, "chunks_done": 0}
        | {"origin": {"bucket": "bronze-b", "key": KEY, "etag": etag, "version_id": "v1"}, "version_id": "v1"}
    )
    report = run(stack)
    assert report.ok
    assert (report.objects[0].state, report.objects[0].reason, report.objects[0].source) == (
        "failed",
        "unreadable",
        None,
    )
    del stack.object_item(name)["failed_reason"]
    assert "failed without a reason" in only(run(stack))


def test_a_source_that_lifecycle_removed_is_no_difference(stack: FakeStack) -> None:
    stack.take_in(KEY, 5)
    stack.s3.delete("bronze-b", KEY)
    report = run(stack)
    assert report.ok
    assert report.objects[0].source is None


def test_a_prefix_leaves_other_objects_out(stack: FakeStack) -> None:
    stack.take_in("bronze/shipments/one/a.jsonl", 5)
    damaged = stack.take_in("bronze/shipments/two/b.jsonl", 5)
    stack.s3.delete("silver-b", f"silver/shipments/dt=2025-03-01/{damaged}-00000.parquet")
    assert run(stack, prefixes=["bronze/shipments/one/"]).ok
    assert not run(stack, prefixes=["bronze/shipments/one/", "bronze/shipments/two/"]).ok


def test_progress_ends_at_all_objects(stack: FakeStack) -> None:
    for number in range(3):
        stack.take_in(f"bronze/shipments/{number}.jsonl", 1)
    seen: list[tuple[int, int]] = []
    run(stack, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("dataset", shipping.DATASETS)
def test_rows_are_counted_in_every_format(dataset: str) -> None:
    for sample in formats.every_format(dataset, seed=4, rows=9):
        assert count_rows(sample.name, io.BytesIO(sample.body)) == sample.rows, sample.name


@pytest.mark.parametrize(
    ("name", "body", "rows"),
    [
        ("a.jsonl", b"{}\n\n  \r\n{}\n", 2),
        ("a.json", b'{"broken\n{"a":2}\n', 2),
        ("a.json", b'{\n "a": 1\n}\n{\n "a": 2\n}\n', 2),
        ("a.jsonl", b"{}\n" * 100_000 + b"{}", 100_001),
        ("a.jsonl", b"x" * 3_000_000 + b"\n{}\n", 2),
        ("a.csv", b'a,b\n"1\n2",3\n\n,\n', 2),
    ],
)
def test_rows_are_counted_where_lines_mislead(name: str, body: bytes, rows: int) -> None:
    assert count_rows(name, io.BytesIO(body)) == rows


@pytest.mark.parametrize(("name", "body"), [("a.json", b'[{"a":1},'), ("a.jsonl.gz", formats.truncated_gzip().body)])
def test_what_has_no_rows_to_count_is_said_to_have_none(name: str, body: bytes) -> None:
    with pytest.raises(UncountableError):
        count_rows(name, io.BytesIO(body))


def test_the_identity_is_the_one_the_functions_use() -> None:
    from pipeline.identity import Origin

    assert object_id("b", "bronze/x/é a.jsonl", "e") == Origin("b", "bronze/x/é a.jsonl", "e").object_id
