"""The parts of the measurements that measure nothing: percentiles, targets, tables, generated input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fixtures import shipping
from sluice.bench import bulk, figures, hop_real, row_per_message, stage
from sluice.bench.figures import Figure, Side, at_least, at_most
from sluice.console import SluiceError
from sluice.processes import ProcessId


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1.0), (1, 1.0), (50, 50.0), (50.5, 51.0), (99, 99.0), (100, 100.0)]
)
def test_a_percentile_is_a_value_that_was_measured(percent: float, expected: float) -> None:
    assert figures.percentile([float(n) for n in range(100, 0, -1)], percent) == expected


def test_a_percentile_of_one_value_is_that_value() -> None:
    assert figures.percentile([7.0], 99) == 7.0


def test_a_percentile_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no values"):
        figures.percentile([], 50)


def test_a_hop_lasts_from_the_first_start_to_the_last_end() -> None:
    hop = figures.summary([10.0, 11.0, 12.0, 13.0], [12.0, 12.5, 18.0, 13.25])
    assert (hop.objects, hop.objects_per_s) == (4, 0.5)
    assert (hop.p50_s, hop.p99_s) == (1.5, 6.0)


def test_a_hop_without_objects_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        figures.summary([], [])


@pytest.mark.parametrize(
    ("target", "value", "met"),
    [(at_least(60), 60, True), (at_least(60), 59.9, False), (at_most(0.1), 0.1, True), (at_most(0.1), 0.11, False)],
)
def test_a_target_is_met_at_its_value(target: figures.Target, value: float, met: bool) -> None:
    assert Figure("hop", "x", value, "s", target).met is met


def test_without_a_target_or_a_value_nothing_is_met_or_missed() -> None:
    assert Figure("hop", "x", 1.0, "s").met is None
    assert Figure("hop", "x", None, "s", at_most(1)).met is None


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.0512, "s", "0.051 s"), (3.14159, "s", "3.14 s"), (66.23, "objects/s", "66.2 objects/s"),
     (8047.2, "rows/s", "8,047 rows/s"), (5.0, "files", "5 files"), (None, "s", None)],
)  # fmt: skip
def test_a_value_shows_the_digits_that_count(value: float | None, unit: str, text: str | None) -> None:
    assert figures.shown(value, unit) == text


def test_a_table_says_what_was_measured_wanted_and_reached() -> None:
    rows = figures.table(
        [
            Figure("hop", "throughput", 66.2, "objects/s", at_least(60), "200 objects", 0.412),
            Figure("hop", "p50", 0.24, "s", at_most(0.1)),
            Figure("hop", "p99", 1.2, "s"),
            Figure("hop", "real hop", None, "", note="no such function"),
        ]
    )
    assert rows == [
        ("throughput", "66.2 objects/s", "≥ 60 objects/s", "yes", "0.412 s", "200 objects"),
        ("p50", "0.240 s", "≤ 0.1 s", "no", None, ""),
        ("p99", "1.20 s", None, None, None, ""),
        ("real hop", None, None, None, None, "no such function"),
    ]


OURS = [
    Figure("hop", "rate", 60.0, "objects/s", at_least(50)), Figure("hop", "p50", 0.2, "s"),
    Figure("hop", "mine", 1.0, "s"),
]  # fmt: skip


def test_side_by_side_the_ratio_says_how_many_times_better_ours_is() -> None:
    other = Side("a", [
        Figure("hop", "rate", 30.0, "objects/s", note="20 objects"), Figure("hop", "p50", 0.1, "s"),
        Figure("hop", "real hop", None, "", note="it cannot"),
    ])  # fmt: skip
    assert figures.side_by_side(OURS, [other]) == [
        ("rate", "60 objects/s", "30 objects/s", "≥ 50 objects/s", "2.0x", "20 objects"),
        ("p50", "0.200 s", "0.100 s", None, "0.5x", ""),
        ("mine", "1 s", None, None, None, ""),
        ("real hop", None, None, None, None, "it cannot"),
    ]


def test_side_by_side_the_ratio_is_to_the_best_peer_and_a_note_names_its_peer() -> None:
    slow = Side("a", [
        Figure("hop", "rate", 30.0, "objects/s", note="20 objects"), Figure("hop", "p50", 0.4, "s", note="busy"),
        Figure("hop", "real hop", None, "", note="it cannot"),
    ])  # fmt: skip
    mixed = Side("b", [
        Figure("hop", "rate", 40.0, "objects/s", note="20 objects"), Figure("hop", "p50", 0.8, "s"),
        Figure("hop", "mine", None, "s", note="not asked"),
    ])  # fmt: skip
    for peers, order in (([slow, mixed], (0, 1)), ([mixed, slow], (1, 0))):
        rows = [
            ("rate", "60 objects/s", ("30 objects/s", "40 objects/s"), "≥ 50 objects/s", "1.5x", "20 objects"),
            ("p50", "0.200 s", ("0.400 s", "0.800 s"), None, "2.0x", "a: busy"),
            ("mine", "1 s", (None, None), None, None, "b: not asked"),
            ("real hop", None, (None, None), None, None, "a: it cannot"),
        ]
        assert figures.side_by_side(OURS, peers) == [
            (name, ours, *(theirs[n] for n in order), *rest) for name, ours, theirs, *rest in rows
        ]


def test_side_by_side_each_peer_is_named_where_they_say_different_things() -> None:
    peers = [Side(name, [Figure("hop", "rate", 30.0, "objects/s", note=f"of {name}")]) for name in ("a", "b")]
    assert figures.side_by_side(OURS[:1], peers)[0][-1] == "a: of a; b: of b"
    assert figures.side_by_side(OURS[:1], []) == [("rate", "60 objects/s", "≥ 50 objects/s", None, "")]


def test_json_carries_value_target_and_verdict() -> None:
    assert Figure("bulk", "rate", 70.0, "MB/s", at_least(60), "note").to_dict() == {
        "group": "bulk", "name": "rate", "value": 70.0, "unit": "MB/s", "target": {"at_least": 60}, "met": True,
        "note": "note", "calibration": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("megabytes", "expected"),
    [(1024, (16, 64_000_000)), (1000, (16, 64_000_000)), (192, (3, 64_000_000)), (64, (1, 64_000_000)),
     (5, (1, 5_000_000))],
)  # fmt: skip
def test_bulk_input_is_cut_into_objects_of_64_mb(megabytes: int, expected: tuple[int, int]) -> None:
    assert bulk.sizes(megabytes) == expected


def test_bulk_input_of_nothing_is_refused() -> None:
    with pytest.raises(SluiceError) as caught:
        bulk.sizes(0)
    assert caught.value.code == 2


def test_bulk_input_is_made_once_and_says_how_many_rows_it_has(tmp_path: Path) -> None:
    given = bulk.generate(1, tmp_path)
    times = [path.stat().st_mtime_ns for path in given.files]
    again = bulk.generate(1, tmp_path)
    assert [path.stat().st_mtime_ns for path in again.files] == times
    assert again.rows == given.rows == [path.read_bytes().count(b"\n") for path in given.files]
    assert 999_000 < given.size <= 1_000_000


def test_bulk_rows_are_the_same_every_time_and_end_with_a_whole_line() -> None:
    body = bulk.rows_of(10_000)
    assert body == bulk.rows_of(10_000)
    assert body.endswith(b"}\n")


def test_each_bulk_object_has_shipments_of_its_own() -> None:
    first = bulk.rows_of(2_000)
    other = bulk.renamed(first, 7)
    assert bulk.renamed(first, 0) == first
    assert first.count(b'"SH-') == first.count(b"\n") == other.count(b'"S7-')
    assert b'"SH-' not in other


def test_memory_is_read_from_report_lines_only() -> None:
    lines = [
        "START RequestId: 1 Version: $LATEST\n",
        "REPORT RequestId: 1\tDuration: 1.00 ms\tMemory Size: 1024 MB\tMax Memory Used: 254 MB\t\n",
        '{"message": "Max Memory Used: 999 MB"}\n',
        "REPORT RequestId: 2\tDuration: 1.00 ms\tMemory Size: 1024 MB\tMax Memory Used: 260 MB\t\n",
    ]
    assert bulk.memory_in(lines) == [254, 260]


def test_rows_of_row_per_message_files_are_counted_by_their_names() -> None:
    keys = ["out/1700000000.5000-10-aa.parquet", "out/1700000002.2500-7-bb.parquet"]
    assert row_per_message.counted(keys) == (17, 1700000002.25)
    assert row_per_message.counted([]) == (0, 0.0)


def test_row_per_message_input_has_one_date_and_the_wanted_rows() -> None:
    rows = row_per_message.body(50, seed=1).splitlines()
    assert len(rows) == 50
    assert {row.split(b'"event_time":"')[1][:10] for row in rows} == {shipping.START.date().isoformat().encode()}


def test_an_object_of_the_hop_ends_when_the_ledger_says_committed() -> None:
    sent = [hop_real.Sent("a", 1_700_000_000.0), hop_real.Sent("b", 1_700_000_000.1)]
    items = {"a": {"committed_at": "2023-11-14T22:13:20.250Z"}, "b": {"committed_at": "2023-11-14T22:13:20.500Z"}}
    hop = hop_real.hop(sent, items)
    assert hop.objects_per_s == pytest.approx(4.0)
    assert hop.p50_s == pytest.approx(0.25)
    assert hop.p99_s == pytest.approx(0.4)


def test_a_command_does_not_see_what_make_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """`make bench ARGS=redshift` gave its ARGS to the `make up` that it runs, which refused them."""
    for name in ("MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "MAKELEVEL", "ARGS"):
        monkeypatch.setenv(name, "redshift")
    look = "import os, sys; sys.exit(any(name.startswith(('MAKE', 'MFLAGS', 'ARGS')) for name in os.environ))"
    stage.run([sys.executable, "-c", look])
    with pytest.raises(SluiceError, match="SLUICE"):
        stage.run([sys.executable, "-c", "import os, sys; sys.exit(os.environ['SLUICE'])"], {"SLUICE": "SLUICE"})


def test_what_a_function_spent_counts_after_its_environment_has_ended() -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass\n"
    engine = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}])\nprint(flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", engine], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        spent = stage.Usage.of(ProcessId.of(process.pid))
        process.communicate(b"\n")
    assert spent.functions >= 0.25  # the kernel counts in hundredths of a second, each of two numbers on its own
