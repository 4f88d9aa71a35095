"""Fields of a dataset: their types and rules, as its YAML gives them."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sluice_pipeline.catalog.errors import CatalogError
from sluice_pipeline.catalog.field_checks import CHECK_SETTINGS, NO_CHECKS, FieldChecks, parse_field_checks

TYPES: Final = ("string", "int64", "float64", "bool", "date", "timestamp", "json")
DECIMAL: Final = re.compile(r"decimal\((\d{1,2}),\s*(\d{1,2})\)")
NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
FIELD_SETTINGS: Final = CHECK_SETTINGS | {
    "type", "required", "min", "max", "allowed", "unit", "format", "description",
}  # fmt: skip
UNITS: Final = ("s", "ms", "us", "ns")
RFC_3339: Final = "rfc3339"  # may stand among a timestamp's formats
_DECIMAL_DIGITS: Final = 38  # of Arrow's decimal128
_LISTABLE: Final[dict[str, type]] = {"string": str, "int64": int}


@dataclass(frozen=True, slots=True)
class Field:
    """One column; ``minimum`` and ``maximum`` are inclusive, ``allowed`` lists the only values it may hold.

    ``unit``: the unit of a timestamp's numbers, which count from 1970. ``format``: the formats of a timestamp's or
    date's text (Python's strptime), tried in order; empty for RFC 3339. ``checks``: its other rules.
    """

    name: str
    type: str
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[Any, ...] = ()
    unit: str = ""
    format: tuple[str, ...] = ()
    checks: FieldChecks = NO_CHECKS

    @property
    def names(self) -> tuple[str, ...]:
        """Under which names files may hold it, its own first."""
        return (self.name, *self.checks.aliases)

    @property
    def decimal(self) -> tuple[int, int] | None:
        """Precision and scale of a decimal field, None for the other types."""
        return _decimal_digits(self.type)

    @property
    def is_number(self) -> bool:
        return self.type in ("int64", "float64") or self.decimal is not None


def parse_field(column: Any, spec: Any, file: str) -> Field:
    """Reads ``{type: int64, required: true, min: 1}``.

    Raises:
        CatalogError: a setting is unknown, of a wrong type, or contradicts the field's type.
    """
    name = parse_name(column, file, f"fields.{column}")
    where = f"fields.{name}"
    if not isinstance(spec, dict):
        raise CatalogError(file, where, "is not a mapping such as {type: string}")
    refuse_unknown(spec, FIELD_SETTINGS, file, f"{where}.")
    kind = str(spec.get("type"))
    if kind not in TYPES and not _is_decimal(kind):
        raise CatalogError(file, f"{where}.type", f"{kind!r} is none of {', '.join(TYPES)}, decimal(p,s)")
    if not isinstance(spec.get("required", False), bool):
        raise CatalogError(file, f"{where}.required", "is neither true nor false")
    low, high = (_bound(spec, bound, kind, file, where) for bound in ("min", "max"))
    if low is not None and high is not None and low > high:
        raise CatalogError(file, f"{where}.min", f"{low} is greater than max {high}")
    return Field(
        name,
        kind,
        spec.get("required", False),
        low,
        high,
        _allowed(spec, kind, file, where),
        _unit(spec, kind, file, where),
        _formats(spec, kind, file, where),
        parse_field_checks(spec, kind, _decimal_digits(kind), file, where),
    )


def parse_name(value: Any, file: str, where: str) -> str:
    """Raises CatalogError when the value is not a name."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise CatalogError(file, where, f"{value!r} is not a name (lower case, digits, _; at most 63 characters)")
    return value


def refuse_unknown(raw: Mapping[Any, Any], known: Collection[str], file: str, prefix: str = "") -> None:
    """Raises CatalogError for a setting that nothing reads."""
    for name in raw:
        if name not in known:
            raise CatalogError(file, f"{prefix}{name}", f"is unknown; known are {', '.join(sorted(known))}")


def _decimal_digits(kind: str) -> tuple[int, int] | None:
    match = DECIMAL.fullmatch(kind)
    return (int(match[1]), int(match[2])) if match else None


def _is_decimal(kind: str) -> bool:
    match = DECIMAL.fullmatch(kind)
    return match is not None and 0 < int(match[1]) <= _DECIMAL_DIGITS and int(match[2]) <= int(match[1])


def _bound(spec: Mapping[str, Any], bound: str, kind: str, file: str, where: str) -> float | None:
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


def _allowed(spec: Mapping[str, Any], kind: str, file: str, where: str) -> tuple[Any, ...]:
    allowed = spec.get("allowed", [])
    expected = _LISTABLE.get(kind)
    if not isinstance(allowed, list) or (allowed and expected is None):
        raise CatalogError(file, f"{where}.allowed", "is not a list of strings or integers for such a field")
    for value in allowed:
        if expected is None or not isinstance(value, expected) or isinstance(value, bool):
            raise CatalogError(file, f"{where}.allowed", f"{value!r} is not a {kind}")
    return tuple(allowed)


def _unit(spec: Mapping[str, Any], kind: str, file: str, where: str) -> str:
    unit = spec.get("unit", "")
    if "unit" in spec and (kind != "timestamp" or unit not in UNITS):
        raise CatalogError(file, f"{where}.unit", f"{unit!r} is none of {', '.join(UNITS)} for a timestamp")
    return str(unit)


def _formats(spec: Mapping[str, Any], kind: str, file: str, where: str) -> tuple[str, ...]:
    if "format" not in spec:
        return ()
    given = spec["format"]
    formats = [given] if isinstance(given, str) else given
    if kind not in ("timestamp", "date"):
        raise CatalogError(file, f"{where}.format", f"a {kind} has no format")
    if not isinstance(formats, list) or not formats or not all(isinstance(one, str) for one in formats):
        raise CatalogError(file, f"{where}.format", "is neither a format nor a list of formats")
    for one in formats:
        if not (one == RFC_3339 and kind == "timestamp") and not _has_a_day(one):
            raise CatalogError(
                file, f"{where}.format", f"{one!r} gives no date: it needs directives such as %d, %m, %Y"
            )
    return tuple(formats)


def _has_a_day(format_: str) -> bool:
    """Whether a text in this format names a day, as strptime understands it."""
    probe = datetime(2021, 11, 27, 23, 58, 59, tzinfo=UTC)
    try:
        return datetime.strptime(probe.strftime(format_), format_).date() == probe.date()
    except (ValueError, re.error):
        return False
