"""A wrong dataset file is refused with its file, field and reason; a right one needs no code."""

from pathlib import Path

import pytest
import yaml

from sluice_pipeline.catalog.compiler import compile_catalog
from sluice_pipeline.catalog.datasets import parse_catalog
from sluice_pipeline.catalog.errors import CatalogError

ROOT = Path(__file__).parents[3]
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
        (changed("key", ["id", "id"]), "key", "names a field twice"),
        (changed("fields/id", {"type": "json", "required": True}), "key", "no equality"),
        (changed("current_by", ""), "current_by", "not the name of a field"),
        (changed("current_by", ["at"]), "current_by", "not the name of a field"),
        (changed("current_by", "nope"), "current_by", "names no field"),
        (changed("current_by", "record_type"), "current_by", "name a timestamp, a date or a number"),
        (changed("key", []) | {"current_by": "at"}, "current_by", "needs a key"),
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


def test_a_dataset_has_not_the_name_of_another_ones_view(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    other = changed("dataset", "orders_current") | {"record_types": []}
    with pytest.raises(CatalogError, match=r"orders_current\.yaml.*view of orders's newest rows"):
        compile_catalog(write(tmp_path, other, "orders_current.yaml"))


def test_a_name_leaves_room_for_the_view(tmp_path: Path) -> None:
    """PostgreSQL cuts names after 63 bytes; without a key there is no view, and the name may have them all."""
    write(tmp_path, changed("dataset", "o" * 55), "o" * 55 + ".yaml")
    write(tmp_path, changed("dataset", "p" * 63) | {"key": [], "record_types": []}, "p" * 63 + ".yaml")
    assert compile_catalog(tmp_path).keys() == {"o" * 55, "p" * 63}
    write(tmp_path, changed("dataset", "q" * 56) | {"record_types": []}, "q" * 56 + ".yaml")
    with pytest.raises(CatalogError, match="more than 55 characters"):
        compile_catalog(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="holds no dataset"):
        compile_catalog(tmp_path)
