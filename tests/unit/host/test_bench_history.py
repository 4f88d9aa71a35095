"""Calibration, and the history that makes two runs comparable, whatever its file looks like."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice import paths
from sluice.bench import calibration, duck, figures, history, measuring, suite
from sluice.bench.figures import Figure, Side
from sluice.bench.history import Run, Unreadable
from sluice.commands import bench as verb

MACHINE = {"at": "2026-03-01T10:00:00+00:00", "processor": "CPU X", "processors": 2, "memory_mb": 16_000, "system": "L"}


def run(at: str = "2026-03-01T10:00:00+00:00", **values: tuple[float, float]) -> Run:
    """A run with figures of the hop: name = (objects/s, calibration in s)."""
    return Run(
        at, "abc123", MACHINE, {"objects": 200},
        [Figure("hop", name, rate, "objects/s", None, "", clock) for name, (rate, clock) in values.items()],
    )  # fmt: skip


def test_the_calibration_is_the_same_work_each_time_and_takes_time() -> None:
    assert calibration.work() == calibration.work()
    assert calibration.seconds(1) > 0


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [(50.0, "objects/s", 100.0), (50.0, "MB/s", 100.0), (3.0, "s", 1.5), (30.0, "ms", 15.0), (8.0, "ms/MB", 4.0),
     (500.0, "MB", 500.0), (7.0, "files", 7.0), (20.0, "%", 20.0)],
)  # fmt: skip
def test_at_equal_speed_rates_and_times_change_and_sizes_do_not(value: float, unit: str, expected: float) -> None:
    # Measured when the work took 0.8 s; what it would have been on a machine that takes 0.4 s.
    assert Figure("bulk", "x", value, unit, calibration=0.8).at_speed(0.4) == pytest.approx(expected)


def test_without_a_calibration_or_a_value_there_is_no_equal_speed() -> None:
    assert Figure("bulk", "x", 1.0, "s").at_speed(0.4) is None
    assert Figure("bulk", "x", None, "s", calibration=0.4).at_speed(0.4) is None


def test_a_figure_has_the_calibration_around_it_and_says_when_the_machine_changed() -> None:
    measured = [Figure("hop", "x", 1.0, "s", note="n"), Figure("hop", "y", 1.0, "MB/s"), Figure("hop", "z", 1.0, "MB")]
    found = figures.calibrated(measured, 0.4, 0.6, 1.2)
    assert [one.calibration for one in found] == [0.5, 0.5, 0.5]
    changed = "the machine's speed changed by 1.5x meanwhile"
    assert [one.note for one in found] == [f"n; {changed}", changed, ""]
    again = figures.calibrated(found, 1.0, 1.0, 1.2)
    assert again == found


def test_measurements_share_the_calibration_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = iter([0.4, 0.5, 0.6])
    monkeypatch.setattr(calibration, "seconds", lambda: next(measured))
    said: list[str] = []
    clock = measuring.Calibrated(said.append)
    first, second = (clock.around(lambda: [Figure("hop", "x", 1.0, "s")]) for _ in range(2))
    assert [first[0].calibration, second[0].calibration] == pytest.approx([0.45, 0.55])
    assert said == [
        "bench   calibration 0.40 s before, 0.50 s after", "bench   calibration 0.50 s before, 0.60 s after",
    ]  # fmt: skip


def test_runs_are_appended_and_read_in_order(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "history.jsonl"
    assert history.read(file) == ([], [])
    runs = [run(f"2026-03-0{day}", throughput=(20.0 + day, 0.4)) for day in (1, 2, 3)]
    for one in runs:
        history.append(file, one)
    assert history.read(file) == (runs, [])


def test_what_was_cut_altered_or_written_by_another_version_is_left_out_and_named(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    good = run(throughput=(20.0, 0.4))
    whole = json.dumps(good.to_dict())
    other = json.dumps(good.to_dict() | {"version": 2})
    nan = whole.replace("20.0", "NaN")
    text = whole.replace("20.0", '"many"')
    broken = [whole[:40], "", "[]", other, nan, text, json.dumps({"version": 1}), "[" * 100_000, "\x00\x1b[2J"]
    file.write_text("\n".join([whole, *broken, whole]) + "\n" + whole[:50])
    runs, unread = history.read(file)
    assert runs == [good, good]
    assert unread == [
        "line 2 is cut or no JSON; it is left out",
        "line 3 is cut or no JSON; it is left out",
        "line 4 is no JSON object; it is left out",
        "line 5 has version 2, and this sluice reads 1; it is left out",
        "line 6 is no run: ValueError nan is no measured value; it is left out",
        "line 7 is no run: TypeError a value is no number; it is left out",
        "line 8 is no run: KeyError 'at'; it is left out",
        "line 9 is cut or no JSON; it is left out",
        "line 10 is cut or no JSON; it is left out",
        "line 12 is cut or no JSON; it is left out",
    ]
    # The cut line stays a line of its own: the next run is not lost with it.
    history.append(file, good)
    assert len(history.read(file)[0]) == 3


def test_a_line_without_end_is_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_LINE", 5_000)
    file = tmp_path / "history.jsonl"
    whole = json.dumps(run(throughput=(20.0, 0.4)).to_dict())
    file.write_text("x" * 20_001 + "\n" + whole + "\n" + "y" * 12_000)
    runs, unread = history.read(file)
    assert len(runs) == 1
    assert unread == [f"line {n} is longer than 5,000 bytes; it is left out" for n in (1, 3)]


def test_only_the_newest_runs_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_RUNS", 2)
    file = tmp_path / "history.jsonl"
    for day in range(1, 5):
        history.append(file, run(f"2026-03-0{day}", throughput=(20.0, 0.4)))
    assert [one.at for one in history.read(file)[0]] == ["2026-03-03", "2026-03-04"]


@given(st.binary(max_size=300))
def test_any_line_is_a_run_or_says_why_it_is_none(line: bytes) -> None:
    with pytest.raises(Unreadable):
        Run.parse(line)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda some: st.lists(some, max_size=3) | st.dictionaries(st.sampled_from(["group", "value", "x"]), some),
        max_leaves=6,
    ),
    st.sampled_from(["at", "commit", "machine", "settings", "figures", "version"]),
)
def test_a_run_with_anything_in_one_field_is_read_or_refused(anything: Any, field: str) -> None:
    line = json.dumps(run(throughput=(20.0, 0.4)).to_dict() | {field: anything}).encode()
    try:
        found = Run.parse(line)
    except Unreadable:
        return
    history.compare([found])
    history.machine_text(found.machine)
    assert all(one.value is None or math.isfinite(one.value) for one in found.figures)


def test_runs_of_a_figure_stand_together_and_compare_at_the_speed_of_the_newest() -> None:
    found = history.compare([
        run("2026-03-01", throughput=(20.0, 0.4), p50=(3.0, 0.4)), run("2026-03-02", throughput=(30.0, 0.8)),
    ])  # fmt: skip
    machine = "CPU X, 2 processors, L, 16 GB"
    assert found == {
        "hop": [
            ("throughput", "2026-03-01", "abc123", "20 objects/s", "0.400 s", "10 objects/s", machine),
            ("throughput", "2026-03-02", "abc123", "30 objects/s", "0.800 s", "30 objects/s", machine),
            ("p50", "2026-03-01", "abc123", "3 objects/s", "0.400 s", "3 objects/s", machine),
        ]
    }
    assert history.compare([run(throughput=(20.0, 0.4))], ["bulk"]) == {}


def test_the_verb_shows_the_history_and_what_it_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(history, "FILE", tmp_path / "history.jsonl")
    verb.show_history((), False)
    assert "history is empty" in capsys.readouterr().err
    history.append(history.FILE, run(**{"evil\x1b[2J[red]": (20.0, 0.4)}))
    with history.FILE.open("a") as file:
        file.write("{\n")
    verb.show_history((), False)
    shown = capsys.readouterr()
    assert "line 2 is cut or no JSON" in shown.err
    assert "evil\\x1b[2J[red]" in shown.out
    assert "\x1b[2J" not in shown.out
    verb.show_history(("bulk",), False)
    assert "history has no figure of bulk: `sluice bench` adds some" in capsys.readouterr().err
    verb.show_history((), True)
    assert [one["commit"] for one in json.loads(capsys.readouterr().out)] == ["abc123"]


def test_a_result_becomes_a_run_with_the_peers_figures_under_their_names() -> None:
    result = suite.Result(MACHINE, {"objects": 1}, {}, [Figure("hop", "x", 1.0, "s", figures.at_most(2), "n", 0.4)])
    for name, value in (("other 1", 2.0), ("third 2", 3.0)):
        result.peers.append(Side(name, [Figure("hop", "x", value, "s", figures.at_most(2), "", 0.5)]))
    made = Run.of(result.to_dict())
    assert [(one.name, one.value, one.calibration, one.target) for one in made.figures] == [
        ("x", 1.0, 0.4, None),
        ("other 1: x", 2.0, 0.5, None),
        ("third 2: x", 3.0, 0.5, None),
    ]
    assert Run.parse(json.dumps(made.to_dict()).encode()) == made


def test_a_run_of_0_2_0_with_its_one_peer_is_still_read_and_compared() -> None:
    """The line is one that commit aa97477 wrote."""
    line = (
        b'{"version": 1, "at": "2026-03-01T10:00:00+00:00", "commit": "aa97477fbb", "machine": {"at": '
        b'"2026-03-01T10:00:00+00:00", "processors": 2}, "settings": {"parts": ["hop"], "objects": 200, "bulk_mb": '
        b'1024}, "figures": [{"group": "hop", "name": "ministack 1.5.33: bare, throughput", "value": 60.3, "unit": '
        b'"objects/s", "target": null, "met": null, "note": "", "calibration": 0.4}]}'
    )
    found = history.compare([Run.parse(line)])
    assert found == {"hop": [(
        "ministack 1.5.33: bare, throughput", "2026-03-01T10:00:00+00:00", "aa97477fbb", "60.3 objects/s", "0.400 s",
        "60.3 objects/s", "2 processors",
    )]}  # fmt: skip


@pytest.mark.parametrize(
    ("beside", "parts", "name"),
    [([], ["hop"], "results"), (["docker"], ["hop"], "docker"), (["a 1"], ["hop"], "peer"),
     (["a 1", "b 2"], ["hop"], "peer"), ([], ["soak"], "soak"), ([], ["scale"], "scale")],
)  # fmt: skip
def test_a_result_is_written_to_the_file_of_its_kind(
    beside: list[str], parts: list[str], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "SLUICE_DIR", tmp_path)
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(history, "FILE", tmp_path / "history.jsonl")
    result = suite.Result(MACHINE, {"parts": parts}, {}, [], peers=[Side(one, []) for one in beside])
    assert verb.write(result) == f"bench/{name}.json"
    assert [one["name"] for one in json.loads((tmp_path / f"bench/{name}.json").read_text())["peers"]] == beside


def test_the_verb_shows_a_column_for_each_peer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    facts = {"load_before": 0.0, "processors": 2, "memory_mb": 1, "system": "L", "python": "3.13"}
    sides = [Side(name, [Figure("hop", "x", value, "s")]) for name, value in (("a 1", 2.0), ("b 2", 4.0))]
    verb.show(suite.Result(MACHINE | facts, {}, {}, [Figure("hop", "x", 1.0, "s")], peers=sides))
    table = capsys.readouterr().out.split("Side by side")[1]
    assert [words for words in ("Sluice", "a 1", "b 2", "better by") if words in table] == [
        "Sluice", "a 1", "b 2", "better by",
    ]  # fmt: skip
    assert re.search(r"x +1 s +2 s +4 s .*2\.0x", table)


def test_duckdb_writes_every_row_or_fails(tmp_path: Path) -> None:
    file = tmp_path / "it's.jsonl"
    file.write_text('{"event_time": "2026-03-01T10:00:00Z", "n": 1}\n{"event_time": "2026-03-02T10:00:00Z", "n": 2}\n')
    assert duck.measure([file, file], 4) > 0
    with pytest.raises(Exception, match="4 of 5 rows"):
        duck.measure([file, file], 5)
