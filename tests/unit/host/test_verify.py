"""Reconciliation: a pipeline that worked has no difference, and each kind of damage is found and named."""

import io
import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from fixtures import formats, shipping
from sluice import cli
from sluice.commands.verify import _show, _verdict
from sluice.console import SluiceError
from sluice.pipeline import storage
from sluice.pipeline import verify_reading as reading
from sluice.pipeline.ledger import LedgerView
from sluice.pipeline.queues import Depth
from sluice.pipeline.reconcile import Expired
from sluice.pipeline.source import UncountableError, count_rows
from sluice.pipeline.verify import Report, object_id, verify
from sluice_pipeline.ledger.contents import pointer_item
from sluice_pipeline.ledger.files import pages_prefix
from sluice_pipeline.objects.identity import Origin
from tests.support.fakes import FakeStack, Stored

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
    stack.ingested(KEY, 5, 2)
    stack.ingested("bronze/shipments/b.jsonl", 4, 0, chunks=3)
    stack.ingested("bronze/mixed/c.jsonl", 0, 3, dataset="mixed")
    stack.ingested("bronze/shipments/empty.jsonl", 0)
    report = run(stack)
    assert report.ok
    assert [(row.source, row.ledger, row.silver, row.quarantine) for row in report.objects] == [
        (3, 3, 0, 3), (7, 7, 5, 2), (12, 12, 12, 0), (0, 0, 0, 0),
    ]  # fmt: skip
    assert report.to_dict()["summary"]["rows_source"] == 22
    assert report.queues["chunks"] == Depth(0, 0, 0)


@pytest.fixture
def retention(stack: FakeStack) -> tuple[datetime, datetime]:
    """A ledger of 40 days: a time before them, and one within."""
    stack.outputs["ledger_retention_days"] = 40
    return datetime.now(UTC) - timedelta(days=41), datetime.now(UTC) - timedelta(days=39)


def came(stack: FakeStack, moment: datetime) -> None:
    """All that is in the buckets came then."""
    stack.s3.modified = {key: moment for _, key in stack.s3.objects}


def test_what_is_older_than_the_ledgers_retention_has_expired_and_what_is_younger_is_missing(
    stack: FakeStack, retention: tuple[datetime, datetime], capsys: pytest.CaptureFixture[str]
) -> None:
    old, young = retention
    stack.ingested(KEY, 5, 2, chunks=2)
    stack.ingested("bronze/shipments/b.jsonl", 4)
    stack.dynamodb.items.clear()
    live = stack.ingested("bronze/shipments/c.jsonl", 3, 1)
    came(stack, old)
    report = run(stack)
    assert report.ok
    assert [row.object_id for row in report.objects] == [live], "also an old object that the ledger knows"
    assert report.expired == Expired(objects=2, files=5)
    assert report.to_dict()["expired"] == {"objects": 2, "files": 5}
    assert report.to_dict()["summary"]["rows_silver"] == 3
    _show(report)
    assert "expired 2 objects in bronze, and 5 files" in " ".join(capsys.readouterr().err.split())
    stack.s3.modified[KEY] = young
    assert "in bronze, but not in the ledger" in only(run(stack))
    stack.outputs["ledger_retention_days"] = None
    assert len(run(stack).differences) == 2


def test_files_of_objects_that_bronze_no_longer_has_expire_by_their_own_age(
    stack: FakeStack, retention: tuple[datetime, datetime]
) -> None:
    old, young = retention
    stack.ingested(KEY, 5)
    stack.dynamodb.items.clear()
    stack.ingested("bronze/shipments/c.jsonl", 3)
    stack.s3.delete("bronze-b", KEY)
    came(stack, old)
    report = run(stack)
    assert (report.ok, report.expired) == (True, Expired(objects=0, files=1))
    came(stack, young)
    assert "no object of the ledger wrote this file" in only(run(stack))


def test_a_file_too_many_of_an_object_that_the_ledger_knows_is_a_difference_however_old(
    stack: FakeStack, retention: tuple[datetime, datetime]
) -> None:
    name = stack.ingested(KEY, 5)
    stack.put_silver(f"silver/shipments/dt=2024-01-01/{name}-00007.parquet", [f"{name}-1"])
    came(stack, retention[0])
    assert "the ledger does not know this file" in only(run(stack))


class Encrypted(Stored):
    """A version whose ETag is no digest of its bytes."""

    etag = "0f343b0931126a20f133d67c2b018a3b"


def test_an_upload_of_bytes_that_were_there_is_the_object_that_has_their_rows(stack: FakeStack) -> None:
    first = stack.ingested(KEY, 5, 2)
    versions = stack.s3.objects["bronze-b", KEY]
    versions.append(Encrypted(versions[0].body, "v2", {}))
    assert "in bronze, but not in the ledger" in only(run(stack))
    origins = [Origin("bronze-b", KEY, etag) for etag in (Encrypted.etag, "another")]
    stack.dynamodb.items.append(pointer_item(origins[0], first))
    report = run(stack)
    assert report.ok
    assert [row.object_id for row in report.objects] == [first]
    # A copy that a replay read, of an upload that is another object.
    stack.dynamodb.items.append(pointer_item(origins[1], origins[0].object_id))
    stack.s3.put_object("bronze-b", "bronze/_requeue/x", b"x", origins[1].to_metadata())
    assert run(stack).ok
    ledger, ids = LedgerView.of(stack), [origin.object_id for origin in origins]  # type: ignore[arg-type]
    assert {name: item["object_id"] for name, item in ledger.objects([first, *ids]).items()} == dict.fromkeys(
        [first, *ids], first
    )
    for name in ids:
        entry = ledger.one(name)
        assert entry is not None
        assert (entry.object_id, len(entry.chunks)) == (first, 1)


def test_the_source_of_a_version_that_is_gone_is_the_last_upload_of_its_bytes(stack: FakeStack) -> None:
    first = stack.ingested(KEY, 5)
    versions = stack.s3.objects["bronze-b", KEY]
    newest = Encrypted(versions[0].body, "v2", {})
    stack.object_item(first)["newest"] = {"bucket": "bronze-b", "key": KEY, "version_id": "v2", "etag": newest.etag}
    stack.dynamodb.items.append(pointer_item(Origin("bronze-b", KEY, newest.etag), first))
    versions[:] = [newest]
    assert [row.source for row in run(stack).objects] == [5]
    versions.clear()
    assert [row.source for row in run(stack).objects] == [None]


def test_a_pointer_to_what_the_ledger_has_forgotten_leads_nowhere(stack: FakeStack) -> None:
    stack.s3.objects["bronze-b", KEY] = [Encrypted(b"x", "v1", {})]
    origin = Origin("bronze-b", KEY, Encrypted.etag)
    stack.dynamodb.items.append(pointer_item(origin, "0" * 32))
    assert "in bronze, but not in the ledger" in only(run(stack))
    ledger = LedgerView.of(stack)  # type: ignore[arg-type]
    assert ledger.objects([origin.object_id]) == {}
    assert ledger.one(origin.object_id) is None


def test_what_ingest_passes_over_is_not_missing(stack: FakeStack) -> None:
    stack.outputs["passed_over_keys"] = ["*/", "*/_SUCCESS"]
    stack.ingested(KEY, 5)
    for key in ("bronze/shipments/", "bronze/shipments/_SUCCESS"):
        stack.s3.put_object("bronze-b", key, b"")
    assert run(stack).ok
    stack.s3.put_object("bronze-b", "bronze/shipments/x/", b"rows")
    assert "in bronze, but not in the ledger" in only(run(stack))


def test_files_of_a_chunk_that_are_in_pages_reconcile(stack: FakeStack) -> None:
    name = stack.ingested(KEY, 5, 2)
    chunk = stack.chunk_item(name)
    pages = [{"outputs": chunk["outputs"]}, {"quarantine": chunk["quarantine"]}]
    for number, page in enumerate(pages):
        sk = f"{pages_prefix(chunk['sk'], 1)}{number:05d}"
        stack.dynamodb.items.insert(0, page | {"pk": chunk["pk"], "sk": sk})
    chunk |= {"outputs": [], "quarantine": [], "files_run": 1, "files_pages": 2}
    report = run(stack)
    assert report.ok
    assert [(row.silver, row.quarantine) for row in report.objects] == [(5, 2)]
    del stack.dynamodb.items[0]
    assert any("the ledger does not know this file" in difference.line() for difference in run(stack).differences)


def test_a_missing_silver_file_is_named_with_its_rows(stack: FakeStack) -> None:
    name = stack.ingested(KEY, 5)
    key = f"silver/shipments/dt=2025-03-01/{name}-00000.parquet"
    stack.s3.delete("silver-b", key)
    lines = [difference.line() for difference in run(stack).differences]
    assert lines[0] == (
        f"{KEY}: s3://silver-b/{key} is missing, the ledger says it holds 5 rows; repair: sluice requeue {name}"
    )
    assert "0 rows in silver + 0 in quarantine are not the 5 that came in" in lines[1]
    assert len(lines) == 2


def test_a_missing_quarantine_file_is_named(stack: FakeStack) -> None:
    name = stack.ingested(KEY, 5, 2)
    stack.s3.delete("quarantine-b", f"quarantine/shipments/{name}-00000.jsonl")
    assert "quarantine-b/quarantine/shipments" in run(stack).differences[0].what


@pytest.mark.parametrize("place", ["silver/shipments", "quarantine/shipments"])
def test_a_file_that_goes_after_it_was_listed_is_missing(
    stack: FakeStack, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    stack.ingested(KEY, 5, 2)
    read = stack.s3.get_object

    def another_was_quicker(Bucket: str, Key: str, **which: str) -> dict[str, Any]:  # noqa: N803
        if Key.startswith(place):
            stack.s3.delete(Bucket, Key)
        return read(Bucket, Key, **which)

    monkeypatch.setattr(stack.s3, "get_object", another_was_quicker)
    assert place in run(stack).differences[0].what


def test_a_file_with_other_rows_than_the_ledger_says_differs(stack: FakeStack) -> None:
    name = stack.ingested(KEY, 5)
    stack.put_silver(f"silver/shipments/dt=2025-03-01/{name}-00000.parquet", [f"{name}-{n}" for n in range(4)])
    assert "holds 4 rows, the ledger says 5" in run(stack).differences[0].what


def test_a_doubled_file_is_found_with_the_command_that_removes_it(stack: FakeStack) -> None:
    name = stack.ingested(KEY, 5)
    copy = f"silver/shipments/dt=2025-03-02/{name}-00000.parquet"
    stack.put_silver(copy, [f"{name}-{n}" for n in range(5)])
    line = only(run(stack))
    assert KEY in line
    assert line.endswith(f"repair: aws s3 rm s3://silver-b/{copy}")


def test_a_file_that_no_object_wrote_is_an_orphan(stack: FakeStack) -> None:
    stack.ingested(KEY, 5)
    stack.put_silver(f"silver/flights/dt=2025-03-02/{'f' * 32}-00000.parquet", ["x"])
    stack.put_quarantine(f"quarantine/flights/{'e' * 32}-00000.jsonl", ["x"])
    report = run(stack)
    assert [difference.what for difference in report.differences] == ["no object of the ledger wrote this file"] * 2
    assert run(stack, dataset="shipments").ok
    assert not run(stack, dataset="flights").ok


def test_a_bronze_object_without_an_entry_is_found(stack: FakeStack) -> None:
    stack.ingested(KEY, 5)
    stack.s3.put_object("bronze-b", "bronze/shipments/lost one.jsonl", b"{}\n")
    line = only(run(stack))
    assert line == (
        "bronze/shipments/lost one.jsonl: in bronze, but not in the ledger; "
        "repair: sluice requeue 'bronze/shipments/lost one.jsonl'"
    )


def test_the_files_of_an_object_that_lost_its_entry_are_one_difference_with_it(stack: FakeStack) -> None:
    name = stack.ingested(KEY, 5, 1)
    stack.dynamodb.items.remove(stack.object_item(name))
    assert only(run(stack)).endswith(f"repair: sluice requeue '{KEY}'")


def test_every_version_wants_an_entry_not_only_the_latest(stack: FakeStack) -> None:
    stack.s3.put_object("bronze-b", KEY, b"first\n")
    stack.ingested(KEY, 5)
    assert "not in the ledger" in only(run(stack))


def test_the_same_bytes_put_again_are_the_same_object(stack: FakeStack) -> None:
    stack.ingested(KEY, 5)
    stack.s3.put_object("bronze-b", KEY, stack.s3.objects["bronze-b", KEY][0].body)
    assert run(stack).ok


def test_a_replayed_copy_belongs_to_its_origin(stack: FakeStack) -> None:
    stack.ingested(KEY, 5)
    stored = stack.s3.objects["bronze-b", KEY][0]
    origin = {"bucket": "bronze-b", "key": "bronze/shipments/a%20b.jsonl", "etag": stored.etag}
    metadata = {f"sluice-origin-{name}": value for name, value in origin.items()}
    stack.s3.put_object("bronze-b", "bronze/_requeue/x/a b.jsonl", stored.body, metadata)
    assert run(stack).ok


def test_a_source_with_more_rows_than_the_ledger_differs(stack: FakeStack) -> None:
    name = stack.ingested(KEY, 5)
    stack.s3.objects["bronze-b", KEY][0].body += b"one more\n"
    report = run(stack)
    assert report.objects[0].differences[0].what == "the source has 6 rows, the ledger 5"
    assert name in report.objects[0].differences[0].repair


def test_the_version_that_the_ledger_names_is_counted_not_the_latest(stack: FakeStack) -> None:
    stack.ingested(KEY, 5)
    stack.ingested(KEY, 7)
    report = run(stack)
    assert sorted((row.source or 0) for row in report.objects) == [5, 7]
    assert report.ok


def test_rows_that_are_there_twice_are_found_by_their_ids(stack: FakeStack) -> None:
    name = stack.ingested(KEY, 5)
    ids = [f"{name}-{n}" for n in (0, 1, 2, 3, 3)]
    stack.put_silver(f"silver/shipments/dt=2025-03-01/{name}-00000.parquet", ids)
    assert f"1 rows are there more than once (_record_id), the first is {name}-3" in only(run(stack))


def test_a_row_in_silver_and_in_quarantine_is_there_twice(stack: FakeStack) -> None:
    name = stack.ingested(KEY, 5, 1)
    stack.put_quarantine(f"quarantine/shipments/{name}-00000.jsonl", [f"{name}-0"])
    assert "more than once" in only(run(stack))


def test_rows_of_another_object_are_found(stack: FakeStack) -> None:
    name = stack.ingested(KEY, 2)
    stack.put_silver(f"silver/shipments/dt=2025-03-01/{name}-00000.parquet", [f"{name}-0", "other-1"])
    assert "1 rows carry the _record_id of another object" in only(run(stack))


def test_an_object_that_is_not_finished_differs_and_its_written_files_are_no_orphans(stack: FakeStack) -> None:
    name = stack.ingested(KEY, 5, chunks=2)
    stack.object_item(name).update(state="planned", chunks_done=1, rows_in=5, rows_silver=5)
    chunk = stack.chunk_item(name, 1)
    for field in ("outputs", "quarantine", "rows_in", "rows_silver", "rows_quarantined"):
        del chunk[field]
    chunk["chunk_state"] = "pending"
    assert "not finished: planned" in only(run(stack))
    assert "1 of 2 chunks done" in only(run(stack))


def test_counters_that_are_not_the_sum_of_the_chunks_differ(stack: FakeStack) -> None:
    name = stack.ingested(KEY, 5, 1)
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
    stack.ingested(KEY, 5)
    stack.s3.delete("bronze-b", KEY)
    report = run(stack)
    assert report.ok
    assert report.objects[0].source is None


def test_a_prefix_leaves_other_objects_out(stack: FakeStack) -> None:
    stack.ingested("bronze/shipments/one/a.jsonl", 5)
    damaged = stack.ingested("bronze/shipments/two/b.jsonl", 5)
    stack.s3.delete("silver-b", f"silver/shipments/dt=2025-03-01/{damaged}-00000.parquet")
    assert run(stack, prefixes=["bronze/shipments/one/"]).ok
    assert not run(stack, prefixes=["bronze/shipments/one/", "bronze/shipments/two/"]).ok


@pytest.mark.parametrize("limit", ["LARGE_ROWS", "LARGE_BYTES"])
def test_of_large_sources_two_are_read_at_once(stack: FakeStack, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    """Else verify needs more memory with more objects: eight workers read them."""
    monkeypatch.setattr(reading, limit, 1)
    for number in range(8):
        object_id = stack.ingested(f"bronze/shipments/large-{number}.jsonl", 2)
        stack.object_item(object_id)["size"] = 100
    active, highest, changed = 0, 0, threading.Condition()

    def noted(*given: Any) -> int:
        nonlocal active, highest
        with changed:
            active += 1
            highest = max(highest, active)
            changed.notify_all()
            changed.wait_for(lambda: highest > reading.LARGE_AT_ONCE, timeout=0.1)
            active -= 1
        return count_rows(*given)

    monkeypatch.setattr(reading, "count_rows", noted)
    assert verify(stack).ok  # type: ignore[arg-type]
    assert highest == reading.LARGE_AT_ONCE


def test_memory_that_was_freed_is_not_held_by_arrow_while_files_are_read(
    stack: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = pa.default_memory_pool().backend_name
    seen: set[str] = set()
    read = storage.silver_content

    def noted(*given: Any) -> storage.Content:
        seen.add(pa.default_memory_pool().backend_name)
        return read(*given)

    monkeypatch.setattr(storage, "silver_content", noted)
    stack.ingested(KEY, 2)
    assert run(stack).ok
    assert seen == {"system"}
    assert pa.default_memory_pool().backend_name == former


def test_progress_ends_at_all_objects(stack: FakeStack) -> None:
    for number in range(3):
        stack.ingested(f"bronze/shipments/{number}.jsonl", 1)
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
        ("a.json", b'[{"a":1},', 2),  # the array has no end, which is said in a row of its own
        ("a.json", b'[{"a":1},\n{broken},\n{"a":3}]', 3),
        ("a", b'{"a":1}{"b":2}\n{"c":{}}{', 4),
    ],
)
def test_rows_are_counted_where_lines_mislead(name: str, body: bytes, rows: int) -> None:
    assert count_rows(name, io.BytesIO(body)) == rows


@pytest.mark.parametrize(("name", "body"), [("a.json", b"[{broken\n]"), ("a.jsonl.gz", formats.truncated_gzip().body)])
def test_what_has_no_rows_to_count_is_said_to_have_none(name: str, body: bytes) -> None:
    with pytest.raises(UncountableError):
        count_rows(name, io.BytesIO(body))


def test_the_identity_is_the_one_the_functions_use() -> None:
    from sluice_pipeline.objects.identity import Origin

    assert object_id("b", "bronze/x/é a.jsonl", "e") == Origin("b", "bronze/x/é a.jsonl", "e").object_id


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dataset": "shipmnts"}, "did you mean 'shipments'"),
        ({"dataset": "flights"}, "there is: shipments"),
        ({"prefixes": ["bronze/shipmnts/"]}, "did you mean 'bronze/shipments/'"),
        ({"prefixes": ["bronze/shipments/", "bronze/x/"]}, "no object under 'bronze/x/'"),
        ({"dataset": "shipments", "prefixes": ["bronze/flights/"]}, "nothing to verify"),
    ],
)
def test_a_filter_that_names_nothing_is_wrong_use_and_names_what_there_is(
    stack: FakeStack, options: dict[str, Any], said: str
) -> None:
    stack.ingested(KEY, 3)
    with pytest.raises(SluiceError) as error:
        run(stack, **options)
    assert error.value.code == 2
    assert said in str(error.value)


def test_nothing_at_all_is_no_wrong_use(stack: FakeStack) -> None:
    report = run(stack)
    assert (report.ok, report.objects, report.unmanaged) == (True, [], [])
    assert _verdict(report) == "there is no row to account for"


def test_a_failed_object_is_not_ok_and_not_among_the_rows_that_are_accounted_for(
    stack: FakeStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.ingested(KEY, 3)
    for number in range(2):
        failed = stack.ingested(f"bronze/shipments/{number}.jsonl", 0)
        stack.object_item(failed).update(state="failed", failed_reason="unreadable")
    monkeypatch.setattr("sluice.pipeline.stack.choose", lambda _target, _env: stack)
    monkeypatch.delenv("COLUMNS", raising=False)  # parallel pytest sets it
    cli.register_verbs()
    assert cli.run(["verify"]) == 0
    printed = capsys.readouterr()
    lines = [line.split() for line in printed.out.splitlines() if "bronze/" in line]
    assert [words[-1] for words in lines] == ["failed", "failed", "yes"]
    assert "every row is accounted for, but 2 objects are not ingested (sluice runs --state failed)" in printed.err
    assert cli.run(["verify", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["summary"]["not_ingested"] == 2
    assert sorted((one["key"], one["ok"]) for one in found["objects"]) == [
        ("bronze/shipments/0.jsonl", False), ("bronze/shipments/1.jsonl", False), (KEY, True),
    ]  # fmt: skip


def test_objects_outside_of_bronze_are_counted_and_named(stack: FakeStack) -> None:
    stack.ingested(KEY, 3)
    stack.s3.put_object("bronze-b", "raw/a.csv", b"x")
    report = run(stack)
    assert (report.ok, report.unmanaged, report.to_dict()["unmanaged"]) == (True, ["raw/a.csv"], ["raw/a.csv"])
    assert _verdict(report) == "every row is accounted for; 1 object of bronze unmanaged"
    assert run(stack, dataset="shipments").unmanaged == ()


# -- the quality gate ------------------------------------------------------------------------------------------------


def gated(stack: FakeStack, state: str, number: int = 1, staged: int = 5) -> tuple[str, str]:
    """An object of 5 rows and 2 rejected ones that was staged, not published: its id and its key in silver."""
    stack.outputs["staging_bucket"] = "staging-b"
    name = stack.ingested(KEY, 5, 2)
    stack.object_item(name).update(state=state, run=number, failed_reason="quality", error="known: 2 of 5 rows")
    stack.chunk_item(name).update(staged=True, run=number)
    key = f"silver/shipments/dt=2025-03-01/{name}-00000.parquet"
    stack.put_silver(key, [f"{name}-{n}" for n in range(staged)])
    body = stack.s3.objects.pop(("silver-b", key))
    stack.s3.objects["staging-b", f"staged/{number:05d}/{key}"] = body
    return name, key


def test_rows_of_a_withheld_object_are_staged_or_in_quarantine(stack: FakeStack) -> None:
    gated(stack, "withheld")
    report = run(stack)
    assert report.ok
    [row] = report.objects
    assert (row.state, row.ledger, row.silver, row.staged, row.quarantine, row.ingested) == (
        "withheld", 7, 0, 5, 2, False,
    )  # fmt: skip
    assert report.to_dict()["summary"]["rows_staged"] == 5
    assert "1 object is withheld (sluice runs --state withheld)" in _verdict(report)


def test_a_staged_file_that_is_gone_or_has_other_rows_differs(stack: FakeStack) -> None:
    name, key = gated(stack, "withheld", staged=4)
    lines = [difference.line() for difference in run(stack).differences]
    assert f"s3://staging-b/staged/00001/{key} holds 4 rows, the ledger says 5" in lines[0]
    assert "0 rows in silver + 4 staged + 2 in quarantine are not the 7 that came in" in lines[1]
    stack.s3.delete("staging-b", f"staged/00001/{key}")
    first = run(stack).differences[0]
    assert f"s3://staging-b/staged/00001/{key} is missing" in first.what
    assert first.repair == f"sluice requeue {name}"


def test_an_object_that_waits_for_its_audit_is_unfinished_and_says_how_to_audit_it(stack: FakeStack) -> None:
    name, _ = gated(stack, "staged")
    assert only(run(stack)).endswith(f"quality: known: 2 of 5 rows; repair: sluice quality run {name}")


def test_a_withheld_object_has_nothing_in_silver_but_a_former_run(stack: FakeStack) -> None:
    name, key = gated(stack, "withheld")
    stack.put_silver(key, [f"{name}-{n}" for n in range(5)])
    assert only(run(stack)).endswith(f"repair: aws s3 rm s3://silver-b/{key}")
    second = FakeStack()
    name, key = gated(second, "withheld", 2)
    second.put_silver(key, [f"{name}-{n}" for n in range(5)])
    second.put_silver(key.replace("03-01", "03-02"), [f"{name}-9"])
    assert run(second).ok


def test_a_published_object_is_in_silver_alone(stack: FakeStack) -> None:
    name, key = gated(stack, "committed")
    assert f"s3://silver-b/{key} is missing" in run(stack).differences[0].what
    stack.put_silver(key, [f"{name}-{n}" for n in range(5)])
    assert run(stack).ok
