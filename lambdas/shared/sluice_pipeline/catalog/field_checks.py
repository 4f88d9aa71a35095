"""Checks of a field's value beyond its type and range: ``pattern``, ``length``, ``multiple_of``; and its ``aliases``.

The names are those of JSON Schema where it has one. docs/rows.md says what each means.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from sluice_pipeline.catalog.errors import CatalogError

CHECK_SETTINGS: Final = frozenset({"aliases", "pattern", "length", "multiple_of", "unique"})
PATTERN_CHARACTERS: Final = 500
NAME_CHARACTERS: Final = 255  # of another name, which may be any text
_UNEQUAL: Final = ("float64", "json")  # no two values of these types are equal for certain


@dataclass(frozen=True, slots=True)
class Length:
    """How many characters (Unicode code points) a text has, bounds included; ``maximum`` None: no bound."""

    minimum: int = 0
    maximum: int | None = None

    def __str__(self) -> str:
        if self.minimum == self.maximum:
            return f"{self.minimum} characters"
        if self.maximum is None:
            return f"at least {self.minimum} characters"
        return f"{self.minimum} to {self.maximum} characters" if self.minimum else f"at most {self.maximum} characters"


@dataclass(frozen=True, slots=True)
class FieldChecks:
    """``pattern``: a regular expression (RE2) for the whole text. ``multiple_of`` is exact.

    ``aliases``: other names of the field in files. ``unique``: no two rows of an object share the value.
    """

    aliases: tuple[str, ...] = ()
    pattern: str = ""
    length: Length | None = None
    multiple_of: Decimal | None = None
    unique: bool = False


NO_CHECKS: Final = FieldChecks()


def parse_field_checks(
    spec: Mapping[str, Any], kind: str, decimal: tuple[int, int] | None, file: str, where: str
) -> FieldChecks:
    """Reads these settings of a field of type ``kind``.

    Raises:
        CatalogError: one is of a wrong type, or is none for such a field.
    """
    if CHECK_SETTINGS.isdisjoint(spec):
        return NO_CHECKS
    return FieldChecks(
        aliases=_aliases(spec.get("aliases", []), file, f"{where}.aliases"),
        pattern=_pattern(spec.get("pattern", ""), kind, file, f"{where}.pattern") if "pattern" in spec else "",
        length=_length(spec["length"], kind, file, f"{where}.length") if "length" in spec else None,
        multiple_of=_multiple_of(spec["multiple_of"], kind, decimal, file, f"{where}.multiple_of")
        if "multiple_of" in spec
        else None,
        unique=_unique(spec.get("unique", False), kind, file, f"{where}.unique"),
    )


def whole_text(pattern: str) -> str:
    """A regular expression that matches the texts that ``pattern`` matches from begin to end."""
    return rf"\A(?:{pattern})\z"


def require_comparable(kind: str, file: str, where: str) -> None:
    """Raises CatalogError for a type whose values cannot be told apart for certain."""
    if kind in _UNEQUAL:
        raise CatalogError(file, where, f"a {kind} is not compared for equality; use a decimal(p,s), int64 or string")


def can_be_named(column: str) -> bool:
    """Whether a column of a file can be an alias of a field."""
    return 0 < len(column) <= NAME_CHARACTERS and "\0" not in column


def _aliases(value: Any, file: str, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise CatalogError(file, where, "is not a list of names, such as [orderId]")
    for one in value:
        if not can_be_named(one):
            raise CatalogError(file, where, f"{one[:50]!r} is not a name of 1 to {NAME_CHARACTERS} characters")
    return tuple(value)


def _pattern(value: Any, kind: str, file: str, where: str) -> str:
    if kind != "string":
        raise CatalogError(file, where, f"a {kind} has no pattern")
    if not isinstance(value, str) or not 0 < len(value) <= PATTERN_CHARACTERS:
        raise CatalogError(file, where, f"is not a regular expression of 1 to {PATTERN_CHARACTERS} characters")
    return value


def _length(value: Any, kind: str, file: str, where: str) -> Length:
    if kind != "string":
        raise CatalogError(file, where, f"a {kind} has no length")
    bounds = {"min": value, "max": value} if isinstance(value, int) else value
    if not isinstance(bounds, dict) or not bounds or not bounds.keys() <= {"min", "max"}:
        raise CatalogError(file, where, f"{value!r} is neither a number nor a mapping such as {{min: 1, max: 20}}")
    for one in bounds.values():
        if isinstance(one, bool) or not isinstance(one, int) or one < 0:
            raise CatalogError(file, where, f"{one!r} is not a whole number of at least 0")
    found = Length(bounds.get("min", 0), bounds.get("max"))
    if found.maximum is not None and found.minimum > found.maximum:
        raise CatalogError(file, where, f"min {found.minimum} is greater than max {found.maximum}")
    return found


def _multiple_of(value: Any, kind: str, decimal: tuple[int, int] | None, file: str, where: str) -> Decimal:
    if kind == "float64":
        raise CatalogError(file, where, "a float64 holds no exact decimals; use a decimal(p,s)")
    if kind != "int64" and decimal is None:
        raise CatalogError(file, where, f"a {kind} has no multiples")
    # YAML makes a float of 0.05, whose shortest text is the number that was meant
    number = None if isinstance(value, bool) or not isinstance(value, int | float) else Decimal(repr(value))
    if number is None or not number.is_finite() or number <= 0:
        raise CatalogError(file, where, f"{value!r} is not a number greater than 0")
    number = number.normalize()
    scale = decimal[1] if decimal else 0
    if -int(number.as_tuple().exponent) > scale:
        raise CatalogError(file, where, f"{value} has more decimals than the {kind}")
    if kind == "int64" and number >= 2**63:
        raise CatalogError(file, where, f"{value} is beyond an int64")
    return number


def _unique(value: Any, kind: str, file: str, where: str) -> bool:
    if not isinstance(value, bool):
        raise CatalogError(file, where, "is neither true nor false")
    if value:
        require_comparable(kind, file, where)
    return value
