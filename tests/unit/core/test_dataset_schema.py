"""The JSON Schema of a dataset's YAML says what the parser says, as far as one place of the file shows it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from sluice.paths import DATASETS_DIR
from sluice_pipeline.catalog.compiler import compile_catalog
from sluice_pipeline.catalog.dataset_schema import json_schema
from sluice_pipeline.catalog.errors import CatalogError
from sluice_pipeline.catalog.sections import discover_sections

FILE = DATASETS_DIR / "schema.json"
FIRST_LINE = "# yaml-language-server: $schema=schema.json"
FILES = sorted(DATASETS_DIR.glob("*.yaml"))
VALIDATOR = Draft202012Validator(json_schema())
REMOVED = object()


def test_the_committed_schema_is_the_one_that_the_code_makes() -> None:
    made = subprocess.run(
        [sys.executable, "-m", "sluice_pipeline.catalog"], capture_output=True, text=True, check=True, cwd=DATASETS_DIR
    ).stdout
    assert FILE.read_text() == made, "run: python -m sluice_pipeline.catalog > datasets/schema.json"


def test_the_schema_is_a_schema_with_the_section_of_every_branch() -> None:
    Draft202012Validator.check_schema(json_schema())
    assert set(discover_sections()) >= {"checkin", "entity", "feedback"}
    assert set(discover_sections()) < set(json_schema()["properties"])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_dataset_of_the_project_is_valid_and_names_the_schema(file: Path) -> None:
    text = file.read_text()
    assert text.startswith(f"{FIRST_LINE}\n")
    assert [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(text))] == []


# A place of a file and a wrong value for it.
MUTATIONS: list[tuple[str, str, Any]] = [
    ("shipments", "colour", "red"),
    ("shipments", "dataset", "Shipments!"),
    ("shipments", "dataset", "mixed"),
    ("shipments", "dataset", REMOVED),
    ("shipments", "fields", {}),
    ("shipments", "fields", REMOVED),
    ("shipments", "fields", []),
    ("shipments", "partition_by", REMOVED),
    ("shipments", "key", "shipment_id"),
    ("shipments", "key", [""]),
    ("shipments", "current_by", 3),
    ("control_totals", "current_by", "created_at"),
    ("shipments", "record_types", [1]),
    ("shipments", "fields/Weight", {"type": "string"}),
    ("shipments", "fields/origin", "string"),
    ("shipments", "fields/origin/type", REMOVED),
    ("shipments", "fields/origin/type", "text"),
    ("shipments", "fields/origin/required", "yes please"),
    ("shipments", "fields/origin/min", 1),
    ("shipments", "fields/origin/allowed", [1]),
    ("shipments", "fields/origin/allowed", "a"),
    ("shipments", "fields/event_time/max", 3),
    ("shipments", "fields/event_time/allowed", ["a"]),
    ("shipments", "fields/weight_kg/maximum", 9),
    ("shipments", "fields/weight_kg/max", "ten"),
    ("shipments", "fields/weight_kg/max", True),
    ("shipments", "fields/weight_kg/allowed", [1]),
    ("invoice_lines", "fields/quantity/min", 0.5),
    ("invoice_lines", "fields/quantity/allowed", ["a"]),
    ("invoice_lines", "fields/quantity/type", "decimal(39,2)"),
    ("invoice_lines", "fields/quantity/type", "decimal(0,0)"),
    ("invoice_lines", "fields/unit_price/allowed", [1]),
    ("shipments", "fields/origin/aliases", "from"),
    ("shipments", "fields/origin/aliases", [""]),
    ("shipments", "fields/origin/aliases", ["x" * 256]),
    ("shipments", "fields/origin/pattern", 5),
    ("shipments", "fields/origin/pattern", ""),
    ("shipments", "fields/origin/pattern", "a" * 501),
    ("shipments", "fields/weight_kg/pattern", "a"),
    ("shipments", "fields/origin/length", "3"),
    ("shipments", "fields/origin/length", -1),
    ("shipments", "fields/origin/length", True),
    ("shipments", "fields/origin/length", {}),
    ("shipments", "fields/origin/length", {"least": 1}),
    ("shipments", "fields/origin/length", {"min": 1.5}),
    ("shipments", "fields/weight_kg/length", 3),
    ("shipments", "fields/weight_kg/multiple_of", 0.5),
    ("shipments", "fields/origin/multiple_of", 2),
    ("shipments", "fields/weight_kg/unique", True),
    ("shipments", "fields/origin/unique", "yes"),
    ("shipments", "checks", "origin != destination"),
    ("shipments", "checks", [1]),
    ("shipments", "checks", [""]),
    ("shipments", "unique", "origin"),
    ("shipments", "unique", [1]),
    ("shipments", "unique", ["origin", "origin"]),
    ("invoice_lines", "fields/quantity/multiple_of", 0.5),
    ("invoice_lines", "fields/quantity/multiple_of", 0),
    ("invoice_lines", "fields/quantity/multiple_of", "2"),
    ("invoice_lines", "fields/quantity/multiple_of", True),
    ("feedback", "feedback", []),
    ("feedback", "feedback/rules", {}),
    ("feedback", "feedback/customer", REMOVED),
    ("feedback", "feedback/anomalies", []),
    ("feedback", "feedback/anomalies/A b", {"field": "rating", "min": 1}),
    ("feedback", "feedback/anomalies/a", 1),
    ("feedback", "feedback/anomalies/a", {}),
    ("feedback", "feedback/anomalies/a", {"field": "rating"}),
    ("feedback", "feedback/anomalies/a", {"min": 1}),
    ("feedback", "feedback/anomalies/a", {"field": "rating", "max": True}),
    ("feedback", "feedback/anomalies/a", {"field": "rating", "min": 1, "burst": 1, "within_seconds": 1}),
    ("feedback", "feedback/anomalies/a", {"burst": 3}),
    ("feedback", "feedback/anomalies/a", {"within_seconds": 3}),
    ("feedback", "feedback/anomalies/a", {"burst": 0, "within_seconds": 1}),
    ("feedback", "feedback/anomalies/a", {"unique": ["feedback_id"]}),
    ("feedback", "feedback/anomalies/a", {"field": "comment", "not_empty": "yes"}),
    ("checkins", "checkin/tests/a", {"field": "latitude", "min": 1, "hard": "yes"}),
    ("checkins", "checkin/tests/a", {"field": "latitude", "burst": 3}),
    ("checkins", "checkin/tests/a", {"field": "latitude", "min": 1, "min_rows": 1}),
    ("checkins", "checkin/tests/a", {"min_rows": 0}),
    ("checkins", "checkin/tests/a", {"unique": []}),
    ("checkins", "checkin/tests/a", {"unique": ["user_id"], "min_rows": 1}),
    ("checkins", "checkin/tests/a", {"hard": True}),
    ("crm", "entity/colour", 1),
    ("crm", "entity/source_system", "A B"),
    ("crm", "entity/type", REMOVED),
    ("crm", "entity/type", {"field": 1}),
    ("crm", "entity/source_id", REMOVED),
    ("crm", "entity/attributes", []),
    ("crm", "entity/attributes", "name"),
    ("crm", "entity/required", "name"),
    ("crm", "entity/status", 1),
    ("crm", "entity/tiers", []),
    ("crm", "entity/tiers/levels/gold", "a"),
    ("crm", "entity/tiers/else", REMOVED),
    ("crm", "entity/relationships/r", {}),
    ("crm", "entity/relationships/r", {"parent": "account_id", "child": "account_id", "type": "x"}),
    ("crm", "entity/relationships/r", {"parent": "account_id"}),
    ("crm", "entity/relationships/r", {"parent": "account_id", "type": "x", "by": "name"}),
    ("crm", "entity/relationships/r", {"child": "account_id", "type": "x", "exclusive": True}),
    ("crm", "entity/time_series/A b", "annual_revenue"),
    ("crm", "entity/totals", {"dataset": "control_totals"}),
    ("crm", "entity/totals/required", 1),
]  # fmt: skip


@pytest.mark.parametrize(("dataset", "place", "value"), MUTATIONS)
def test_what_the_parser_refuses_by_its_shape_the_schema_refuses_too(
    tmp_path: Path, dataset: str, place: str, value: Any
) -> None:
    raw = yaml.safe_load((DATASETS_DIR / f"{dataset}.yaml").read_text())
    *parents, last = place.split("/")
    part = raw
    for parent in parents:
        part = part[parent]
    if value is REMOVED:
        del part[last]
    else:
        part[last] = value
    for file in FILES:
        (tmp_path / file.name).write_text(file.read_text())
    (tmp_path / f"{dataset}.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    with pytest.raises(CatalogError) as refused:
        compile_catalog(tmp_path)
    assert refused.value.file == f"{dataset}.yaml"
    assert not VALIDATOR.is_valid(json.loads(json.dumps(raw)))


def test_the_schema_takes_every_check_that_the_parser_takes(tmp_path: Path) -> None:
    raw = yaml.safe_load((DATASETS_DIR / "shipments.yaml").read_text())
    raw["fields"]["origin"] |= {"aliases": ["from", "Origin City"], "pattern": r"[A-Z]{3}|\pL+", "length": {"min": 3}}
    raw["fields"]["carrier"] |= {"length": 3, "unique": True}
    raw["fields"] |= {"price": {"type": "decimal(9,2)", "multiple_of": 0.05}, "n": {"type": "int64", "multiple_of": 6}}
    raw |= {"checks": ["origin <> destination", "price >= 0.05 or n is null"], "unique": ["shipment_id", "n"]}
    assert [error.message for error in VALIDATOR.iter_errors(raw)] == []
    (tmp_path / "shipments.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    compile_catalog(tmp_path)


def test_a_checks_former_name_is_still_read(tmp_path: Path) -> None:
    raw = yaml.safe_load((DATASETS_DIR / "checkins.yaml").read_text())
    raw["checkin"]["tests"]["some_rows"] = {"least_rows": 1}
    (tmp_path / "checkins.yaml").write_text(yaml.safe_dump(raw))
    compile_catalog(tmp_path)


def test_the_build_records_the_dataset_of_a_files_summaries() -> None:
    compiled = compile_catalog(DATASETS_DIR)
    assert {name: raw["summaries"] for name, raw in compiled.items() if "summaries" in raw} == {
        "crm": "control_totals",
        "erp": "control_totals",
    }
