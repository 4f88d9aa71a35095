"""`sluice check`: a file is judged as ingest and transform would, without an engine."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures import cases, formats, shipping
from fixtures.cases import Case
from fixtures.samples import samples
from sluice import cli
from sluice.names import nearest, unknown
from sluice.paths import DATASETS_DIR, ENVS_DIR, ROOT
from sluice.pipeline import check as checking
from sluice.pipeline.check_datasets import check_samples, check_yaml
from tests.support.reading import CATALOG, read_object

cli.register_verbs()

HEADER = b"record_type,event_time,shipment_id,origin,destination,carrier,weight_kg\n"
GOOD = b"shipments,2024-05-01T10:00:00Z,S1,AMS,JFK,DHL,12.5\n"


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def write(name: str, body: bytes) -> str:
        path = tmp_path / name
        path.write_bytes(body)
        return str(path)

    return write


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.run(["check", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    code, out, _ = run(capsys, *arguments, "--json")
    return code, json.loads(out)


def of(body: bytes, dataset: str = "shipments", name: str = "a.jsonl", **options: Any) -> checking.Checked:
    return checking.check_object(name, len(body), lambda start, end: body[start:end], dataset, CATALOG, **options)


# -- the very code of transform ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk_bytes", [checking.CHUNK_BYTES, 997])
@pytest.mark.parametrize("case", cases.all_cases(), ids=lambda case: case.name)
def test_every_case_gets_the_verdict_of_the_pipeline(case: Case, chunk_bytes: int) -> None:
    found = of(case.body, case.dataset, case.key.split("/", 2)[2], chunk_bytes=chunk_bytes, shown=10_000)
    assert found.failed == case.failed
    if case.failed:
        assert found.detail
        return
    pipeline = read_object(case.key, case.body, chunk_bytes)
    assert (found.rows_in, found.rows_silver) == (pipeline.rows_in, len(case.good))
    assert [(row.offset, row.errors) for row in found.rejected] == [
        (row.offset, [{k: str(v) for k, v in error._asdict().items()} for error in row.errors]) for row in pipeline.bad
    ]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.integers(0, 200), st.sampled_from([400, 5_000, checking.CHUNK_BYTES]))
def test_a_mixed_feed_is_counted_exactly(seed: int, rows: int, chunk_bytes: int) -> None:
    feed = shipping.feed(seed, rows)
    found = of(feed.body, "mixed", chunk_bytes=chunk_bytes, shown=10_000)
    assert (found.rows_in, found.rows_silver, found.rows_rejected) == (rows, feed.rows_silver, len(feed.bad))
    assert found.silver == {name: count for name, count in feed.good.items() if count}
    assert [row.offset for row in found.rejected] == [bad.offset for bad in feed.bad]


def test_a_large_file_is_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    body = formats.jsonl(shipping.records("shipments", 1, 5_000))
    asked: list[int] = []

    def read(start: int, end: int) -> bytes:
        asked.append(end - start)
        return body[start:end]

    monkeypatch.setattr(checking, "SINGLE_CHUNK_BYTES", 2 * len(body))
    found = checking.check_object("a.jsonl", len(body), read, "shipments", CATALOG, chunk_bytes=50_000)
    assert (found.rows_in, found.chunks) == (5_000, -(-len(body) // 50_000))
    assert max(asked) <= 50_000 + 64 * 1024 + 1


def test_the_limits_are_those_of_the_environments() -> None:
    for name in ("dev", "prod"):
        text = (ENVS_DIR / f"{name}.tfvars").read_text()
        for setting, ours in (
            ("chunk_bytes", checking.CHUNK_BYTES),
            ("single_chunk_limit_bytes", checking.SINGLE_CHUNK_BYTES),
        ):
            assert re.findall(rf"^{setting}\s*=\s*(\d+)", text, re.M) == [str(ours)]


# -- what is said ------------------------------------------------------------------------------------------------------


def test_a_good_file_is_code_0_with_a_sample_of_silver(capsys: pytest.CaptureFixture[str], file: Any) -> None:
    for name, body in (("a.csv", HEADER + GOOD * 7), ("a.csv.gz", gzip.compress(HEADER + GOOD * 7))):
        code, [found] = as_json(capsys, "shipments", file(name, body))
        assert (code, found["ok"], found["rows_in"], found["silver"]) == (0, True, 7, {"shipments": 7})
        assert len(found["sample"]["shipments"]) == checking.SAMPLE
        first = found["sample"]["shipments"][0]
        assert list(first) == list(CATALOG.datasets["shipments"].columns)
        assert (first["shipment_id"], first["weight_kg"]) == ("S1", 12.5)
        assert found["unlike"] == []


def test_a_rejected_row_is_code_1_with_its_line_and_every_error(capsys: pytest.CaptureFixture[str], file: Any) -> None:
    bad = b"shipments,yesterday,,AMS,JFK,DHL,201\n"
    path = file("a.csv", HEADER + GOOD + b'shipments,2024-05-01T10:00:00Z,S2,"A\nMS",JFK,DHL,1\n' + bad + GOOD)
    code, [found] = as_json(capsys, "shipments", path)
    assert (code, found["rows_in"], found["rows_silver"], found["rows_rejected"]) == (1, 4, 3, 1)
    [row] = found["rejected"]
    assert row["line"] == 5
    assert [(one["field"], one["reason"], one["value"]) for one in row["errors"]] == [
        ("event_time", "wrong_type", "yesterday"), ("shipment_id", "missing_required", "null"),
        ("weight_kg", "out_of_range", "201"),
    ]  # fmt: skip
    assert [one["expected"] for one in row["errors"]][2] == "at most 200"
    code, out, err = run(capsys, "shipments", path)
    assert code == 1
    assert "out_of_range" in out
    assert "4 rows in, 3 to silver shipments, 1 rejected: not all good" in err


def test_only_so_many_rejected_rows_are_kept_and_all_are_counted(capsys: pytest.CaptureFixture[str], file: Any) -> None:
    path = file("a.csv", HEADER + b"shipments,2024-05-01T10:00:00Z,S1,AMS,JFK,DHL,-1\n" * 300)
    _, [found] = as_json(capsys, "shipments", path, "--limit", "3")
    assert (len(found["rejected"]), found["rows_rejected"]) == (3, 300)
    assert found["reasons"] == [{"dataset": "shipments", "field": "weight_kg", "reason": "out_of_range", "errors": 300}]
    _, _, err = run(capsys, "shipments", path, "--limit", "3")
    assert "and 297 more rejected rows" in err


@pytest.mark.parametrize("form", ["csv", "jsonl", "array", "firehose", "gzip"])
def test_names_that_only_one_side_has_are_named_with_the_nearest(form: str) -> None:
    rows = [{**row, "Wieght KG": 1} for row in shipping.records("shipments", 3, 20)]
    for row in rows:
        del row["weight_kg"]
    bodies = {
        "csv": (",".join(rows[0]) + "\n" + "".join(",".join(map(str, row.values())) + "\n" for row in rows)).encode(),
        "jsonl": formats.jsonl(rows),
        "array": json.dumps(rows).encode(),
        "firehose": "".join(map(json.dumps, rows)).encode(),
        "gzip": gzip.compress(formats.jsonl(rows)),
    }
    found = of(bodies[form], name="a.csv" if form == "csv" else "a.json")
    assert [(one.name, one.in_file, one.near) for one in found.unlike] == [
        ("Wieght KG", True, "weight_kg"), ("weight_kg", False, "Wieght KG"),
    ]  # fmt: skip
    assert not found.ok


def test_a_column_that_would_be_dropped_is_not_all_good_and_an_absent_optional_field_is(
    capsys: pytest.CaptureFixture[str], file: Any
) -> None:
    rows = [{k: v for k, v in row.items() if k != "carrier"} for row in shipping.records("shipments", 3, 5)]
    optional = not CATALOG.datasets["shipments"].columns["carrier"].required
    assert optional
    code, [found] = as_json(capsys, "shipments", file("a.jsonl", formats.jsonl(rows)))
    assert (code, [(one["name"], one["required"]) for one in found["unlike"]]) == (0, [("carrier", False)])
    more = [row | {"colour": "red"} for row in shipping.records("shipments", 3, 5)]
    code, _, err = run(capsys, "shipments", file("b.jsonl", formats.jsonl(more)))
    assert code == 1
    assert "column 'colour' is no field of shipments: it would be dropped" in err


def test_a_mixed_file_is_compared_with_the_dataset_of_each_row() -> None:
    rows = [*shipping.records("shipments", 1, 3), *shipping.records("tracking_events", 1, 3)]
    rows[1]["colour"] = 1
    rows[4]["colour"] = 1
    found = of(formats.jsonl(rows), "mixed")
    assert [(one.dataset, one.name) for one in found.unlike if one.in_file] == [
        ("shipments", "colour"), ("tracking_events", "colour"),
    ]  # fmt: skip


def test_an_object_that_would_fail_is_named(capsys: pytest.CaptureFixture[str], file: Any) -> None:
    cut = gzip.compress(HEADER + GOOD * 100)[:-9]
    code, [found] = as_json(capsys, "shipments", file("a.csv.gz", cut))
    assert (code, found["failed"], found["ok"]) == (1, "truncated_gzip", False)
    code, _, err = run(capsys, "shipments", file("x.xlsx", b"PK\x03\x04" + bytes(range(256)) * 9))
    assert code == 1
    assert "the whole object would fail, unreadable" in err
    assert "ZIP" in err


def test_an_empty_file_is_all_good(capsys: pytest.CaptureFixture[str], file: Any) -> None:
    code, [found] = as_json(capsys, "shipments", file("a.jsonl", b""))
    assert (code, found["rows_in"], found["unlike"]) == (0, 0, [])


def test_several_files_each_get_a_verdict_and_the_worst_decides(capsys: pytest.CaptureFixture[str], file: Any) -> None:
    good, bad = file("a.csv", HEADER + GOOD), file("b.csv", HEADER + b"x\n")
    code, found = as_json(capsys, "shipments", good, bad, good)
    assert (code, [one["ok"] for one in found]) == (1, [True, False, True])


@pytest.mark.parametrize(
    "hostile", ["[red]x[/red]", "[/]", "a\r\nb", "'; drop", "\N{RIGHT-TO-LEFT OVERRIDE}x", "x" * 5_000]
)
def test_names_and_values_of_any_kind_are_printed(capsys: pytest.CaptureFixture[str], file: Any, hostile: str) -> None:
    row = shipping.records("shipments", 1, 1)[0] | {hostile: 1, "weight_kg": hostile}
    code, out, _ = run(capsys, "shipments", file("a.jsonl", formats.jsonl([row])))
    assert code == 1
    assert "wrong_type" in out


def test_a_file_cannot_write_to_the_terminal(capsys: pytest.CaptureFixture[str], file: Any) -> None:
    evil = "\x1b[2J\x1b]0;x\x07\r\n"
    rows = [row | {evil: 1, "origin": evil} for row in shipping.records("shipments", 1, 2)]
    rows[1]["event_time"] = evil
    code, out, err = run(capsys, "shipments", file("a.jsonl", formats.jsonl(rows)))
    assert code == 1
    assert "\\x1b[2J" in out
    assert [sign for sign in "\x1b\x07\r" if sign in out + err] == []


# -- wrong use ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name a dataset and a file"),
        (["shipments"], "name a dataset and a file"),
        (["shipmnts", "{file}"], "did you mean 'shipments'?"),
        (["nosuch", "{file}"], "There are: checkins, control_totals"),
        (["shipments", "{folder}"], "is a folder"),
        (["shipments", "{folder}/b.csv"], "did you mean {folder}/a.csv?"),
        (["shipments", "{folder}/no/such.csv"], "there is no file"),
        (["shipments", "{file}", "--all"], "--all takes no dataset"),
    ],
)
def test_wrong_use_is_one_line_and_code_2(
    capsys: pytest.CaptureFixture[str], file: Any, tmp_path: Path, arguments: list[str], said: str
) -> None:
    path = file("a.csv", HEADER + GOOD)
    code, out, err = run(capsys, *(word.format(file=path, folder=tmp_path) for word in arguments))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said.format(folder=tmp_path).casefold() in err.casefold()


@pytest.mark.parametrize(
    ("name", "known", "near"),
    [
        ("palets", ["pallets", "flights"], "pallets"),
        ("Weight-KG", ["weight_kg"], "weight_kg"),
        ("weight", ["weight_kg", "x"], "weight_kg"),
        ("zzz", ["a", "b"], None),
        ("", ["a"], None),
        ("???", ["a"], None),
    ],
)
def test_the_nearest_name(name: str, known: list[str], near: str | None) -> None:
    assert nearest(name, known) == near


@given(st.text(max_size=30), st.lists(st.text(max_size=12), max_size=40))
def test_what_there_is_is_one_line_whatever_the_names(name: str, known: list[str]) -> None:
    found = nearest(name, known)
    assert found is None or found in known
    assert unknown("dataset", name, [one for one in known if one.isidentifier()]).count("\n") == 0


# -- every dataset -----------------------------------------------------------------------------------------------------


def test_all_is_good_and_a_dataset_needs_no_fixture(capsys: pytest.CaptureFixture[str]) -> None:
    shipped = {"checkins", "control_totals", "crm", "erp", "feedback", "flights", *shipping.DATASETS, "mixed"}
    assert {sample.dataset for sample in samples()} >= shipped
    code, out, _ = run(capsys, "--all", "--json")
    found = json.loads(out)
    assert (code, found["ok"]) == (0, True)
    assert len(found["checked"]) == len(CATALOG.datasets) + sum(1 for _ in samples())


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    folder = tmp_path / "datasets"
    shutil.copytree(DATASETS_DIR, folder)
    return folder


def test_a_wrong_yaml_is_named_each_one(copied: Path) -> None:
    for name in ("shipments", "flights"):
        (copied / f"{name}.yaml").write_text((copied / f"{name}.yaml").read_text() + "nosuch: 1\n")
    (copied / "crm.yaml").write_text("a: [")
    (copied / "erp.yaml").write_text((copied / "erp.yaml").read_text().replace("source_id: id", "source_id: nosuch"))
    faults = {one.dataset: one.fault for one in check_yaml(copied) if one.fault}
    assert set(faults) >= {"shipments", "flights", "crm"}
    assert "nosuch" in faults["shipments"]
    (copied / "crm.yaml").write_text((DATASETS_DIR / "crm.yaml").read_text())
    for name in ("shipments", "flights"):
        shutil.copy(DATASETS_DIR / f"{name}.yaml", copied)
    assert {one.dataset for one in check_yaml(copied) if one.fault} == {"erp"}


def test_a_new_dataset_is_judged_by_its_yaml(copied: Path) -> None:
    text = (DATASETS_DIR / "flights.yaml").read_text()
    (copied / "trips.yaml").write_text(text.replace("dataset: flights", "dataset: trips"))
    assert [one.fault for one in check_yaml(copied) if one.dataset == "trips"] == [""]
    assert [one for one in check_samples(checking.local_catalog(copied)) if one.fault] == []


@pytest.mark.timeout(120)
def test_a_changed_rule_shows_in_the_fixtures(copied: Path) -> None:
    text = (copied / "flights.yaml").read_text()
    assert "allowed: [EWR, JFK, LGA]" in text
    (copied / "flights.yaml").write_text(text.replace("allowed: [EWR, JFK, LGA]", "allowed: [EWR]"))
    wrong = [one for one in check_samples(checking.local_catalog(copied)) if one.fault]
    assert [one.dataset for one in wrong] == ["flights"]
    assert "expected 27004 and 0" in wrong[0].fault


def test_continuous_integration_judges_every_dataset() -> None:
    assert "sluice check --all" in (ROOT / ".github/workflows/ci.yml").read_text()
