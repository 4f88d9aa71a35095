"""Checks that a branch makes on rows of silver, as its section of the dataset's YAML gives them.

A field's own rules decide whether transform writes a row to silver or to quarantine; a check decides what a branch
reports about a row of silver. A check is of one kind: it is about one field, about all rows of a file, or about time.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sluice_pipeline.catalog.datasets import Dataset
from sluice_pipeline.catalog.errors import InvalidSetting
from sluice_pipeline.catalog.fields import NAME, Field

FIELD_CHECKS: Final = ("min", "max", "not_empty", "allowed", "pattern")  # need the setting ``field``
FILE_CHECKS: Final = ("unique", "min_rows")
TIME_CHECKS: Final = ("burst", "within_seconds")
_FORMER_NAMES: Final = {"least_rows": "min_rows"}


@dataclass(frozen=True, slots=True)
class Check:
    """``minimum`` and ``maximum`` are inclusive; ``burst`` is the most rows of one person within ``within_seconds``."""

    name: str
    field: str = ""
    minimum: float | None = None
    maximum: float | None = None
    not_empty: bool = False
    allowed: tuple[Any, ...] = ()
    pattern: str = ""
    unique: tuple[str, ...] = ()
    min_rows: int = 0
    burst: int = 0
    within_seconds: int = 0
    hard: bool = False

    def is_broken_by(self, row: Mapping[str, Any]) -> bool:
        """Whether this row alone breaks the check. A missing value breaks ``not_empty`` and no other check."""
        if not self.field:
            return False
        value = row.get(self.field)
        if value is None or (isinstance(value, str) and not value.strip()):
            return self.not_empty
        return (
            (self.minimum is not None and value < self.minimum)
            or (self.maximum is not None and value > self.maximum)
            or (bool(self.allowed) and value not in self.allowed)
            or (bool(self.pattern) and re.fullmatch(self.pattern, value) is None)
        )


@dataclass(frozen=True, slots=True)
class RowChecks:
    """A section of checks: the field that names the person a row is about, and the checks."""

    person: str
    checks: tuple[Check, ...]


def parse_row_checks(raw: Any, dataset: Dataset, person: str, checks: str, kinds: frozenset[str]) -> RowChecks:
    """Reads ``{<person>: <field>, <checks>: {<name>: {...}}}``; ``kinds`` are the settings that a check may have.

    Raises:
        InvalidSetting: something is unknown, missing or contradicts the fields.
    """
    if not dataset.key:
        raise InvalidSetting("", "needs a key: a row replaces the one with the same key")
    if not isinstance(raw, dict):
        raise InvalidSetting("", "is not a mapping")
    for name in raw:
        if name not in (person, checks):
            raise InvalidSetting(str(name), f"is unknown; known are {person}, {checks}")
    fields = dataset.columns
    who = fields.get(str(raw.get(person)))
    if who is None or who.type != "string":
        raise InvalidSetting(person, f"names no string field: {raw.get(person)!r}")
    found = raw.get(checks, {})
    if not isinstance(found, dict):
        raise InvalidSetting(checks, "is not a mapping of names to checks")
    parsed = tuple(_check(name, spec, f"{checks}.{name}", kinds, fields) for name, spec in found.items())
    if not who.required:
        raise InvalidSetting(person, f"{who.name} is not required, so a row may name no {person}")
    return RowChecks(who.name, parsed)


def _check(name: Any, spec: Any, where: str, kinds: frozenset[str], fields: Mapping[str, Field]) -> Check:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise InvalidSetting(where, f"{name!r} is not a name (lower case, digits, _; at most 63 characters)")
    if not isinstance(spec, dict) or not all(isinstance(setting, str) for setting in spec):
        raise InvalidSetting(where, "is not a mapping such as {field: rating, min: 1}")
    spec = {_FORMER_NAMES.get(setting, setting): value for setting, value in spec.items()}
    for setting in spec:
        if setting not in kinds:
            raise InvalidSetting(f"{where}.{setting}", f"is unknown; known are {', '.join(sorted(kinds))}")
    column = spec.get("field", "")
    own = [setting for setting in FIELD_CHECKS if setting in spec]
    others = [setting for setting in (*FILE_CHECKS, *TIME_CHECKS) if setting in spec]
    if bool(column) != bool(own) or bool(own) == bool(others):
        raise InvalidSetting(where, "checks either one field (field: with min, max, not_empty, ...) or all rows")
    if len(set(others) & set(FILE_CHECKS)) > 1:
        raise InvalidSetting(where, f"is two checks: {' and '.join(others)}")
    if column:
        _check_against_field(spec, where, str(column), fields)
    return Check(
        name=name,
        field=str(column),
        minimum=spec.get("min"),
        maximum=spec.get("max"),
        not_empty=_typed(spec, "not_empty", bool, where, False),
        allowed=tuple(_typed(spec, "allowed", list, where, [])),
        pattern=_typed(spec, "pattern", str, where, ""),
        unique=_columns(spec, where, fields),
        min_rows=_count(spec, "min_rows", where),
        burst=_count(spec, "burst", where, needs="within_seconds"),
        within_seconds=_count(spec, "within_seconds", where, needs="burst"),
        hard=_typed(spec, "hard", bool, where, False),
    )


def _check_against_field(spec: Mapping[str, Any], where: str, column: str, fields: Mapping[str, Field]) -> None:
    if column not in fields:
        raise InvalidSetting(f"{where}.field", f"names no field: {column!r}")
    kind, number = fields[column].type, fields[column].is_number
    for bound in ("min", "max"):
        value = spec.get(bound, 0)
        if bound in spec and (not number or isinstance(value, bool) or not isinstance(value, int | float)):
            raise InvalidSetting(f"{where}.{bound}", f"{value!r} is no bound of a {kind}")
    if spec.get("min", float("-inf")) > spec.get("max", float("inf")):
        raise InvalidSetting(f"{where}.min", f"{spec['min']} is greater than max {spec['max']}")
    if "pattern" in spec and kind != "string":
        raise InvalidSetting(f"{where}.pattern", f"a {kind} has no pattern")
    try:
        re.compile(str(spec.get("pattern", "")))
    except re.error as error:
        raise InvalidSetting(f"{where}.pattern", f"is no regular expression: {error}") from error
    for value in _typed(spec, "allowed", list, where, []):
        if not isinstance(value, {"string": str, "int64": int}.get(kind, ())) or isinstance(value, bool):
            raise InvalidSetting(f"{where}.allowed", f"{value!r} is not a {kind}")


def _typed[T](spec: Mapping[str, Any], setting: str, kind: type[T], where: str, default: T) -> T:
    value = spec.get(setting, default)
    if not isinstance(value, kind):
        raise InvalidSetting(f"{where}.{setting}", f"{value!r} is not a {kind.__name__}")
    return value


def _count(spec: Mapping[str, Any], setting: str, where: str, needs: str = "") -> int:
    if setting not in spec:
        return 0
    value = spec[setting]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidSetting(f"{where}.{setting}", f"{value!r} is not a whole number of at least 1")
    if needs and needs not in spec:
        raise InvalidSetting(f"{where}.{setting}", f"needs {needs}")
    return value


def _columns(spec: Mapping[str, Any], where: str, fields: Mapping[str, Field]) -> tuple[str, ...]:
    names: Iterable[Any] = _typed(spec, "unique", list, where, [])
    if "unique" in spec and not names:
        raise InvalidSetting(f"{where}.unique", "names no field")
    for name in names:
        if name not in fields:
            raise InvalidSetting(f"{where}.unique", f"names no field: {name!r}")
    return tuple(names)
