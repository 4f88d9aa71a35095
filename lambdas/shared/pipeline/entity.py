"""The ``entity`` section of a dataset: how its rows become canonical entities. docs/entities.md shows one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.checks import BadCheck

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_SETTINGS: Final = {
    "source_system", "type", "source_id", "canonical_id", "updated_at", "status", "attributes", "required", "tiers",
    "relationships", "time_series", "totals",
}  # fmt: skip
_LINK_SETTINGS: Final = {"parent", "child", "type", "by", "from", "to", "exclusive"}
_TIER_SETTINGS: Final = {"field", "levels", "else"}
_TOTALS_SETTINGS: Final = {"dataset", "records", "sums", "required"}
_TIMES: Final = ("timestamp", "date")
BY_SOURCE_ID: Final = "source_id"
BY_CANONICAL_ID: Final = "canonical_id"


@dataclass(frozen=True, slots=True)
class FieldOf:
    """A field as a section needs it: its type, whether every row has it, and its only values."""

    type: str
    required: bool
    allowed: tuple[Any, ...] = ()

    @property
    def number(self) -> bool:
        return self.type in ("int64", "float64") or self.type.startswith("decimal")


@dataclass(frozen=True, slots=True)
class Tiers:
    """``levels``: name and least value, highest first; ``otherwise`` is the tier of all others."""

    field: str
    levels: tuple[tuple[str, float], ...]
    otherwise: str


@dataclass(frozen=True, slots=True)
class Link:
    """A relationship of type ``name`` to the entity that the field ``other`` names, by ``by`` (one of the BY_ values).

    ``parent``: the other one is the parent. ``begins`` and ``ends`` are fields, empty for the record's time and for no
    end. ``exclusive``: a child has one parent at a time, so a new one ends what was.
    """

    name: str
    other: str
    other_type: str
    parent: bool
    by: str
    begins: str
    ends: str
    exclusive: bool


@dataclass(frozen=True, slots=True)
class Totals:
    """Control totals: ``dataset`` holds the files' summaries; its field ``records`` counts the rows of a file, ``sums``
    are (field, field of the summary that holds its sum). ``required``: a file without a summary is a difference."""

    dataset: str
    records: str
    sums: tuple[tuple[str, str], ...]
    required: bool


@dataclass(frozen=True, slots=True)
class EntitySection:
    """``types``: the entity types that rows may be; with more than one, the field ``type_field`` says which.
    ``canonical_ids``: (type, field that holds an id which several systems share); ``required``: (type, attributes).
    """

    source_system: str
    types: tuple[str, ...]
    type_field: str
    source_id: str
    canonical_ids: tuple[tuple[str, str], ...]
    updated_at: str
    status: str
    attributes: tuple[str, ...]
    required: tuple[tuple[str, tuple[str, ...]], ...]
    tiers: Tiers | None
    links: tuple[Link, ...]
    time_series: tuple[tuple[str, str], ...]
    totals: Totals | None


def parse_entity(raw: Any, fields: Mapping[str, FieldOf], partition_by: str) -> EntitySection:
    """Reads and checks a section against the dataset's fields.

    Raises:
        BadCheck: which setting is wrong, and why.
    """
    spec = _mapping(raw, "", _SETTINGS)
    types, type_field = _types(spec, fields)
    attributes = _names(spec, "attributes", fields)
    if not attributes:
        raise BadCheck("attributes", "is missing or empty")
    return EntitySection(
        source_system=_word(spec.get("source_system"), "source_system"),
        types=types,
        type_field=type_field,
        source_id=_field(spec, "source_id", fields, ("string", "int64"), must=True, always=True),
        canonical_ids=tuple(
            (kind, _field({"canonical_id": column}, "canonical_id", fields, ("string", "int64")))
            for kind, column in _of_types(spec, "canonical_id", types)
        ),
        updated_at=_field({"updated_at": partition_by} | spec, "updated_at", fields, _TIMES, must=True, always=True),
        status=_field(spec, "status", fields, ("string",)),
        attributes=attributes,
        required=tuple((kind, _required(names, attributes)) for kind, names in _of_types(spec, "required", types)),
        tiers=_tiers(spec["tiers"], fields) if "tiers" in spec else None,
        links=tuple(_link(name, one, fields) for name, one in _dict(spec, "relationships").items()),
        time_series=tuple(
            (_word(name, f"time_series.{name}"), _number(column, f"time_series.{name}", fields))
            for name, column in _dict(spec, "time_series").items()
        ),
        totals=_totals(spec["totals"], fields) if "totals" in spec else None,
    )


def check_entities(sections: Mapping[str, EntitySection], datasets: Mapping[str, Mapping[str, FieldOf]]) -> None:
    """What several datasets must agree on; ``datasets``: the fields of all of them, by name.

    Raises:
        BadCheck: its setting begins with the dataset's name and a colon.
    """
    givers: dict[tuple[str, str], str] = {}
    owners: dict[tuple[str, str], tuple[str, str]] = {}
    for dataset, section in sections.items():
        for kind in section.types:
            if kind in {other.source_system for other in sections.values()}:
                raise BadCheck(f"{dataset}:type", f"{kind!r} is a source system: canonical ids would be ambiguous")
            other = givers.setdefault((section.source_system, kind), dataset)
            if other != dataset:
                raise BadCheck(f"{dataset}:type", f"{other} has the {kind} of {section.source_system} already")
            if kind in dict(section.canonical_ids):
                for name in section.attributes:
                    system, owner = owners.setdefault((kind, name), (section.source_system, dataset))
                    if system != section.source_system:
                        raise BadCheck(
                            f"{dataset}:attributes",
                            f"{name!r} of a {kind} is given by {owner} already: an attribute has one source",
                        )
        if section.totals:
            _check_totals(dataset, section.totals, datasets)


def required_by_type(sections: Sequence[EntitySection]) -> dict[str, list[str]]:
    """The attributes that an entity of a type should have, whichever source gives them."""
    found: dict[str, list[str]] = {}
    for section in sections:
        for kind in section.types:
            mine = found.setdefault(kind, [])
            mine += [name for name in dict(section.required).get(kind, ()) if name not in mine]
    return found


def _types(spec: Mapping[str, Any], fields: Mapping[str, FieldOf]) -> tuple[tuple[str, ...], str]:
    kind = spec.get("type")
    if not isinstance(kind, dict):
        return (_word(kind, "type"),), ""
    column = _field(_mapping(kind, "type", {"field"}), "field", fields, ("string",), "type.", must=True, always=True)
    values = fields[column].allowed
    if not values:
        raise BadCheck("type.field", f"{column} needs `allowed`: the entity types that there are")
    return tuple(_word(value, "type.field") for value in values), column


def _of_types(spec: Mapping[str, Any], setting: str, types: tuple[str, ...]) -> list[tuple[str, Any]]:
    """A setting that is one for all types or, as a mapping, of some of them."""
    if setting not in spec:
        return []
    value = spec[setting]
    if not isinstance(value, dict):
        return [(kind, value) for kind in types]
    for kind in value:
        if kind not in types:
            raise BadCheck(f"{setting}.{kind}", f"is no entity type; there are {', '.join(types)}")
    return list(value.items())


def _required(names: Any, attributes: tuple[str, ...]) -> tuple[str, ...]:
    found = _strings(names, "required")
    for name in found:
        if name not in attributes:
            raise BadCheck("required", f"{name!r} is not among the attributes")
    return found


def _tiers(raw: Any, fields: Mapping[str, FieldOf]) -> Tiers:
    spec = _mapping(raw, "tiers", _TIER_SETTINGS)
    levels = _dict(spec, "levels", "tiers.")
    for name, least in levels.items():
        if not isinstance(least, int | float) or isinstance(least, bool):
            raise BadCheck(f"tiers.levels.{name}", f"{least!r} is not a number")
    ordered = sorted(levels.items(), key=lambda level: -level[1])
    return Tiers(
        _number(spec.get("field"), "tiers.field", fields),
        tuple((_word(name, f"tiers.levels.{name}"), float(least)) for name, least in ordered),
        _word(spec.get("else"), "tiers.else"),
    )


def _link(name: Any, raw: Any, fields: Mapping[str, FieldOf]) -> Link:
    where = f"relationships.{name}"
    spec = _mapping(raw, where, _LINK_SETTINGS)
    if ("parent" in spec) == ("child" in spec):
        raise BadCheck(where, "names the field of either the parent or the child")
    end = "parent" if "parent" in spec else "child"
    by = spec.get("by", BY_SOURCE_ID)
    if by not in (BY_SOURCE_ID, BY_CANONICAL_ID):
        raise BadCheck(f"{where}.by", f"{by!r} is neither {BY_SOURCE_ID} nor {BY_CANONICAL_ID}")
    exclusive = _flag(spec, "exclusive", f"{where}.")
    if exclusive and end == "child":
        raise BadCheck(f"{where}.exclusive", "is about a child's parents, so the rows must name a parent")
    return Link(
        name=_word(name, where),
        other=_field(spec, end, fields, ("string", "int64"), f"{where}."),
        other_type=_word(spec.get("type"), f"{where}.type"),
        parent=end == "parent",
        by=by,
        begins=_field(spec, "from", fields, _TIMES, f"{where}."),
        ends=_field(spec, "to", fields, _TIMES, f"{where}."),
        exclusive=exclusive,
    )


def _totals(raw: Any, fields: Mapping[str, FieldOf]) -> Totals:
    spec = _mapping(raw, "totals", _TOTALS_SETTINGS)
    sums = _dict(spec, "sums", "totals.")
    return Totals(
        _word(spec.get("dataset"), "totals.dataset"),
        _word(spec["records"], "totals.records") if "records" in spec else "",
        tuple(
            (_number(name, f"totals.sums.{name}", fields), _word(of, f"totals.sums.{name}"))
            for name, of in sums.items()
        ),
        _flag(spec, "required", "totals."),
    )


def _check_totals(dataset: str, totals: Totals, datasets: Mapping[str, Mapping[str, FieldOf]]) -> None:
    fields = datasets.get(totals.dataset)
    if fields is None or totals.dataset == dataset:
        raise BadCheck(f"{dataset}:totals.dataset", f"{totals.dataset!r} is no other dataset")
    if not totals.records and not totals.sums:
        raise BadCheck(f"{dataset}:totals", "compares nothing: give records, sums or both")
    wanted = [("records", totals.records)] if totals.records else []
    for setting, column in [*wanted, *((f"sums.{name}", of) for name, of in totals.sums)]:
        if column not in fields or not fields[column].number:
            raise BadCheck(f"{dataset}:totals.{setting}", f"{totals.dataset} has no number {column!r}")


def _mapping(raw: Any, where: str, known: set[str]) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise BadCheck(where, "is not a mapping")
    for name in raw:
        if name not in known:
            raise BadCheck(f"{where}.{name}".lstrip("."), f"is unknown; known are {', '.join(sorted(known))}")
    return raw


def _dict(spec: Mapping[str, Any], name: str, prefix: str = "") -> dict[Any, Any]:
    value = spec.get(name, {})
    if not isinstance(value, dict):
        raise BadCheck(f"{prefix}{name}", "is not a mapping")
    return value


def _flag(spec: Mapping[str, Any], name: str, prefix: str) -> bool:
    value = spec.get(name, False)
    if not isinstance(value, bool):
        raise BadCheck(f"{prefix}{name}", "is neither true nor false")
    return value


def _strings(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise BadCheck(where, "is not a list of names")
    return tuple(dict.fromkeys(value))


def _names(spec: Mapping[str, Any], setting: str, fields: Mapping[str, FieldOf]) -> tuple[str, ...]:
    found = _strings(spec.get(setting, []), setting)
    for name in found:
        if name not in fields:
            raise BadCheck(setting, f"names no field: {name!r}")
    return found


def _word(value: Any, where: str) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise BadCheck(where, f"{value!r} is not a name (lower case, digits, _; at most 63 characters)")
    return value


def _number(value: Any, where: str, fields: Mapping[str, FieldOf]) -> str:
    if not isinstance(value, str) or value not in fields or not fields[value].number:
        raise BadCheck(where, f"names no number field: {value!r}")
    return value


def _field(
    spec: Mapping[str, Any],
    setting: str,
    fields: Mapping[str, FieldOf],
    kinds: tuple[str, ...],
    prefix: str = "",
    *,
    must: bool = False,
    always: bool = False,
) -> str:
    """The field that a setting names, empty when it is absent. ``must``: it must be there; ``always``: in every row."""
    if setting not in spec and not must:
        return ""
    name = spec.get(setting)
    if not isinstance(name, str) or name not in fields or fields[name].type not in kinds:
        raise BadCheck(f"{prefix}{setting}", f"names no {' or '.join(kinds)} field: {name!r}")
    if always and not fields[name].required:
        raise BadCheck(f"{prefix}{setting}", f"{name} is not required, so a row may have none")
    return name
