"""Reads single settings of an entity section; each function raises InvalidSetting with the setting and the reason."""

from collections.abc import Collection, Mapping
from typing import Any

from sluice_pipeline.catalog.errors import InvalidSetting
from sluice_pipeline.catalog.fields import NAME, Field

type Columns = Mapping[str, Field]
"""The dataset's fields by name."""


def mapping(raw: Any, where: str, known: Collection[str]) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise InvalidSetting(where, "is not a mapping")
    for name in raw:
        if name not in known:
            raise InvalidSetting(f"{where}.{name}".lstrip("."), f"is unknown; known are {', '.join(sorted(known))}")
    return raw


def nested(spec: Mapping[str, Any], name: str, prefix: str = "") -> dict[Any, Any]:
    value = spec.get(name, {})
    if not isinstance(value, dict):
        raise InvalidSetting(f"{prefix}{name}", "is not a mapping")
    return value


def flag(spec: Mapping[str, Any], name: str, prefix: str) -> bool:
    value = spec.get(name, False)
    if not isinstance(value, bool):
        raise InvalidSetting(f"{prefix}{name}", "is neither true nor false")
    return value


def strings(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InvalidSetting(where, "is not a list of names")
    return tuple(dict.fromkeys(value))


def field_names(spec: Mapping[str, Any], setting: str, fields: Columns) -> tuple[str, ...]:
    found = strings(spec.get(setting, []), setting)
    for name in found:
        if name not in fields:
            raise InvalidSetting(setting, f"names no field: {name!r}")
    return found


def word(value: Any, where: str) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise InvalidSetting(where, f"{value!r} is not a name (lower case, digits, _; at most 63 characters)")
    return value


def number_field(value: Any, where: str, fields: Columns) -> str:
    if not isinstance(value, str) or value not in fields or not fields[value].is_number:
        raise InvalidSetting(where, f"names no number field: {value!r}")
    return value


def field_name(
    spec: Mapping[str, Any],
    setting: str,
    fields: Columns,
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
        raise InvalidSetting(f"{prefix}{setting}", f"names no {' or '.join(kinds)} field: {name!r}")
    if always and not fields[name].required:
        raise InvalidSetting(f"{prefix}{setting}", f"{name} is not required, so a row may have none")
    return name
