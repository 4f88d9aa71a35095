"""Datasets: one YAML file each, checked once at build (``compiler``), read by functions as JSON (``deployed``).

A dataset says which fields a row has, their types and rules, which field's UTC date partitions silver, and
which ``record_type`` values route a row of a mixed file to it. What branches do with its rows is in sections of its
own for each branch (``sections``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sluice_pipeline.catalog.conditions import Condition
from sluice_pipeline.catalog.contract import Contract, parse_contract
from sluice_pipeline.catalog.current import check_current, check_names
from sluice_pipeline.catalog.dialect import parse_dialect
from sluice_pipeline.catalog.errors import CatalogError
from sluice_pipeline.catalog.fields import Field, parse_field, parse_name
from sluice_pipeline.catalog.row_checks import check_aliases, parse_checks, parse_unique
from sluice_pipeline.objects.csv_text import Dialect

MIXED: Final = "mixed"  # bronze/mixed/ holds rows of several datasets, each with its record_type
RECORD_TYPE: Final = "record_type"
SUMMARIES: Final = "summaries"  # in the compiled catalog only: what a section says, for functions without its parser
FIELD_ORDER: Final = "field_order"  # in the compiled catalog only: names as the YAML lists them, for Terraform's tables
DATASET_SETTINGS: Final = frozenset(
    {
        "dataset",
        "description",
        "record_types",
        "partition_by",
        "key",
        "current_by",
        "fields",
        "records_at",
        "csv",
        "checks",
        "unique",
        "contract",
    }
)
_NO_SECTIONS: Final = DATASET_SETTINGS | {SUMMARIES, FIELD_ORDER}


@dataclass(frozen=True, slots=True)
class Dataset:
    """``sections``: what the YAML holds for branches, unread; a branch's ``Section.of`` reads its own.

    ``summaries``: the dataset of the summaries that a file of this one may hold, empty for none.
    ``current_by``: the field that says which row of a key is the newest, empty for the order of arrival.
    ``records_at``: the member of a JSON file's objects whose array holds the rows, empty when the objects are the rows.
    ``csv``: how its CSV files are written. ``checks``: conditions that each row fulfils. ``unique``: combinations of
    fields whose values no two rows of an object share. ``contract``: what becomes of columns that no field names.
    """

    name: str
    partition_by: str
    fields: tuple[Field, ...]
    key: tuple[str, ...] = ()
    record_types: tuple[str, ...] = ()
    description: str = ""
    summaries: str = ""
    current_by: str = ""
    records_at: str = ""
    csv: Dialect = field(default_factory=Dialect)
    checks: tuple[Condition, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    contract: Contract = field(default_factory=Contract)
    sections: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def columns(self) -> dict[str, Field]:
        """The fields by name."""
        return {column.name: column for column in self.fields}


@dataclass(frozen=True, slots=True)
class Catalog:
    """All datasets by name, and by the record types that route rows to them."""

    datasets: Mapping[str, Dataset]
    by_record_type: Mapping[str, Dataset] = field(init=False)

    def __post_init__(self) -> None:
        routes = {value: dataset for dataset in self.datasets.values() for value in dataset.record_types}
        object.__setattr__(self, "by_record_type", routes)

    def summaries_of(self, dataset: str) -> Dataset | None:
        """The dataset of the summaries that a file of this one may hold, None when it may hold none."""
        found = self.datasets.get(dataset)
        return self.datasets[found.summaries] if found and found.summaries else None

    def compares_rows(self, dataset: str) -> bool:
        """Whether a row's fate depends on the rows before it in its object, which then are read with it."""
        if dataset == MIXED:
            return any(found.unique for found in self.by_record_type.values())
        own = self.datasets.get(dataset)
        return any(found.unique for found in (own, self.summaries_of(dataset)) if found)

    def has_section(self, dataset: str, section: str) -> bool:
        """Whether rows of a file of this dataset (``mixed`` as well) may go to a dataset that has such a section."""
        if dataset == MIXED:
            return any(section in found.sections for found in self.by_record_type.values())
        own = self.datasets.get(dataset)
        return any(section in found.sections for found in (own, self.summaries_of(dataset)) if found)

    def knows(self, dataset: str) -> bool:
        """Whether objects under a bronze prefix of this name are ingested.

        ``mixed`` is such a prefix as soon as one dataset has record types.
        """
        return dataset in self.datasets or (dataset == MIXED and bool(self.by_record_type))


def parse_catalog(compiled: Mapping[str, Any]) -> Catalog:
    """Makes datasets of a compiled catalog (``{name: raw dataset}``); sections stay unread.

    Raises:
        CatalogError: a dataset contradicts itself, or two claim one record type.
    """
    datasets = {name: parse_dataset(raw, f"{name}.yaml") for name, raw in sorted(compiled.items())}
    _check_record_types(datasets)
    check_names(datasets)
    return Catalog(datasets)


def parse_dataset(raw: Any, file: str) -> Dataset:
    """Makes a dataset of what its file holds; whatever is no setting of the dataset itself is a section.

    Raises:
        CatalogError: a setting is missing, of a wrong type, or contradicts the fields.
    """
    if not isinstance(raw, dict):
        raise CatalogError(file, "(whole file)", "is not a mapping")
    name = parse_name(raw.get("dataset"), file, "dataset")
    if name == MIXED:
        raise CatalogError(file, "dataset", f"{MIXED!r} is the prefix of files that mix datasets")
    fields = raw.get("fields")
    if not isinstance(fields, dict) or not fields:
        raise CatalogError(file, "fields", "is missing or empty")
    columns = tuple(parse_field(column, spec, file) for column, spec in fields.items())
    by_name = {column.name: column for column in columns}
    dataset = Dataset(
        name=name,
        partition_by=str(raw.get("partition_by")),
        fields=columns,
        key=_strings(raw, "key", file),
        record_types=_strings(raw, "record_types", file),
        description=str(raw.get("description", "")),
        summaries=str(raw.get(SUMMARIES, "")),
        current_by=_text(raw, "current_by", file, "the name of a field"),
        records_at=_text(raw, "records_at", file, "the name of a member, such as Records"),
        csv=parse_dialect(raw.get("csv", {}), file),
        checks=parse_checks(raw.get("checks", []), by_name, file),
        unique=parse_unique(raw.get("unique", []), by_name, file),
        contract=parse_contract(raw.get("contract", {}), file),
        sections={str(name): part for name, part in raw.items() if name not in _NO_SECTIONS},
    )
    _check_references(dataset, file)
    return dataset


def _check_references(dataset: Dataset, file: str) -> None:
    columns = dataset.columns
    partition = columns.get(dataset.partition_by)
    if partition is None:
        raise CatalogError(file, "partition_by", f"names no field: {dataset.partition_by!r}")
    if partition.type not in ("timestamp", "date") or not partition.required:
        raise CatalogError(file, "partition_by", f"{partition.name} must be a required timestamp or date")
    for column in dataset.key:
        if column not in columns:
            raise CatalogError(file, "key", f"names no field: {column!r}")
        if not columns[column].required:
            raise CatalogError(file, "key", f"{column} is not required, so it cannot be part of a key")
    check_current(dataset, file)
    if dataset.record_types and RECORD_TYPE not in columns:
        raise CatalogError(file, "record_types", f"rows are routed by a field {RECORD_TYPE!r}, which is not there")
    check_aliases(dataset.fields, file, fixed=RECORD_TYPE if dataset.record_types else "")


def _text(raw: Mapping[str, Any], name: str, file: str, what: str) -> str:
    value = raw.get(name, "")
    if not isinstance(value, str) or (name in raw and not value):
        raise CatalogError(file, name, f"{value!r} is not {what}")
    return value


def _strings(raw: Mapping[str, Any], name: str, file: str) -> tuple[str, ...]:
    value = raw.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise CatalogError(file, name, "is not a list of strings")
    return tuple(value)


def _check_record_types(datasets: Mapping[str, Dataset]) -> None:
    owner: dict[str, str] = {}
    for dataset in datasets.values():
        for value in dataset.record_types:
            if value in owner:
                raise CatalogError(
                    f"{dataset.name}.yaml", "record_types", f"{value!r} already belongs to {owner[value]}"
                )
            owner[value] = dataset.name
