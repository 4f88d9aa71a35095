"""Datasets: one YAML file each, checked once at build, read by functions, jobs and tests as JSON.

A dataset says which fields a row has, their types and rules, which field's UTC date partitions silver, and
which ``record_type`` values route a row of a mixed file to it.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from pipeline.checks import ANOMALIES, TESTS, BadCheck, Section, parse_section
from pipeline.entity import EntitySection, FieldOf, check_entities, parse_entity

MIXED: Final = "mixed"  # bronze/mixed/ holds rows of several datasets, told apart by record_type
RECORD_TYPE: Final = "record_type"
TYPES: Final = ("string", "int64", "float64", "bool", "date", "timestamp", "json")
DECIMAL: Final = re.compile(r"decimal\((\d{1,2}),\s*(\d{1,2})\)")
NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
COMPILED: Final = "datasets.json"
_DATASET_FIELDS: Final = {
    "dataset", "description", "record_types", "partition_by", "key", "fields", "feedback", "checkin", "entity",
}  # fmt: skip
_FIELD_FIELDS: Final = {"type", "required", "min", "max", "allowed", "description"}


class CatalogError(ValueError):
    """A dataset file is wrong: says which file, which field of it, and why."""

    def __init__(self, file: str, field: str, reason: str) -> None:
        super().__init__(f"{file}: {field}: {reason}")
        self.file = file
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Field:
    """One column; ``minimum`` and ``maximum`` are inclusive, ``allowed`` lists the only values it may hold."""

    name: str
    type: str
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[Any, ...] = ()

    @property
    def decimal(self) -> tuple[int, int] | None:
        """Precision and scale of a decimal field, None for the other types."""
        match = DECIMAL.fullmatch(self.type)
        return (int(match[1]), int(match[2])) if match else None


@dataclass(frozen=True, slots=True)
class Dataset:
    """``feedback``, ``checkin`` and ``entity``: what the branches of these names do with the rows, None for nothing."""

    name: str
    partition_by: str
    fields: tuple[Field, ...]
    key: tuple[str, ...] = ()
    record_types: tuple[str, ...] = ()
    description: str = ""
    feedback: Section | None = None
    checkin: Section | None = None
    entity: EntitySection | None = None


@dataclass(frozen=True, slots=True)
class Catalog:
    datasets: Mapping[str, Dataset]
    by_record_type: Mapping[str, Dataset] = field(init=False)

    def __post_init__(self) -> None:
        routes = {value: dataset for dataset in self.datasets.values() for value in dataset.record_types}
        object.__setattr__(self, "by_record_type", routes)

    def summaries_of(self, dataset: str) -> Dataset | None:
        """The dataset of the summaries that a file of this one may hold, None when it may hold none."""
        found = self.datasets.get(dataset)
        return self.datasets[found.entity.totals.dataset] if found and found.entity and found.entity.totals else None

    def knows(self, dataset: str) -> bool:
        """Whether a bronze prefix of this name is taken in; ``mixed`` is, as soon as one dataset routes rows."""
        return dataset in self.datasets or (dataset == MIXED and bool(self.by_record_type))


@cache
def load_catalog() -> Catalog:
    """The catalog that was compiled into the package at build time."""
    return parse_catalog(json.loads(Path(__file__).with_name(COMPILED).read_text()))


def parse_catalog(compiled: Mapping[str, Any]) -> Catalog:
    """Checks a compiled catalog (``{name: raw dataset}``) and makes datasets of it.

    Raises:
        CatalogError: as ``compile_catalog``.
    """
    datasets = {name: _dataset(raw, f"{name}.yaml") for name, raw in sorted(compiled.items())}
    _check_routes(datasets)
    try:
        check_entities(
            {name: dataset.entity for name, dataset in datasets.items() if dataset.entity},
            {name: _seen(dataset.fields) for name, dataset in datasets.items()},
        )
    except BadCheck as bad:
        name, _, setting = bad.setting.partition(":")
        raise CatalogError(f"{name}.yaml", f"entity.{setting}", bad.reason) from bad
    return Catalog(datasets)


def compile_catalog(folder: Path) -> dict[str, Any]:
    """Reads and checks every YAML file of a folder; the result is what ``datasets.json`` holds.

    Raises:
        CatalogError: a file is not YAML, has no or unknown fields, contradicts itself, or two files claim one
            dataset or record type.
    """
    import yaml  # the functions read JSON; only the build needs YAML

    compiled: dict[str, Any] = {}
    for path in sorted(folder.glob("*.y*ml")):
        try:
            raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise CatalogError(path.name, "(whole file)", f"not YAML: {' '.join(str(error).split())}") from error
        dataset = _dataset(raw, path.name)
        if dataset.name != path.stem:
            raise CatalogError(path.name, "dataset", f"is {dataset.name!r}; a file is named after its dataset")
        compiled[dataset.name] = raw
    if not compiled:
        raise CatalogError(str(folder.name), "(folder)", "holds no dataset (*.yaml)")
    parse_catalog(compiled)
    # JSON has no dates and the like: what YAML made of an unquoted date would differ from what the function reads
    return {name: json.loads(json.dumps(raw, default=str)) for name, raw in compiled.items()}


def _dataset(raw: Any, file: str) -> Dataset:
    if not isinstance(raw, dict):
        raise CatalogError(file, "(whole file)", "is not a mapping")
    _known(raw, _DATASET_FIELDS, file, "")
    name = _name(raw.get("dataset"), file, "dataset")
    if name == MIXED:
        raise CatalogError(file, "dataset", f"{MIXED!r} is the prefix of files that mix datasets")
    fields_raw = raw.get("fields")
    if not isinstance(fields_raw, dict) or not fields_raw:
        raise CatalogError(file, "fields", "is missing or empty")
    fields = {str(column): _field(column, spec, file) for column, spec in fields_raw.items()}
    dataset = Dataset(
        name=name,
        partition_by=str(raw.get("partition_by")),
        fields=tuple(fields.values()),
        key=_strings(raw, "key", file),
        record_types=_strings(raw, "record_types", file),
        description=str(raw.get("description", "")),
        feedback=_section(raw, "feedback", ("customer", "anomalies"), ANOMALIES, fields, file),
        checkin=_section(raw, "checkin", ("user", "tests"), TESTS, fields, file),
        entity=_entity(raw, fields, file),
    )
    _check_references(dataset, fields, file)
    return dataset


def _entity(raw: dict[str, Any], fields: dict[str, Field], file: str) -> EntitySection | None:
    if "entity" not in raw:
        return None
    try:
        return parse_entity(raw["entity"], _seen(fields.values()), str(raw.get("partition_by")))
    except BadCheck as bad:
        raise CatalogError(file, f"entity.{bad.setting}".rstrip("."), bad.reason) from bad


def _seen(fields: Iterable[Field]) -> dict[str, FieldOf]:
    return {field.name: FieldOf(field.type, field.required, field.allowed) for field in fields}


def _section(
    raw: dict[str, Any], name: str, parts: tuple[str, str], kinds: frozenset[str], fields: dict[str, Field], file: str
) -> Section | None:
    if name not in raw:
        return None
    if not raw.get("key"):
        raise CatalogError(file, name, "needs a key: a row replaces the one with the same key")
    try:
        section = parse_section(raw[name], *parts, kinds, {field.name: field.type for field in fields.values()})
    except BadCheck as bad:
        raise CatalogError(file, f"{name}.{bad.setting}".rstrip("."), bad.reason) from bad
    if not fields[section.person].required:
        raise CatalogError(file, f"{name}.{parts[0]}", f"{section.person} is not required, so a row may be nobody's")
    return section


def _check_references(dataset: Dataset, fields: dict[str, Field], file: str) -> None:
    partition = fields.get(dataset.partition_by)
    if partition is None:
        raise CatalogError(file, "partition_by", f"names no field: {dataset.partition_by!r}")
    if partition.type not in ("timestamp", "date") or not partition.required:
        raise CatalogError(file, "partition_by", f"{partition.name} must be a required timestamp or date")
    for column in dataset.key:
        if column not in fields:
            raise CatalogError(file, "key", f"names no field: {column!r}")
        if not fields[column].required:
            raise CatalogError(file, "key", f"{column} is not required, so it cannot be part of a key")
    if dataset.record_types and RECORD_TYPE not in fields:
        raise CatalogError(file, "record_types", f"rows are routed by a field {RECORD_TYPE!r}, which is not there")


def _field(column: Any, spec: Any, file: str) -> Field:
    name = _name(column, file, f"fields.{column}")
    where = f"fields.{name}"
    if not isinstance(spec, dict):
        raise CatalogError(file, where, "is not a mapping such as {type: string}")
    _known(spec, _FIELD_FIELDS, file, f"{where}.")
    kind = str(spec.get("type"))
    decimal = DECIMAL.fullmatch(kind)
    if kind not in TYPES and not (decimal and int(decimal[2]) <= int(decimal[1]) <= 38 and int(decimal[1]) > 0):
        raise CatalogError(file, f"{where}.type", f"{kind!r} is none of {', '.join(TYPES)}, decimal(p,s)")
    if not isinstance(spec.get("required", False), bool):
        raise CatalogError(file, f"{where}.required", "is neither true nor false")
    low, high = (_bound(spec, bound, kind, file, where) for bound in ("min", "max"))
    if low is not None and high is not None and low > high:
        raise CatalogError(file, f"{where}.min", f"{low} is greater than max {high}")
    return Field(name, kind, spec.get("required", False), low, high, _allowed(spec, kind, file, where))


def _bound(spec: dict[str, Any], bound: str, kind: str, file: str, where: str) -> float | None:
    value = spec.get(bound)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CatalogError(file, f"{where}.{bound}", f"{value!r} is not a number")
    if kind not in ("int64", "float64") and not DECIMAL.fullmatch(kind):
        raise CatalogError(file, f"{where}.{bound}", f"a {kind} has no range")
    if kind == "int64" and not isinstance(value, int):
        raise CatalogError(file, f"{where}.{bound}", f"{value!r} is not an integer")
    return value


def _allowed(spec: dict[str, Any], kind: str, file: str, where: str) -> tuple[Any, ...]:
    allowed = spec.get("allowed", [])
    expected = {"string": str, "int64": int}.get(kind)
    if not isinstance(allowed, list) or (allowed and expected is None):
        raise CatalogError(file, f"{where}.allowed", "is not a list of strings or integers for such a field")
    for value in allowed:
        if expected is None or not isinstance(value, expected) or isinstance(value, bool):
            raise CatalogError(file, f"{where}.allowed", f"{value!r} is not a {kind}")
    return tuple(allowed)


def _name(value: Any, file: str, where: str) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise CatalogError(file, where, f"{value!r} is not a name (lower case, digits, _; at most 63 characters)")
    return value


def _strings(raw: dict[str, Any], name: str, file: str) -> tuple[str, ...]:
    value = raw.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise CatalogError(file, name, "is not a list of strings")
    return tuple(value)


def _known(raw: dict[Any, Any], known: set[str], file: str, prefix: str) -> None:
    for name in raw:
        if name not in known:
            raise CatalogError(file, f"{prefix}{name}", f"is unknown; known are {', '.join(sorted(known))}")


def _check_routes(datasets: Mapping[str, Dataset]) -> None:
    owner: dict[str, str] = {}
    for dataset in datasets.values():
        for value in dataset.record_types:
            if value in owner:
                raise CatalogError(
                    f"{dataset.name}.yaml", "record_types", f"{value!r} already belongs to {owner[value]}"
                )
            owner[value] = dataset.name
