"""A wrong dataset file is refused with its file, field and reason; a right one needs no code."""

from pathlib import Path

import pytest
import yaml

from pipeline.catalog import CatalogError, compile_catalog, parse_catalog

ROOT = Path(__file__).parents[2]
GOOD = {
    "dataset": "orders",
    "partition_by": "at",
    "key": ["id"],
    "record_types": ["order"],
    "fields": {
        "record_type": {"type": "string"},
        "at": {"type": "timestamp", "required": True},
        "id": {"type": "int64", "required": True, "min": 1, "max": 9},
        "price": {"type": "decimal(10,2)", "min": 0.5},
    },
}


def changed(path: str, value: object) -> dict[str, object]:
    """GOOD with one place changed; ``None`` removes it."""
    raw = yaml.safe_load(yaml.safe_dump(GOOD, sort_keys=False))
    *parents, last = path.split("/")
    place = raw
    for parent in parents:
        place = place[parent]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return dict(raw)


def write(folder: Path, raw: object, name: str = "orders.yaml") -> Path:
    (folder / name).write_text(raw if isinstance(raw, str) else yaml.safe_dump(raw, sort_keys=False))
    return folder


def test_the_projects_own_datasets_are_valid() -> None:
    catalog = parse_catalog(compile_catalog(ROOT / "datasets"))
    assert sorted(catalog.datasets) == [
        "checkins", "control_totals", "crm", "erp", "feedback", "flights", "invoice_lines", "shipments",
        "tracking_events",
    ]  # fmt: skip
    assert {"shipments", "tracking_events", "invoice_lines"} <= set(catalog.by_record_type)
    assert catalog.knows("mixed")
    assert not catalog.knows("unheard_of")


def test_a_new_dataset_is_one_file(tmp_path: Path) -> None:
    orders = parse_catalog(compile_catalog(write(tmp_path, GOOD))).datasets["orders"]
    assert orders.fields[2].minimum == 1
    assert orders.fields[3].decimal == (10, 2)
    assert orders.key == ("id",)


@pytest.mark.parametrize(
    ("raw", "field", "reason"),
    [
        ("{not: [yaml", "(whole file)", "not YAML"),
        ("- a\n- b\n", "(whole file)", "not a mapping"),
        (changed("dataset", "Orders!"), "dataset", "not a name"),
        (changed("dataset", "mixed"), "dataset", "prefix of files"),
        (changed("dataset", "others"), "dataset", "named after its dataset"),
        (changed("colour", "red"), "colour", "unknown"),
        (changed("fields", {}), "fields", "missing or empty"),
        (changed("partition_by", "when"), "partition_by", "names no field"),
        (changed("partition_by", "id"), "partition_by", "timestamp or date"),
        (changed("fields/at/required", False), "partition_by", "required"),
        (changed("key", ["nope"]), "key", "names no field"),
        (changed("key", ["price"]), "key", "not required"),
        (changed("key", "id"), "key", "list of strings"),
        (changed("fields/record_type", None), "record_types", "routed by"),
        (changed("fields/id/type", "integer"), "fields.id.type", "none of"),
        (changed("fields/price/type", "decimal(2,10)"), "fields.price.type", "none of"),
        (changed("fields/id/required", "yes please"), "fields.id.required", "neither"),
        (changed("fields/id/min", 10), "fields.id.min", "greater than max"),
        (changed("fields/id/min", 0.5), "fields.id.min", "not an integer"),
        (changed("fields/id/max", "ten"), "fields.id.max", "not a number"),
        (changed("fields/at/min", 3), "fields.at.min", "no range"),
        (changed("fields/id/allowed", ["a"]), "fields.id.allowed", "not a int64"),
        (changed("fields/id/maximum", 9), "fields.id.maximum", "unknown"),
        (changed("fields/id", "int64"), "fields.id", "not a mapping"),
    ],
)
def test_a_wrong_file_is_refused_with_file_field_and_reason(
    tmp_path: Path, raw: object, field: str, reason: str
) -> None:
    with pytest.raises(CatalogError) as refused:
        compile_catalog(write(tmp_path, raw))
    assert refused.value.file == "orders.yaml"
    assert refused.value.field == field
    assert reason in refused.value.reason


def test_two_datasets_cannot_claim_one_record_type(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    with pytest.raises(CatalogError, match="already belongs to orders"):
        compile_catalog(write(tmp_path, changed("dataset", "sales"), "sales.yaml"))


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="holds no dataset"):
        compile_catalog(tmp_path)
