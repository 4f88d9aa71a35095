"""`sluice put`, `sluice ls`: files into bronze under repeatable keys, and what is in the buckets."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures import formats, shipping
from sluice import cli
from sluice.console import SluiceError
from sluice.pipeline import listing
from sluice.pipeline import put as putting
from sluice.pipeline.put import Destination, Uploader, destination, key_of
from sluice.pipeline.unmanaged import unmanaged
from sluice.pipeline.verify import object_id
from sluice_pipeline.objects.keys import dataset_of
from tests.support.fakes import FakeStack
from tests.support.reading import CATALOG

cli.register_verbs()

ROWS = formats.jsonl(shipping.records("shipments", 1, 5))
TO = Destination("shipments")


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> FakeStack:
    """The stack that every verb finds."""
    stack = FakeStack()
    monkeypatch.setattr("sluice.pipeline.stack.choose", lambda _target, _env: stack)
    return stack


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def write(name: str, body: bytes = ROWS) -> Path:
        path = tmp_path / name
        path.write_bytes(body)
        return path

    return write


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = cli.run([str(word) for word in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def bronze(stack: FakeStack) -> list[str]:
    return sorted(key for bucket, key in stack.s3.objects if bucket == "bronze-b")


# -- the key -----------------------------------------------------------------------------------------------------------


@given(st.text(min_size=1, max_size=400).filter(lambda name: "/" not in name and "\0" not in name), st.binary())
def test_a_key_is_the_datasets_whatever_the_files_name(name: str, body: bytes) -> None:
    key = key_of(Path(name), hashlib.sha256(body).hexdigest(), Destination("shipments", "2024/05"))
    assert key.startswith("bronze/shipments/2024/05/")
    assert dataset_of(key) == "shipments"
    assert len(key.encode()) <= 1024
    assert key.isprintable()
    assert key == key_of(Path(name), hashlib.sha256(body).hexdigest(), Destination("shipments", "2024/05"))


@pytest.mark.parametrize("ending", [".csv", ".jsonl.gz", ".json"])
def test_the_ending_of_a_long_name_still_says_how_it_is_read(ending: str) -> None:
    key = key_of(Path("ä" * 120 + ending), "0" * 64, TO)
    assert key.endswith("ä" + ending)


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("shipments", "bronze/shipments/"),
        ("shipments/", "bronze/shipments/"),
        ("bronze/shipments", "bronze/shipments/"),
        ("shipments//2024/05/", "bronze/shipments/2024/05/"),
        ("s3://bronze-b/bronze/shipments/x", "bronze/shipments/x/"),
        ("mixed", "bronze/mixed/"),
    ],
)
def test_a_destination_is_a_dataset_or_a_folder_of_it(text: str, prefix: str) -> None:
    assert destination(text, "bronze-b", CATALOG).prefix == prefix


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("shipmnts", "did you mean 'shipments'"),
        ("raw/shipments", "under bronze/<dataset>/ only"),
        ("silver/shipments", "under bronze/<dataset>/ only"),
        ("s3://other/bronze/shipments/", "from the bucket bronze-b only"),
        ("", "there is no dataset ''"),
        ("/", "there is no dataset ''"),
    ],
)
def test_a_place_that_is_not_ingested_is_wrong_use(text: str, said: str) -> None:
    with pytest.raises(SluiceError) as error:
        destination(text, "bronze-b", CATALOG)
    assert error.value.code == 2
    assert said in str(error.value)


# -- the same content --------------------------------------------------------------------------------------------------


def test_the_same_content_is_one_object_under_any_name_and_uploaded_once(stack: FakeStack, file: Any) -> None:
    uploader = Uploader(stack)  # type: ignore[arg-type]
    first = uploader.put(file("a.jsonl"), TO)
    again = [uploader.put(file(name), TO) for name in ("a.jsonl", "a (1).jsonl", "B.JSONL")]
    assert first.new
    assert [(one.key, one.object_id, one.new) for one in again] == [(first.key, first.object_id, False)] * 3
    assert stack.s3.uploads == bronze(stack) == [first.key]
    stored = stack.s3.objects["bronze-b", first.key][0]
    assert stored.body == ROWS
    assert first.object_id == object_id("bronze-b", first.key, stored.etag)


def test_another_ending_is_read_in_another_way_and_is_another_object(stack: FakeStack, file: Any) -> None:
    uploader = Uploader(stack)  # type: ignore[arg-type]
    keys = {uploader.put(file(name), TO).key for name in ("a.txt", "a.csv", "b.txt", "a.csv.gz")}
    assert len(keys) == len(stack.s3.uploads) == 2


def test_other_content_is_another_object(stack: FakeStack, file: Any) -> None:
    uploader = Uploader(stack)  # type: ignore[arg-type]
    assert len({uploader.put(file("a.jsonl", ROWS * n), TO).key for n in (1, 2, 3)}) == 3


def test_an_object_of_the_same_key_with_other_content_is_not_taken_for_it(stack: FakeStack, file: Any) -> None:
    uploader = Uploader(stack)  # type: ignore[arg-type]
    path = file("a.jsonl")
    key = key_of(path, hashlib.sha256(ROWS).hexdigest(), TO)
    stack.s3.put_object("bronze-b", key, b"other")
    assert uploader.put(path, TO).new
    assert stack.s3.objects["bronze-b", key][-1].body == ROWS


def test_an_upload_that_dies_leaves_nothing_and_the_next_put_is_complete(
    stack: FakeStack, file: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, upload = file("a.jsonl"), stack.s3.upload_file

    def dies(*_: Any, **__: Any) -> None:
        raise ConnectionError("reset")

    monkeypatch.setattr(stack.s3, "upload_file", dies)
    uploader = Uploader(stack)  # type: ignore[arg-type]
    with pytest.raises(ConnectionError):
        uploader.put(path, TO)
    assert bronze(stack) == []
    monkeypatch.setattr(stack.s3, "upload_file", upload)
    assert uploader.put(path, TO).new


def test_a_file_that_changes_meanwhile_is_not_left_in_bronze(
    stack: FakeStack, file: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, upload = file("a.jsonl"), stack.s3.upload_file

    def grows(*given: Any, **named: Any) -> None:
        path.write_bytes(ROWS + b"{}\n")
        upload(*given, **named)

    monkeypatch.setattr(stack.s3, "upload_file", grows)
    with pytest.raises(SluiceError, match="changed while it was uploaded") as error:
        Uploader(stack).put(path, TO)  # type: ignore[arg-type]
    assert error.value.code == 1
    assert bronze(stack) == []


# -- the verb ----------------------------------------------------------------------------------------------------------


def test_several_files_are_put_and_named(stack: FakeStack, file: Any, capsys: pytest.CaptureFixture[str]) -> None:
    files = [file("a.jsonl"), file("b.jsonl.gz", gzip.compress(ROWS, mtime=0)), file("c.jsonl")]
    code, out, _ = run(capsys, "put", *files, "shipments/x", "--json")
    found = json.loads(out)
    assert (code, [one["new"] for one in found]) == (0, [True, True, False])
    assert bronze(stack) == sorted({one["key"] for one in found})
    code, out, err = run(capsys, "put", files[0], "shipments/x")
    assert code == 0
    assert "nothing was uploaded" in out
    assert f"sluice runs {found[0]['object_id'][:12]}" in err


def test_columns_that_are_not_the_datasets_are_refused_before_anything_is_uploaded(
    stack: FakeStack, file: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    good = file("a.jsonl")
    bad = file("b.jsonl", formats.jsonl([row | {"colour": 1} for row in shipping.records("shipments", 2, 5)]))
    code, _, err = run(capsys, "put", good, bad, "shipments")
    assert code == 2
    assert "column 'colour' is no field of shipments" in err
    assert "--force uploads it" in err
    assert bronze(stack) == []
    assert run(capsys, "put", good, bad, "shipments", "--force")[0] == 0
    assert len(bronze(stack)) == 2


def test_an_absent_required_field_and_unreadable_content_are_refused(
    stack: FakeStack, file: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{k: v for k, v in row.items() if k != "weight_kg"} for row in shipping.records("shipments", 2, 5)]
    code, _, err = run(capsys, "put", file("a.jsonl", formats.jsonl(rows)), "shipments")
    assert (code, "required field 'weight_kg'" in err) == (2, True)
    code, _, err = run(capsys, "put", file("a.zip", b"PK\x03\x04\0\0" * 99), "shipments")
    assert (code, "the object would fail, unreadable" in err) == (2, True)
    assert bronze(stack) == []


def test_rejected_rows_are_counted_and_put(stack: FakeStack, file: Any, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "put", file("a.jsonl", ROWS + b"broken\n"), "shipments")
    assert code == 0
    assert "1 of the first 6 rows will be rejected" in err
    assert len(bronze(stack)) == 1


def test_only_the_head_of_a_large_file_is_judged(
    stack: FakeStack, file: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = formats.jsonl(shipping.records("shipments", 1, 15_000))
    assert len(rows) > 2 * 1024 * 1024
    code, _, err = run(capsys, "put", file("a.jsonl", rows + b"broken\n"), "shipments")
    assert (code, "rejected" in err) == (0, False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{folder}/a.jsonl"], "name files and, last, a dataset"),
        (["shipments", "{folder}/a.jsonl"], "the dataset comes last: sluice put {folder}/a.jsonl shipments"),
        (["{folder}/a.jsonl", "shipmnts"], "did you mean 'shipments'?"),
        (["{folder}", "shipments"], "is a folder"),
        (["{folder}/a.jsonl", "{folder}/b.jsonl", "shipments"], "there is no file {folder}/b.jsonl, did you mean"),
        (["{folder}/a.jsonl", "raw/shipments"], "under bronze/<dataset>/ only"),
    ],
)
def test_wrong_use_is_one_line_and_uploads_nothing(
    stack: FakeStack, file: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    file("a.jsonl")
    code, out, err = run(capsys, "put", *(word.format(folder=tmp_path) for word in arguments))
    assert (code, out, err.count("\n"), bronze(stack)) == (2, "", 1, [])
    assert said.format(folder=tmp_path) in err


def test_the_end_of_an_object_is_its_rows_or_the_reason(stack: FakeStack) -> None:
    names = [stack.ingested(f"bronze/shipments/{name}.jsonl", 3, 1) for name in "abc"]
    stack.object_item(names[1]).update(state="failed", failed_reason="unreadable", error="broken gzip")
    stack.object_item(names[2]).update(state="planned", chunks_done=0)
    items = putting.wait_for_end(stack, names, 0)  # type: ignore[arg-type]
    assert [putting.end_of(items.get(name)) for name in (*names, "0" * 32)] == [
        (True, "committed: 3 rows in silver, 1 in quarantine"),
        (False, "failed: unreadable: broken gzip"),
        (False, "planned, 0 of 1 chunks done"),
        (False, "the ledger does not know it yet"),
    ]


@pytest.mark.parametrize(("state", "code", "said"), [("committed", 0, "3 rows in silver"), ("failed", 1, "failed: no")])
def test_wait_prints_the_end_and_a_failed_object_is_code_1(
    stack: FakeStack, file: Any, capsys: pytest.CaptureFixture[str], state: str, code: int, said: str
) -> None:
    path = file("a.jsonl")
    put = Uploader(stack).put(path, TO)  # type: ignore[arg-type]
    name = stack.ingested(put.key, 3)
    stack.object_item(name).update(object_id=put.object_id, pk=f"object#{put.object_id}", state=state,
                                   failed_reason="no", error="reason")  # fmt: skip
    stack.s3.objects["bronze-b", put.key] = stack.s3.objects["bronze-b", put.key][:1]
    found, out, _ = run(capsys, "put", path, "shipments", "--wait", "--deadline", "1")
    assert found == code
    assert said in out
    assert ("sluice requeue" in out) == (code == 1)


# -- ls ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def full(stack: FakeStack) -> FakeStack:
    stack.ingested("bronze/shipments/a.jsonl", 3, 1)
    stack.ingested("bronze/shipments/x/b.jsonl", 3)
    stack.ingested("bronze/flights/c.jsonl", 4, dataset="flights")
    for key in ("stray.csv", "raw/shipments/d.csv", "bronze/nosuch/e.csv"):
        stack.s3.put_object("bronze-b", key, b"x")
    return stack


@pytest.mark.parametrize(
    ("which", "count"),
    [
        ("", 12),
        ("bronze", 6),
        ("silver", 3),
        ("shipments", 5),
        ("shipments/", 5),
        ("shipments/x", 1),
        ("bronze/shipments", 2),
        ("bronze/", 4),
        ("s3://bronze-b/", 6),
        ("s3://quarantine-b/quarantine/", 1),
        ("raw", 1),
        ("raw/", 1),
        ("stray.csv", 1),
        ("nosuch", 1),
        ("tracking_events", 0),
        ("mixed", 0),
    ],
)
def test_ls_lists_what_a_name_or_a_prefix_means(
    full: FakeStack, capsys: pytest.CaptureFixture[str], which: str, count: int
) -> None:
    expected = 10 if which == "" else count
    code, out, _ = run(capsys, "ls", *([which] if which else []), "--json")
    found = json.loads(out)
    assert code == 0
    assert len(found["objects"]) == sum(total["objects"] for total in found["totals"]) == expected


@pytest.mark.parametrize(
    ("which", "said"),
    [
        ("shipmnts", "did you mean 'shipments'?"),
        ("bronz", "There are"),
        ("bronze/shipmnts/", "did you mean 'bronze/shipments/'?"),
        ("s3://bronze/", "there is no bucket 'bronze'"),
    ],
)
def test_ls_of_a_name_that_names_nothing_is_code_2(
    full: FakeStack, capsys: pytest.CaptureFixture[str], which: str, said: str
) -> None:
    code, out, err = run(capsys, "ls", which)
    assert (code, out) == (2, "")
    assert said.casefold() in err.casefold()


def test_unmanaged_objects_are_those_that_no_dataset_has(full: FakeStack) -> None:
    name = full.ingested("bronze/nosuch/e.csv", 0, dataset="nosuch")
    full.object_item(name).update(state="failed", failed_reason="unknown_dataset")
    items = [item for item in full.dynamodb.items if item["sk"] == "object"]
    assert unmanaged(full.s3, "bronze-b", items) == ["bronze/nosuch/e.csv", "raw/shipments/d.csv", "stray.csv"]
    listed = listing.objects(full, "", ["shipments", "flights"])  # type: ignore[arg-type]
    assert sorted(one.key for one in listed if not one.managed) == [
        "bronze/nosuch/e.csv", "raw/shipments/d.csv", "stray.csv",
    ]  # fmt: skip
