"""docs/datasets.md: every setting is on it, and its example is judged as it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from sluice.pipeline import check, query
from sluice.pipeline.current_views import CurrentViews
from sluice_pipeline.catalog import dialect, fields
from sluice_pipeline.catalog.compiler import compile_catalog
from sluice_pipeline.catalog.datasets import DATASET_SETTINGS, Catalog, parse_catalog
from sluice_pipeline.catalog.sections import discover_sections

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/datasets.md").read_text()


def block(language: str) -> str:
    [found] = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


def settings_of(heading: str) -> set[str]:
    """The settings in the first column of a section's table."""
    [section] = re.findall(rf"^## {heading}\n(.*?)(?=^## )", PAGE, re.DOTALL | re.MULTILINE)
    return {name for row in re.findall(r"^\| (`.*?) \|", section, re.M) for name in re.findall(r"`(\w+)`", row)}


def test_every_setting_is_on_the_page() -> None:
    assert settings_of("The dataset") == DATASET_SETTINGS | discover_sections().keys()
    assert settings_of("Fields") == fields.FIELD_SETTINGS
    [row] = re.findall(r"^\| `csv` \|.*$", PAGE, re.M)
    assert set(re.findall(r"`(\w+)`", row)) == dialect.SETTINGS | {"csv"}
    types = next(line for line in PAGE.splitlines() if line.startswith("| `type` |"))
    assert {name for name in fields.TYPES if f"`{name}`" in types} == set(fields.TYPES)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    (tmp_path / "parcels.yaml").write_text(block("yaml"))
    return parse_catalog(compile_catalog(tmp_path))


def checked(catalog: Catalog, file: Path) -> dict[str, Any]:
    file.write_text(block("json"))
    return check.check_file(file, "parcels", catalog, shown=20).to_dict()


def test_the_example_uses_every_type_and_setting() -> None:
    raw = yaml.safe_load(block("yaml"))
    specs = raw["fields"].values()
    assert {re.sub(r"\(.*", "", spec["type"]) for spec in specs} >= {*fields.TYPES, "decimal"} - {"bool"}
    assert {name for spec in specs for name in spec} >= fields.FIELD_SETTINGS - {"unit", "description"}
    assert raw.keys() >= DATASET_SETTINGS - {"records_at", "csv"}


def test_the_example_is_judged_as_the_page_says(catalog: Catalog, tmp_path: Path) -> None:
    found = checked(catalog, tmp_path / "parcels.jsonl")
    assert (found["rows_in"], found["rows_silver"], found["rows_rejected"]) == (4, 3, 1)
    [rejected] = found["rejected"]
    assert [(error["field"], error["reason"]) for error in rejected["errors"]] == [
        ("weight_kg", "out_of_range"), ("state", "not_allowed"),
    ]  # fmt: skip
    times = [row["event_time"] for row in found["sample"]["parcels"]]
    assert times == ["2026-03-02 04:30:00.000000Z", "2026-03-02 18:00:00.000000Z", "2026-03-01 00:00:00.000000Z"]


def test_the_newest_row_of_p1_is_version_2(catalog: Catalog, tmp_path: Path) -> None:
    sample = checked(catalog, tmp_path / "parcels.jsonl")["sample"]["parcels"]
    columns = {name: [row[name] for row in sample] for name in ("parcel_id", "version")}
    table = pa.table(columns | {"_source_offset": [0, 1, 2], "_record_id": ["x-0", "x-1", "x-2"]})
    current = CurrentViews({"parcels": catalog.datasets["parcels"]})
    found = query.run({"parcels": table}, "SELECT parcel_id, version FROM parcels_current ORDER BY 1", current=current)
    assert found.rows == [("p1", 2), ("p2", None)]
