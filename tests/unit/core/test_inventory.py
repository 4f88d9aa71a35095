"""reconcile by S3 Inventory: the newest whole list is compared once, and nothing that is not right in it does harm.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
"""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.reconcile import deliveries, inventory
from core.reconcile.deliveries import DataFile, Deliveries
from core.reconcile.inventory import Inventory
from core.reconcile.progress import Progress
from core.reconcile.window import Window
from sluice_pipeline.objects.identity import ObjectRef
from sluice_pipeline.runtime import clock
from tests.support.handlers import metrics
from tests.support.inventory_world import COLUMNS, CREATED, PREFIX, InventoryWorld, packed
from tests.support.reconcile_world import BUCKET, NOW, OLD, key_of

ODD = "a b+c%41 ä\n\"x',.jsonl"


@pytest.fixture
def world() -> InventoryWorld:
    return InventoryWorld()


def refused(world: InventoryWorld, why: str) -> None:
    """The run fails, says why, and announces nothing; the next ones are quiet until another list comes."""
    with pytest.raises(Exception, match=why) as caught:
        world.run()
    assert type(caught.value).__name__ == "InventoryRefusedError"
    world.run()
    assert world.sent == []
    assert "done_until" not in world.progress
    assert "began" not in world.progress
    world.deliver(created=CREATED + timedelta(hours=1))
    world.run()
    assert world.names == sorted(one.split("/", 2)[2] for one in world.bucket)


def test_what_is_in_the_list_and_not_in_the_ledger_is_announced_as_s3_does(
    world: InventoryWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.put(ODD, "known.jsonl", version_id="v7", size=12)
    world.know("known.jsonl")
    world.deliver()
    world.run()
    assert world.sent == [ObjectRef(BUCKET, key_of(ODD), "v7", f"e.{ODD}", 12)]
    found = metrics(capsys.readouterr().out)
    assert (found["ObjectsCompared"], found["ObjectsUnannounced"]) == (2, 1)
    assert 7200 <= found["InventoryAgeSeconds"] < 7200 + 600
    assert [(one["count"], one["keys"]) for one in world.notices] == [(1, [key_of(ODD)])]
    assert world.progress["done_until"] == clock.written(CREATED - timedelta(minutes=60))
    world.ingest()
    world.run()
    assert len(world.sent) == 1


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80))
def test_a_key_is_read_as_it_was_written(name: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html: keys in CSV are URL-encoded."""
    world = InventoryWorld()
    world.put(name)
    world.deliver()
    assert [one.key for one in objects(world)] == [key_of(name)]


def objects(world: InventoryWorld, position: str = "", window: Window | None = None) -> list[Any]:
    """What the pages have of the newest list from the position on."""
    found = source(world)
    progress = Progress(manifest=_newest(world), position=position)
    every = window or Window("", "", "9999")
    return [one for page in found.pages(progress, every) for one in page.objects]


def source(world: InventoryWorld) -> Inventory:
    return Inventory(Deliveries(world, "lists", PREFIX, BUCKET), None)  # type: ignore[arg-type]


def _newest(world: InventoryWorld) -> str:
    found = Deliveries(world, "lists", PREFIX, BUCKET).newest(NOW)
    assert found
    return found.manifest


def test_the_newest_whole_list_is_read_and_an_older_one_is_not(world: InventoryWorld) -> None:
    world.put("old")
    world.deliver(created=CREATED - timedelta(days=1))
    world.bucket.clear()
    world.put("new")
    world.deliver()
    world.put("later")
    unfinished = world.deliver(created=CREATED + timedelta(minutes=30))
    del world.lists[unfinished.replace("manifest.json", "manifest.checksum")]
    world.deliver(created=NOW + timedelta(days=900))  # which no S3 writes
    world.lists[f"{PREFIX}9999-13-99T00-00Z/manifest.json"] = b"{}"
    world.run()
    world.run()
    assert world.names == ["new"]


def test_nothing_is_judged_before_a_list_came_and_late_ones_are_an_error(
    world: InventoryWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.put("a")
    world.run()
    waiting = world.progress["waiting_since"]
    world.run()
    assert (world.sent, world.progress["waiting_since"]) == ([], waiting)
    assert metrics(capsys.readouterr().out)["InventoryAgeSeconds"] < 600
    world.ledger.items["ledger#reconcile", "head"]["waiting_since"] = {"S": clock.written(NOW - timedelta(days=4))}
    with pytest.raises(Exception, match="no inventory that can be read for 4 days"):
        world.run()
    assert metrics(capsys.readouterr().out)["InventoryAgeSeconds"] >= 4 * 86_400
    world.deliver()
    world.run()
    assert world.names == ["a"]
    assert "waiting_since" not in world.progress


def test_a_list_that_is_late_is_compared_and_then_an_error(
    world: InventoryWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.put("a", modified=NOW - timedelta(days=6))
    world.deliver(created=CREATED - timedelta(days=4))
    world.run()
    assert world.names == ["a"]
    with pytest.raises(Exception, match="for 4 days"):
        world.run()
    assert metrics(capsys.readouterr().out)["InventoryAgeSeconds"] >= 4 * 86_400
    assert "lease_until" not in world.progress


def test_lists_that_have_all_expired_are_late_by_the_last_one(world: InventoryWorld) -> None:
    world.put("a", modified=NOW - timedelta(days=20))
    world.deliver(created=CREATED - timedelta(days=15))
    world.run()
    world.lists.clear()
    for _ in range(2):
        with pytest.raises(Exception, match="for 15 days"):
            world.run()


def test_an_object_that_came_after_the_list_or_shortly_before_is_left_to_the_next_one(world: InventoryWorld) -> None:
    world.put("young", modified=CREATED - timedelta(minutes=30))
    world.put("a")
    world.deliver()
    world.after_listing = lambda: world.put("a", etag="new", version_id="v2", modified=CREATED + timedelta(minutes=1))
    world.run()
    assert world.sent == []
    world.deliver(created=CREATED + timedelta(minutes=90))
    world.run()
    assert sorted(world.names) == ["a", "young"]


def test_a_list_that_says_it_is_from_the_future_moves_no_window(world: InventoryWorld) -> None:
    world.put("young", modified=NOW - timedelta(minutes=5))
    world.deliver(creationTimestamp=str(int((NOW + timedelta(days=9)).timestamp() * 1000)))
    world.run()
    assert world.sent == []


def test_an_object_that_was_deleted_after_the_list_is_none(world: InventoryWorld) -> None:
    world.put("a", "b")
    world.deliver()
    del world.bucket[key_of("a")]
    world.run()
    assert world.names == ["b"]


def test_columns_are_as_the_manifest_says_and_versions_that_are_not_current_are_left_out(world: InventoryWorld) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html: a list of all versions."""
    columns = (
        "ETag",
        "IsDeleteMarker",
        "StorageClass",
        "LastModifiedDate",
        "IsLatest",
        "Key",
        "VersionId",
        "Bucket",
        "Size",
    )
    world.put("current", "former", "deleted")
    every = [
        row | {"IsLatest": str("former" not in row["Key"]).lower(), "VersionId": "v", "StorageClass": "STANDARD"}
        for row in world.rows()
    ]
    rows = [
        row
        | (
            {"IsDeleteMarker": "true", "Size": "", "ETag": ""}
            if "deleted" in row["Key"]
            else {"IsDeleteMarker": "false"}
        )
        for row in every
    ]
    world.deliver(rows, columns=columns)
    world.run()
    assert world.names == ["current"]


def test_an_empty_list_ends_the_pass(world: InventoryWorld) -> None:
    for hours, files in ((0, [[]]), (1, [b""]), (2, None)):
        created = CREATED - timedelta(days=1) + timedelta(hours=hours)
        world.deliver(*(files or [[]]), created=created, **({} if files else {"files": []}))
        world.run()
        assert world.progress["done_until"] == clock.written(created - timedelta(minutes=60))
    assert (world.sent, world.notices) == ([], [])


def test_rows_outside_of_bronze_are_left_out(world: InventoryWorld) -> None:
    world.put("a")
    world.deliver([row | {"Key": key} for row in world.rows() for key in ("elsewhere/a", "bronze", row["Key"])])
    world.run()
    assert world.names == ["a"]


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ({"sourceBucket": "another"}, "a list of 'another'"),
        ({"fileFormat": "Parquet"}, "a list in 'Parquet', not in CSV"),
        ({"fileSchema": "Bucket, Key, Size"}, "without LastModifiedDate, ETag"),
        ({"fileSchema": ", ".join((*COLUMNS, "Key"))}, "names a column twice"),
        ({"fileSchema": None}, "no manifest: AttributeError"),
        ({"creationTimestamp": "soon"}, "no manifest: ValueError"),
        ({"creationTimestamp": "9" * 40}, "no manifest: "),
        ({"files": [{"key": "elsewhere/x.csv.gz", "size": 1, "MD5checksum": "0"}]}, "is not below"),
        ({"files": [{"key": f"{PREFIX}data/x.csv.gz"}]}, "no manifest: KeyError"),
        ({"files": [{"key": f"{PREFIX}data/gone.csv.gz", "size": 9, "MD5checksum": "0"}]}, "gone.csv.gz is gone"),
    ],
)
def test_a_manifest_that_is_not_of_this_bucket_or_not_readable_is_refused(
    world: InventoryWorld, written: dict[str, Any], why: str
) -> None:
    world.put("a")
    world.deliver(**written)
    refused(world, why)


@pytest.mark.parametrize("written", [b"", b"[]", b"{", b"\xff", b"null", b"[" * 100_000])
def test_what_is_no_manifest_is_refused(world: InventoryWorld, written: bytes) -> None:
    world.put("a")
    world.deliver_manifest(written)
    refused(world, "manifest.json ")


@pytest.mark.parametrize("checksum", [b"", b"0" * 32, b"\xff"])
def test_a_manifest_with_another_checksum_is_refused(world: InventoryWorld, checksum: bytes) -> None:
    world.put("a")
    key = world.deliver()
    world.lists[key.replace("manifest.json", "manifest.checksum")] = checksum
    refused(world, "not the MD5 that manifest.checksum says|shorter")


def good(world: InventoryWorld) -> bytes:
    return packed(world.rows())


def row(**changes: str) -> Callable[[InventoryWorld], bytes]:
    return lambda world: packed([one | changes for one in world.rows()])


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (lambda world: good(world)[:-9], "no inventory: EOFError"),
        (lambda world: good(world) + b"rubbish", "no inventory: BadGzipFile"),
        (lambda world: good(world)[:30] + b"????" + good(world)[34:], "no inventory: "),
        (lambda _: b"no gzip", "no inventory: BadGzipFile"),
        (lambda _: gzip.compress(b'"only","three","fields"\n'), "not one of 5 fields"),
        (lambda _: gzip.compress(b"\n"), "not one of 5 fields"),
        (lambda _: gzip.compress(b'"an open quote'), "no inventory: Error"),
        (lambda _: gzip.compress(b"x" * 10_000_000), "a line of more than"),
        (lambda _: gzip.compress(b'"' + b"x\n" * 10_000_000), "field larger than"),
        (lambda _: gzip.compress(b"\xff\xfe\n"), "UnicodeDecodeError"),
        (row(Bucket="another"), "not one of 5 fields about bronze-b"),
        (row(Key="bronze/shipments/%FF"), "UnicodeDecodeError"),
        (row(LastModifiedDate="yesterday"), "Invalid isoformat"),
        (row(Size=""), "no inventory: ValueError"),
    ],
)
def test_a_file_that_is_no_list_is_refused(
    world: InventoryWorld, body: Callable[[InventoryWorld], bytes], why: str
) -> None:
    world.put("a")
    world.deliver(body(world))
    refused(world, why)


def test_a_file_of_another_checksum_ends_the_pass_without_its_last_page(world: InventoryWorld) -> None:
    world.put("a")
    world.deliver()
    key = next(key for key in world.lists if "/data/" in key)
    world.lists[key] = packed([*world.rows(), *world.rows()])[: len(world.lists[key])]
    refused(world, "no inventory|not the MD5")


def test_an_expired_file_ends_a_pass_and_what_was_found_before_is_notified(world: InventoryWorld) -> None:
    world.put("a", "b")
    first, second = world.rows()
    world.deliver([first], [second])
    del world.lists[next(key for key in world.lists if key.endswith("-1.csv.gz"))]
    with pytest.raises(Exception, match=r"-1.csv.gz is gone"):
        world.run()
    assert (world.names, [one["count"] for one in world.notices]) == (["a"], [1])
    world.deliver(created=CREATED + timedelta(hours=1))
    world.run()
    assert world.names == ["a", "b"]


def test_a_pass_goes_on_at_its_row_where_the_time_of_a_run_was_over(
    world: InventoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put(*"abcde")
    rows = world.rows()
    world.deliver(rows[:3], rows[3:])
    positions = []
    with world.deployed() as invoke:
        monkeypatch.setattr("core.reconcile.inventory.PAGE_OBJECTS", 2)
        for expected in ("ab", "abc", "abcde", "abcde"):
            invoke(30)
            positions.append(world.progress.get("after_key"))
            assert "".join(world.names) == expected
        invoke(30)
    assert positions == ["0:2", "1:0", "1:2", "2:0"]
    assert "after_key" not in world.progress
    assert world.progress["done_until"] == clock.written(CREATED - timedelta(minutes=60))


def test_a_pass_ends_over_its_own_list_though_a_newer_one_has_come(
    world: InventoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put(*"abc")
    manifest = world.deliver()
    with world.deployed() as invoke:
        monkeypatch.setattr("core.reconcile.inventory.PAGE_OBJECTS", 2)
        invoke(30)
        world.put("d")
        world.deliver(created=CREATED + timedelta(hours=1))
        invoke(900)
        assert (world.names, world.progress["closed"]) == (["a", "b", "c"], manifest)
        invoke(900)
        assert world.names == ["a", "b", "c", "d"]


def test_a_change_between_the_sources_drops_the_pass_that_was_under_way(world: InventoryWorld) -> None:
    world.put(*"abcde")
    world.page = 2
    world.run(seconds=30, INVENTORY_PREFIX="")
    assert world.names == ["a", "b"]
    world.deliver()
    world.run()
    assert world.names == ["a", "b", "c", "d", "e"]
    assert world.progress["done_until"] == clock.written(CREATED - timedelta(minutes=60))
    world.run(INVENTORY_PREFIX="")
    assert world.progress["done_until"] > clock.written(CREATED)


def test_two_runs_at_once_are_one(world: InventoryWorld) -> None:
    world.put("a")
    world.deliver()

    def second() -> None:
        world.after_listing = lambda: None
        world.run()

    world.after_listing = second
    world.run()
    assert (world.names, len(world.notices)) == (["a"], 1)


def test_every_death_before_or_after_a_call_loses_nothing(
    world: InventoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world.deployed() as invoke:
        monkeypatch.setattr("core.reconcile.inventory.PAGE_OBJECTS", 2)

        def scene(die: tuple[int, str] | None) -> None:
            world.clear()
            world.die = die
            world.put(*"abcde")
            world.know("c")
            rows = world.rows()
            world.deliver(rows[:3], rows[3:])
            while not invoke(900):
                pass

        scene(None)
        assert (world.names, [notice["count"] for notice in world.notices]) == (["a", "b", "d", "e"], [4])
        tried = [(call, when) for call in range(world.calls) for when in ("before", "after")]
        assert len(tried) > 50
        for die in tried:
            scene(die)
            assert set(world.names) == set("abde"), die
            assert max(Counter(world.names).values()) <= 2, die
            assert {notice["count"] for notice in world.notices} == {4}, die
            assert world.progress["done_until"] == clock.written(CREATED - timedelta(minutes=60)), die


def test_a_refusal_that_dies_is_repeated(world: InventoryWorld) -> None:
    world.put("a")
    world.deliver(fileFormat="ORC")
    with world.deployed() as invoke:
        with pytest.raises(Exception, match="ORC"):
            invoke(900)
        for die in [(call, when) for call in range(world.calls) for when in ("before", "after")]:
            world.ledger.items.clear()
            world.calls, world.die = 0, die
            for _ in range(2):
                with suppress(Exception):  # ORC
                    invoke(900)
            assert world.progress["closed"].endswith("manifest.json"), die


@given(cut=st.lists(st.integers(0, 30), max_size=3), rows=st.integers(0, 30), at=st.integers(0, 30))
def test_a_pass_sees_each_row_once_wherever_it_goes_on(cut: list[int], rows: int, at: int) -> None:
    world = InventoryWorld()
    names = [f"{number:02}" for number in range(rows)]
    world.put(*names)
    every = world.rows()
    bounds = sorted({0, *(min(one, rows) for one in cut), rows})
    world.deliver(*([every[begin:end] for begin, end in pairwise(bounds)] or [[]]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inventory, "PAGE_OBJECTS", 3)
        patch.setattr(deliveries, "_BLOCK", 7)
        pages = list(source(world).pages(Progress(manifest=_newest(world)), Window("", "", "9999")))
        done = pages[: at % (len(pages) + 1)]
        position = done[-1].position if done else ""
        found = [one.key for page in done for one in page.objects]
        found += [one.key for one in objects(world, position)]
    assert found == [key_of(name) for name in names]
    assert sum(page.seen for page in pages) == rows


def test_a_window_picks_rows_by_their_time_in_any_form(world: InventoryWorld) -> None:
    world.put("a", modified=OLD)
    written = OLD.astimezone(UTC)
    forms = [clock.written(written), written.isoformat(), f"{written:%Y-%m-%dT%H:%M:%S.%fZ}"]
    [one] = world.rows()
    world.deliver([one | {"LastModifiedDate": form} for form in forms])
    since, until = clock.written(written), clock.written(written + timedelta(milliseconds=1))
    assert len(objects(world, window=Window(since, since, until))) == 3
    assert objects(world, window=Window("", "", since)) == []
    assert objects(world, window=Window(until, until, "9999")) == []


def test_a_file_is_read_in_blocks_and_its_length_is_the_manifests(world: InventoryWorld) -> None:
    world.lists[f"{PREFIX}data/x"] = b"abcdefgh"
    found = Deliveries(world, "lists", PREFIX, BUCKET)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deliveries, "_BLOCK", 3)
        blocks = found.blocks(DataFile(f"{PREFIX}data/x", 8, "e8dc4081b13434b45189a720b77b6818"))
        assert list(blocks) == [b"abc", b"def", b"gh"]
        with pytest.raises(deliveries.InventoryRefusedError, match="not the MD5"):
            list(found.blocks(DataFile(f"{PREFIX}data/x", 7, "e8dc4081b13434b45189a720b77b6818")))
        with pytest.raises(deliveries.InventoryRefusedError, match="shorter"):
            list(found.blocks(DataFile(f"{PREFIX}data/x", 99, "e8dc4081b13434b45189a720b77b6818")))


def test_the_moment_of_a_list_is_in_its_folders_name() -> None:
    assert deliveries._moment("2016-11-06T21-32Z/") == datetime(2016, 11, 6, 21, 32, tzinfo=UTC)
    assert [deliveries._moment(name) for name in ("data/", "hive/", "", "2016-11-06T21-32Z")] == [None] * 4
