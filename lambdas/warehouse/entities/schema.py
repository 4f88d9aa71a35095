"""The section ``entity`` of a dataset: how its rows become canonical entities. docs/entities.md shows one."""

from collections.abc import Mapping
from typing import Any, Final

from sluice_pipeline.catalog.datasets import Catalog, Dataset
from sluice_pipeline.catalog.errors import InvalidSetting
from sluice_pipeline.catalog.sections import Section, register
from warehouse.entities.json_schema import ENTITY_SCHEMA
from warehouse.entities.model import BY_CANONICAL_ID, BY_SOURCE_ID, EntitySection, Link, Tiers, Totals
from warehouse.entities.settings import (  # fmt: skip
    Columns,
    field_name,
    field_names,
    flag,
    mapping,
    nested,
    number_field,
    strings,
    word,
)

_SETTINGS: Final = {
    "source_system", "type", "source_id", "canonical_id", "updated_at", "status", "attributes", "required", "tiers",
    "relationships", "time_series", "totals",
}  # fmt: skip
_LINK_SETTINGS: Final = {"parent", "child", "type", "by", "from", "to", "exclusive"}
_TIER_SETTINGS: Final = {"field", "levels", "else"}
_TOTALS_SETTINGS: Final = {"dataset", "records", "sums", "required"}
_TIMES: Final = ("timestamp", "date")


def parse_entity(raw: Any, dataset: Dataset) -> EntitySection:
    """Reads and checks a section against the dataset's fields.

    Raises:
        InvalidSetting: which setting is wrong, and why.
    """
    fields = dataset.columns
    spec = mapping(raw, "", _SETTINGS)
    updated_at = {"updated_at": dataset.partition_by} | spec
    types, type_field = _types(spec, fields)
    attributes = field_names(spec, "attributes", fields)
    if not attributes:
        raise InvalidSetting("attributes", "is missing or empty")
    return EntitySection(
        source_system=word(spec.get("source_system"), "source_system"),
        types=types,
        type_field=type_field,
        source_id=field_name(spec, "source_id", fields, ("string", "int64"), must=True, always=True),
        canonical_ids=tuple(
            (kind, field_name({"canonical_id": column}, "canonical_id", fields, ("string", "int64")))
            for kind, column in _of_types(spec, "canonical_id", types)
        ),
        updated_at=field_name(updated_at, "updated_at", fields, _TIMES, must=True, always=True),
        status=field_name(spec, "status", fields, ("string",)),
        attributes=attributes,
        required=tuple((kind, _required(names, attributes)) for kind, names in _of_types(spec, "required", types)),
        tiers=_tiers(spec["tiers"], fields) if "tiers" in spec else None,
        links=tuple(_link(name, one, fields) for name, one in nested(spec, "relationships").items()),
        time_series=tuple(
            (word(name, f"time_series.{name}"), number_field(column, f"time_series.{name}", fields))
            for name, column in nested(spec, "time_series").items()
        ),
        totals=_totals(spec["totals"], fields) if "totals" in spec else None,
    )


def check_entities(sections: Mapping[str, EntitySection], catalog: Catalog) -> None:
    """Checks what the sections of several datasets must agree on; ``sections`` by the dataset's name.

    Raises:
        InvalidSetting: which dataset contradicts another, and in which setting.
    """
    givers: dict[tuple[str, str], str] = {}
    owners: dict[tuple[str, str], tuple[str, str]] = {}
    for dataset, section in sections.items():
        for kind in section.types:
            if kind in {other.source_system for other in sections.values()}:
                raise InvalidSetting("type", f"{kind!r} is a source system: canonical ids would be ambiguous", dataset)
            other = givers.setdefault((section.source_system, kind), dataset)
            if other != dataset:
                raise InvalidSetting("type", f"{other} has the {kind} of {section.source_system} already", dataset)
            if kind in dict(section.canonical_ids):
                for name in section.attributes:
                    system, owner = owners.setdefault((kind, name), (section.source_system, dataset))
                    if system != section.source_system:
                        raise InvalidSetting(
                            "attributes",
                            f"{name!r} of a {kind} is given by {owner} already: an attribute has one source",
                            dataset,
                        )
        if section.totals:
            _check_totals(dataset, section.totals, catalog)


def _types(spec: Mapping[str, Any], fields: Columns) -> tuple[tuple[str, ...], str]:
    kind = spec.get("type")
    if not isinstance(kind, dict):
        return (word(kind, "type"),), ""
    column = field_name(mapping(kind, "type", {"field"}), "field", fields, ("string",), "type.", must=True, always=True)
    values = fields[column].allowed
    if not values:
        raise InvalidSetting("type.field", f"{column} needs `allowed`: the entity types that there are")
    return tuple(word(value, "type.field") for value in values), column


def _of_types(spec: Mapping[str, Any], setting: str, types: tuple[str, ...]) -> list[tuple[str, Any]]:
    """A setting that is one for all types or, as a mapping, of some of them."""
    if setting not in spec:
        return []
    value = spec[setting]
    if not isinstance(value, dict):
        return [(kind, value) for kind in types]
    for kind in value:
        if kind not in types:
            raise InvalidSetting(f"{setting}.{kind}", f"is no entity type; there are {', '.join(types)}")
    return list(value.items())


def _required(names: Any, attributes: tuple[str, ...]) -> tuple[str, ...]:
    found = strings(names, "required")
    for name in found:
        if name not in attributes:
            raise InvalidSetting("required", f"{name!r} is not among the attributes")
    return found


def _tiers(raw: Any, fields: Columns) -> Tiers:
    spec = mapping(raw, "tiers", _TIER_SETTINGS)
    levels = nested(spec, "levels", "tiers.")
    for name, least in levels.items():
        if not isinstance(least, int | float) or isinstance(least, bool):
            raise InvalidSetting(f"tiers.levels.{name}", f"{least!r} is not a number")
    ordered = sorted(levels.items(), key=lambda level: -level[1])
    return Tiers(
        number_field(spec.get("field"), "tiers.field", fields),
        tuple((word(name, f"tiers.levels.{name}"), float(least)) for name, least in ordered),
        word(spec.get("else"), "tiers.else"),
    )


def _link(name: Any, raw: Any, fields: Columns) -> Link:
    where = f"relationships.{name}"
    spec = mapping(raw, where, _LINK_SETTINGS)
    if ("parent" in spec) == ("child" in spec):
        raise InvalidSetting(where, "names the field of either the parent or the child")
    end = "parent" if "parent" in spec else "child"
    by = spec.get("by", BY_SOURCE_ID)
    if by not in (BY_SOURCE_ID, BY_CANONICAL_ID):
        raise InvalidSetting(f"{where}.by", f"{by!r} is neither {BY_SOURCE_ID} nor {BY_CANONICAL_ID}")
    exclusive = flag(spec, "exclusive", f"{where}.")
    if exclusive and end == "child":
        raise InvalidSetting(f"{where}.exclusive", "is about a child's parents, so the rows must name a parent")
    return Link(
        name=word(name, where),
        other=field_name(spec, end, fields, ("string", "int64"), f"{where}."),
        other_type=word(spec.get("type"), f"{where}.type"),
        parent=end == "parent",
        by=by,
        begins=field_name(spec, "from", fields, _TIMES, f"{where}."),
        ends=field_name(spec, "to", fields, _TIMES, f"{where}."),
        exclusive=exclusive,
    )


def _totals(raw: Any, fields: Columns) -> Totals:
    spec = mapping(raw, "totals", _TOTALS_SETTINGS)
    sums = nested(spec, "sums", "totals.")
    return Totals(
        word(spec.get("dataset"), "totals.dataset"),
        word(spec["records"], "totals.records") if "records" in spec else "",
        tuple(
            (number_field(name, f"totals.sums.{name}", fields), word(of, f"totals.sums.{name}"))
            for name, of in sums.items()
        ),
        flag(spec, "required", "totals."),
    )


def _check_totals(dataset: str, totals: Totals, catalog: Catalog) -> None:
    summaries = catalog.datasets.get(totals.dataset)
    if summaries is None or totals.dataset == dataset:
        raise InvalidSetting("totals.dataset", f"{totals.dataset!r} is no other dataset", dataset)
    columns = summaries.columns
    if not totals.records and not totals.sums:
        raise InvalidSetting("totals", "compares nothing: give records, sums or both", dataset)
    wanted = [("records", totals.records)] if totals.records else []
    for setting, column in [*wanted, *((f"sums.{name}", of) for name, of in totals.sums)]:
        if column not in columns or not columns[column].is_number:
            raise InvalidSetting(f"totals.{setting}", f"{totals.dataset} has no number {column!r}", dataset)


ENTITY: Final = register(
    Section(
        name="entity",
        parse=parse_entity,
        json_schema=ENTITY_SCHEMA,
        check=check_entities,
        summaries=lambda section: section.totals.dataset if section.totals else "",
    )
)
