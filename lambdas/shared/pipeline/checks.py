"""Checks that a branch makes on rows that silver has taken: what its section of the dataset's YAML says.

A field's own rules (catalog) decide whether a row is one; these decide what is noticed about it. ``feedback`` calls
them anomalies, ``checkin`` tests; a check is of one kind.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_OF_A_FIELD: Final = ("min", "max", "not_empty", "allowed", "pattern")
_OF_ALL_ROWS: Final = ("unique", "least_rows")
_OF_TIME: Final = ("burst", "within_seconds")
_NUMBERS: Final = ("int64", "float64")
ANOMALIES: Final = frozenset(("field", *_OF_A_FIELD, *_OF_TIME))
TESTS: Final = frozenset(("field", "hard", *_OF_A_FIELD, *_OF_ALL_ROWS))


class BadCheck(ValueError):
    """A section makes no sense: which setting of it, and why."""

    def __init__(self, setting: str, reason: str) -> None:
        super().__init__(f"{setting}: {reason}")
        self.setting = setting
        self.reason = reason


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
    least_rows: int = 0
    burst: int = 0
    within_seconds: int = 0
    hard: bool = False

    def refuses(self, row: Mapping[str, Any]) -> bool:
        """Whether this row, looked at alone, breaks the check. What is absent breaks ``not_empty`` and nothing else."""
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
class Section:
    """A branch's section of a dataset: the field that names the person a row is about, and the checks."""

    person: str
    checks: tuple[Check, ...]


def parse_section(raw: Any, person: str, checks: str, kinds: frozenset[str], fields: Mapping[str, str]) -> Section:
    """Reads ``{<person>: <field>, <checks>: {<name>: {...}}}``; ``fields`` are the required and other ones, by type.

    Raises:
        BadCheck: something is unknown, missing or contradicts the fields.
    """
    if not isinstance(raw, dict):
        raise BadCheck("", "is not a mapping")
    for name in raw:
        if name not in (person, checks):
            raise BadCheck(str(name), f"is unknown; known are {person}, {checks}")
    if fields.get(str(raw.get(person))) != "string":
        raise BadCheck(person, f"names no string field: {raw.get(person)!r}")
    found = raw.get(checks, {})
    if not isinstance(found, dict):
        raise BadCheck(checks, "is not a mapping of names to checks")
    return Section(
        str(raw[person]), tuple(_check(name, spec, f"{checks}.{name}", kinds, fields) for name, spec in found.items())
    )


def _check(name: Any, spec: Any, where: str, kinds: frozenset[str], fields: Mapping[str, str]) -> Check:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadCheck(where, f"{name!r} is not a name (lower case, digits, _; at most 63 characters)")
    if not isinstance(spec, dict) or not all(isinstance(setting, str) for setting in spec):
        raise BadCheck(where, "is not a mapping such as {field: rating, min: 1}")
    for setting in spec:
        if setting not in kinds:
            raise BadCheck(f"{where}.{setting}", f"is unknown; known are {', '.join(sorted(kinds))}")
    column = spec.get("field", "")
    own = [setting for setting in _OF_A_FIELD if setting in spec]
    others = [setting for setting in (*_OF_ALL_ROWS, *_OF_TIME) if setting in spec]
    if bool(column) != bool(own) or bool(own) == bool(others):
        raise BadCheck(where, "checks either one field (field: with min, max, not_empty, ...) or all rows")
    if len(set(others) & set(_OF_ALL_ROWS)) > 1:
        raise BadCheck(where, f"is two checks: {' and '.join(others)}")
    if column:
        _against_field(spec, where, str(column), fields)
    return Check(
        name=name,
        field=str(column),
        minimum=spec.get("min"),
        maximum=spec.get("max"),
        not_empty=_typed(spec, "not_empty", bool, where, False),
        allowed=tuple(_typed(spec, "allowed", list, where, [])),
        pattern=_typed(spec, "pattern", str, where, ""),
        unique=_columns(spec, where, fields),
        least_rows=_count(spec, "least_rows", where),
        burst=_count(spec, "burst", where, needs="within_seconds"),
        within_seconds=_count(spec, "within_seconds", where, needs="burst"),
        hard=_typed(spec, "hard", bool, where, False),
    )


def _against_field(spec: Mapping[str, Any], where: str, column: str, fields: Mapping[str, str]) -> None:
    kind = fields.get(column)
    if kind is None:
        raise BadCheck(f"{where}.field", f"names no field: {column!r}")
    number = kind in _NUMBERS or kind.startswith("decimal")
    for bound in ("min", "max"):
        value = spec.get(bound, 0)
        if bound in spec and (not number or isinstance(value, bool) or not isinstance(value, int | float)):
            raise BadCheck(f"{where}.{bound}", f"{value!r} is no bound of a {kind}")
    if spec.get("min", float("-inf")) > spec.get("max", float("inf")):
        raise BadCheck(f"{where}.min", f"{spec['min']} is greater than max {spec['max']}")
    if "pattern" in spec and kind != "string":
        raise BadCheck(f"{where}.pattern", f"a {kind} has no pattern")
    try:
        re.compile(str(spec.get("pattern", "")))
    except re.error as error:
        raise BadCheck(f"{where}.pattern", f"is no regular expression: {error}") from error
    for value in _typed(spec, "allowed", list, where, []):
        if not isinstance(value, {"string": str, "int64": int}.get(kind, ())) or isinstance(value, bool):
            raise BadCheck(f"{where}.allowed", f"{value!r} is not a {kind}")


def _typed[T](spec: Mapping[str, Any], setting: str, kind: type[T], where: str, default: T) -> T:
    value = spec.get(setting, default)
    if not isinstance(value, kind):
        raise BadCheck(f"{where}.{setting}", f"{value!r} is not a {kind.__name__}")
    return value


def _count(spec: Mapping[str, Any], setting: str, where: str, needs: str = "") -> int:
    if setting not in spec:
        return 0
    value = spec[setting]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadCheck(f"{where}.{setting}", f"{value!r} is not a whole number of at least 1")
    if needs and needs not in spec:
        raise BadCheck(f"{where}.{setting}", f"needs {needs}")
    return value


def _columns(spec: Mapping[str, Any], where: str, fields: Mapping[str, str]) -> tuple[str, ...]:
    names: Iterable[Any] = _typed(spec, "unique", list, where, [])
    if "unique" in spec and not names:
        raise BadCheck(f"{where}.unique", "names no field")
    for name in names:
        if name not in fields:
            raise BadCheck(f"{where}.unique", f"names no field: {name!r}")
    return tuple(names)
