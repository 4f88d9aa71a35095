"""`sluice scaffold`: what a sample proposes, for whatever it holds."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.console import SluiceError
from sluice.pipeline import scaffold as scaffolding
from sluice.pipeline.check import check_object, local_catalog
from sluice.pipeline.scaffold import Scaffold, scaffold

DAY = "2026-03-01"


def proposed(tmp_path: Path, body: str | bytes, name: str = "sample", **more: str) -> Scaffold:
    path = tmp_path / name
    path.write_bytes(body.encode() if isinstance(body, str) else body)
    return scaffold("things", path, **more)


def lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def described(found: Scaffold) -> dict[str, Any]:
    """The YAML, by path ending."""
    [text] = [body for path, body in found.files.items() if path.suffix == ".yaml"]
    content: dict[str, Any] = yaml.safe_load(text)
    return content


def judged(found: Scaffold, tmp_path: Path) -> tuple[str, int, int]:
    """(failure, silver rows, rejected rows) of the fixture under the YAML."""
    folder = tmp_path / "datasets"
    folder.mkdir(exist_ok=True)
    [(path, body)] = [(path, body) for path, body in found.files.items() if path.parent.parent.name == "fixtures"]
    [text] = [content for path, content in found.files.items() if path.suffix == ".yaml"]
    (folder / "things.yaml").write_bytes(text)
    local_catalog.cache_clear()
    done = check_object(path.name, len(body), lambda a, b: body[a:b], "things", local_catalog(folder))
    return done.failed, done.rows_silver, done.rows_rejected


def test_json_lines_give_types_names_key_and_day(tmp_path: Path) -> None:
    found = proposed(
        tmp_path,
        lines(
            {"orderId": "a", "at": f"{DAY} 10:00:00", "day": DAY, "n": 1, "x": 1, "ok": True, "in": [1], "no": None},
            {"orderId": "b", "at": f"{DAY}T10:00:00+01:00", "day": DAY, "n": None, "x": 1.5, "ok": False, "in": {}},
        ),
    )
    content = described(found)
    assert {name: spec["type"] for name, spec in content["fields"].items()} == {
        "order_id": "string", "at": "timestamp", "day": "date", "n": "int64", "x": "float64", "ok": "bool",
        "in": "json", "no": "string",
    }  # fmt: skip
    assert (content["partition_by"], content["key"]) == ("at", ["order_id"])
    assert content["fields"]["order_id"]["aliases"] == ["orderId"]
    assert [name for name, spec in content["fields"].items() if "required" not in spec] == ["n", "no"]
    assert judged(found, tmp_path) == ("", 2, 0)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_in_other_dialects_has_its_leading_zeros(tmp_path: Path, delimiter: str) -> None:
    rows = [["Trip ID", "Day", "Zip", "Fare"], ["1", DAY, "01234", "2.5"], ["2", DAY, "9", ""]]
    found = proposed(tmp_path, "".join(delimiter.join(row) + "\r\n" for row in rows), "trips.csv")
    content = described(found)
    assert {name: spec["type"] for name, spec in content["fields"].items()} == {
        "trip_id": "int64", "day": "date", "zip": "string", "fare": "float64"}  # fmt: skip
    assert content.get("csv") == (None if delimiter == "," else {"delimiter": delimiter})
    assert judged(found, tmp_path) == ("", 2, 0)


def test_parquet_gives_decimals_and_times(tmp_path: Path) -> None:
    table = pa.table({"id": [1, 2], "at": [datetime(2026, 3, 1, tzinfo=UTC)] * 2, "day": [date(2026, 3, 1)] * 2,
                      "price": pa.array([Decimal("1.50"), None], pa.decimal128(9, 2)), "raw": [b"a", b"b"],
                      "f": [1.0, 2.0]})  # fmt: skip
    out = io.BytesIO()
    pq.write_table(table, out)
    found = proposed(tmp_path, out.getvalue(), "sample.parquet")
    types = {name: spec["type"] for name, spec in described(found)["fields"].items()}
    assert types["price"] == "decimal(9,2)"
    assert (types["id"], types["at"], types["day"], types["f"]) == ("int64", "timestamp", "date", "float64")
    assert judged(found, tmp_path) == ("", 2, 0)


def test_gzip_arrays_and_names_that_clash_or_mean_something_to_yaml(tmp_path: Path) -> None:
    row = {"Day": DAY, "day": DAY, "dt": "x", "no": 1, "1st": 2, "né": "x", "": 3, "a" * 90: 1}
    found = proposed(tmp_path, gzip.compress(json.dumps([row]).encode()), "sample.json.gz")
    names = list(described(found)["fields"])
    assert names == ["day_2", "day", "field_dt", "no", "field_1st", "n", "a" * 63]
    assert found.left_out == [""]
    assert judged(found, tmp_path) == ("", 1, 0)


def test_a_column_of_many_types_rejects_no_row_of_its_sample(tmp_path: Path) -> None:
    found = proposed(tmp_path, lines(*({"day": DAY, "v": v} for v in (1, "a", True, None, 2.5))))
    assert judged(found, tmp_path) == ("", 5, 0)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "has no rows"),
        ("a,b\n", "has no rows"),
        ("a,a\n1,2\n", "must name every column"),
        ("a,b\n1,2,3\n", "line 2 has 3 values"),
        ('{"a": 1}\n{"a"', "neither JSON lines nor a JSON array"),
        ("[1, 2]", "no JSON objects"),
        (b"\xff\xfe\x00a", "is not UTF-8"),
        (b"PAR1 rubbish", "is not Parquet"),
        ('{"a": 1}\n', "no column"),
        ('{"day": "2026-13-01"}\n', "no column"),
        ('{"day": "2026-03-01"}\n{"day": null}\n', "no column"),
    ],
)
def test_a_sample_that_cannot_be_used_is_said_in_one_line(tmp_path: Path, body: str | bytes, said: str) -> None:
    with pytest.raises(SluiceError) as caught:
        proposed(tmp_path, body)
    assert caught.value.code == 2
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["", "Orders", "1st", "mixed", "a-b", "../x", "a" * 56])
def test_a_name_that_no_dataset_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SluiceError, match="is no name of a dataset"):
        scaffold(name, tmp_path / "none")


def test_the_day_is_the_column_that_was_named(tmp_path: Path) -> None:
    body = lines({"a": DAY, "bAt": DAY, "c": "x"})
    assert proposed(tmp_path, body, partition_by="bAt").partition_by == "b_at"
    for wrong in ("c", "nosuch"):
        with pytest.raises(SluiceError, match=wrong):
            proposed(tmp_path, body, partition_by=wrong)


def test_files_that_are_there_stay_unless_forced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaffolding, "ROOT", tmp_path)
    monkeypatch.setattr(scaffolding, "DATASETS_DIR", tmp_path / "datasets")
    found = proposed(tmp_path, lines({"day": DAY}))
    scaffolding.write(found, force=False)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in found.files) == [
        "datasets/things.yaml", "fixtures/datasets/things.jsonl", "tests/unit/datasets/test_things.py"]  # fmt: skip
    assert all(path.read_bytes() == body for path, body in found.files.items())
    first = next(iter(found.files))
    first.write_text("mine")
    with pytest.raises(SluiceError, match="is there"):
        scaffolding.write(found, force=False)
    assert first.read_text() == "mine"
    scaffolding.write(found, force=True)
    assert first.read_text() != "mine"


_VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.text(max_size=8)
    | st.just(DAY)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.lists(st.integers(0, 9), max_size=2)
)
_ROWS = st.lists(st.dictionaries(st.text(max_size=6), _VALUES, max_size=5), min_size=1, max_size=6)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_ROWS)
def test_a_scaffold_never_rejects_its_own_sample(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    found = proposed(tmp_path, lines(*(row | {"happened": DAY} for row in rows)))
    assert judged(found, tmp_path) == ("", len(rows), 0)


# Control characters are no CSV: transform rejects such a row.
_CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(_CELLS, min_size=2, max_size=2), min_size=1, max_size=6))
def test_nor_one_of_csv(tmp_path: Path, rows: list[list[str]]) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([["one", "two", "happened"], *([*row, DAY] for row in rows)])
    found = proposed(tmp_path, out.getvalue().encode(), "rows.csv")
    assert judged(found, tmp_path) == ("", len(rows), 0)
