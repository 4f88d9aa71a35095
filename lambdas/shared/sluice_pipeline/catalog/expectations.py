"""Expectations of a dataset's rows in one object: what the section ``quality`` of its YAML says.

A field's own rules decide about a row, an expectation about all rows of an object together. They are named after those
of Great Expectations: https://greatexpectations.io/expectations/
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from sluice_pipeline.catalog.checks import Check
from sluice_pipeline.catalog.conditions import BadCondition, Condition, parse_condition
from sluice_pipeline.catalog.datasets import Dataset
from sluice_pipeline.catalog.errors import CatalogError, InvalidSetting
from sluice_pipeline.catalog.field_checks import require_comparable
from sluice_pipeline.catalog.fields import NAME, Field

SECTION: Final = "quality"
EXPECTATIONS: Final = "expectations"
MAX_EXPECTATIONS: Final = 100
MAX_HOURS: Final = 1_000_000
_INT64: Final = (-(2**63), 2**63 - 1)


class Kind(StrEnum):
    """What an expectation is about; the value is its type in a verdict."""

    ROW_COUNT = "expect_table_row_count_to_be_between"
    NOT_NULL = "expect_column_values_to_not_be_null"
    UNIQUE = "expect_column_values_to_be_unique"
    UNIQUE_TOGETHER = "expect_compound_columns_to_be_unique"
    RANGE = "expect_column_values_to_be_between"
    SET = "expect_column_values_to_be_in_set"
    PATTERN = "expect_column_values_to_match_regex"
    FRESH = "expect_column_max_to_be_between"
    CONDITION = "expect_row_condition_to_be_true"


WHOLE: Final = frozenset({Kind.ROW_COUNT, Kind.FRESH})
"""Kinds about all rows together, of which no single row fails."""
_UNIQUE: Final = (Kind.UNIQUE, Kind.UNIQUE_TOGETHER)

# The settings that make an expectation, and which of them need the setting ``field``.
_OF_FIELD: Final = {
    "not_null": Kind.NOT_NULL,
    "min": Kind.RANGE,
    "max": Kind.RANGE,
    "allowed": Kind.SET,
    "pattern": Kind.PATTERN,
    "within_hours": Kind.FRESH,
}
_OF_ROWS: Final = {
    "min_rows": Kind.ROW_COUNT,
    "max_rows": Kind.ROW_COUNT,
    "unique": Kind.UNIQUE,
    "condition": Kind.CONDITION,
}
SETTINGS: Final = ("field", *_OF_FIELD, *_OF_ROWS, "mostly", "hard")


@dataclass(frozen=True, slots=True)
class Expectation:
    """``fields``: those that it reads. ``minimum`` and ``maximum`` are inclusive, of the field's type or of the rows.

    ``mostly``: the least part of the judged rows that has to fulfil it. ``hours``: how much older than the object's
    arrival the newest value may be. ``hard``: whether the object is withheld when it does not hold.
    """

    name: str
    kind: Kind
    fields: tuple[str, ...] = ()
    hard: bool = False
    mostly: float = 1.0
    minimum: int | float | Decimal | None = None
    maximum: int | float | Decimal | None = None
    allowed: tuple[Any, ...] = ()
    pattern: str = ""
    hours: float = 0.0
    condition: Condition | None = None

    def holds(self, judged: int, failed: int) -> bool:
        """Whether so many failed rows of so many judged ones are few enough; not for the kinds in WHOLE."""
        # The quotient that Great Expectations compares, so that both engines round alike.
        return not judged or (judged - failed) / judged >= self.mostly

    def holds_count(self, rows: int) -> bool:
        """Whether an object may have so many rows of the dataset."""
        low, high = self.minimum, self.maximum
        return (low is None or rows >= low) and (high is None or rows <= high)

    def oldest(self, arrived: datetime) -> datetime:
        """The oldest time that the newest value may have."""
        return arrived - timedelta(hours=self.hours)

    @property
    def check(self) -> Check | None:
        """The same as a check of rows; None when no check says it."""
        if self.mostly < 1 or self.kind in (Kind.FRESH, Kind.CONDITION) or isinstance(self.minimum, Decimal):
            return None
        if self.kind == Kind.ROW_COUNT:
            return None if self.maximum is not None else Check(self.name, min_rows=int(self.minimum or 0), hard=True)
        if self.kind in _UNIQUE:
            return Check(self.name, unique=self.fields, hard=self.hard)
        if isinstance(self.maximum, Decimal):
            return None
        return Check(
            self.name,
            self.fields[0],
            minimum=self.minimum,
            maximum=self.maximum,
            not_empty=self.kind == Kind.NOT_NULL,
            allowed=self.allowed,
            pattern=self.pattern,
            hard=self.hard,
        )


def expectations_of(dataset: Dataset) -> tuple[Expectation, ...]:
    """What the dataset's section says, nothing when it has none. Raises InvalidSetting."""
    return parse_expectations(dataset.sections[SECTION], dataset) if SECTION in dataset.sections else ()


def parse_expectations(raw: Any, dataset: Dataset) -> tuple[Expectation, ...]:
    """Reads ``{expectations: {<name>: {field: rating, min: 1, hard: true}}}``; sorted by their names.

    Raises:
        InvalidSetting: something is unknown, missing or contradicts the fields.
    """
    if not isinstance(raw, dict):
        raise InvalidSetting("", "is not a mapping")
    for name in raw:
        if name != EXPECTATIONS:
            raise InvalidSetting(str(name), f"is unknown; known is {EXPECTATIONS}")
    found = raw.get(EXPECTATIONS)
    if not isinstance(found, dict) or not 0 < len(found) <= MAX_EXPECTATIONS:
        raise InvalidSetting(EXPECTATIONS, f"is not a mapping of 1 to {MAX_EXPECTATIONS} names to expectations")
    return tuple(_Reader(name, spec, dataset).expectation() for name, spec in sorted(found.items(), key=str))


class _Reader:
    def __init__(self, name: Any, spec: Any, dataset: Dataset) -> None:
        self._where = f"{EXPECTATIONS}.{name}"
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise InvalidSetting(self._where, f"{name!r} is not a name (lower case, digits, _; at most 63 characters)")
        if not isinstance(spec, dict):
            raise InvalidSetting(self._where, "is not a mapping such as {field: rating, min: 1, hard: true}")
        for setting in spec:
            if setting not in SETTINGS:
                raise self._wrong(str(setting), f"is unknown; known are {', '.join(sorted(SETTINGS))}")
        self._name = name
        self._spec: Mapping[str, Any] = spec
        self._columns = dataset.columns

    def expectation(self) -> Expectation:
        kind = self._kind()
        read: dict[Kind, Callable[[], dict[str, Any]]] = {
            Kind.ROW_COUNT: self._row_count,
            Kind.NOT_NULL: self._not_null,
            Kind.UNIQUE: self._unique,
            Kind.RANGE: self._range,
            Kind.SET: self._set,
            Kind.PATTERN: self._pattern,
            Kind.FRESH: self._fresh,
            Kind.CONDITION: self._condition,
        }
        own = {"kind": kind} | read[kind]()
        return Expectation(self._name, hard=self._typed("hard", bool, False), mostly=self._mostly(kind), **own)

    def _wrong(self, setting: str, reason: str) -> InvalidSetting:
        return InvalidSetting(f"{self._where}.{setting}".rstrip("."), reason)

    def _kind(self) -> Kind:
        kinds = {(_OF_FIELD | _OF_ROWS)[name]: name for name in self._spec if name in _OF_FIELD or name in _OF_ROWS}
        if len(kinds) != 1:
            what = f"is several: {', '.join(kinds.values())}" if kinds else "expects nothing"
            raise self._wrong("", f"{what}; an expectation has one of {', '.join((*_OF_FIELD, *_OF_ROWS))}")
        (setting,) = kinds.values()
        if (setting in _OF_FIELD) != ("field" in self._spec):
            raise self._wrong("field", f"{'is missing: ' if setting in _OF_FIELD else 'is none of '}{setting}")
        return next(iter(kinds))

    def _field(self) -> Field:
        return self._named(self._spec["field"], "field")

    def _named(self, name: Any, setting: str) -> Field:
        if not isinstance(name, str) or name not in self._columns:
            raise self._wrong(setting, f"names no field: {name!r}")
        return self._columns[name]

    def _typed[T](self, setting: str, kind: type[T], default: T) -> T:
        value = self._spec.get(setting, default)
        if not isinstance(value, kind):
            raise self._wrong(setting, f"{value!r} is not a {kind.__name__}")
        return value

    def _mostly(self, kind: Kind) -> float:
        if "mostly" not in self._spec:
            return 1.0
        value = self._spec["mostly"]
        if kind in WHOLE:
            raise self._wrong("mostly", "is of single rows, and this is about all of them")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise self._wrong("mostly", f"{value!r} is not a part between 0 and 1")
        return float(value)

    def _row_count(self) -> dict[str, Any]:
        low, high = (self._count(setting) for setting in ("min_rows", "max_rows"))
        if low is not None and high is not None and low > high:
            raise self._wrong("min_rows", f"{low} is greater than max_rows {high}")
        return {"minimum": low, "maximum": high}

    def _count(self, setting: str) -> int | None:
        value = self._spec.get(setting)
        if setting in self._spec and (type(value) is not int or not 0 <= value < 2**53):
            raise self._wrong(setting, f"{value!r} is not a whole number of at least 0")
        return value

    def _not_null(self) -> dict[str, Any]:
        if self._spec["not_null"] is not True:
            raise self._wrong("not_null", f"{self._spec['not_null']!r} is not true")
        return {"fields": (self._field().name,)}

    def _unique(self) -> dict[str, Any]:
        raw = self._spec["unique"]
        if not isinstance(raw, list) or not raw:
            raise self._wrong("unique", "is not a list of fields, such as [order_id, line]")
        fields = [self._named(name, "unique") for name in raw]
        names = tuple(field.name for field in fields)
        if len(set(names)) != len(names):
            raise self._wrong("unique", "names a field twice")
        for field in fields:
            try:
                require_comparable(field.type, "", field.name)
            except CatalogError as error:
                raise self._wrong("unique", f"{field.name}: {error.reason}") from error
        return {"fields": names, "kind": Kind.UNIQUE if len(names) == 1 else Kind.UNIQUE_TOGETHER}

    def _range(self) -> dict[str, Any]:
        field = self._field()
        low, high = (self._bound(setting, field) for setting in ("min", "max"))
        if low is not None and high is not None and low > high:
            raise self._wrong("min", f"{low} is greater than max {high}")
        return {"fields": (field.name,), "minimum": low, "maximum": high}

    def _bound(self, setting: str, field: Field) -> int | float | Decimal | None:
        if setting not in self._spec:
            return None
        value = self._spec[setting]
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not field.is_number or not is_number or not math.isfinite(value):
            raise self._wrong(setting, f"{value!r} is no bound of a {field.type}")
        if field.type == "int64":
            if not isinstance(value, int) or not _INT64[0] <= value <= _INT64[1]:
                raise self._wrong(setting, f"{value!r} is not an int64")
            return value
        if field.decimal:
            bound = Decimal(str(value))
            if bound and not -38 <= bound.adjusted() < 38:
                raise self._wrong(setting, f"{value!r} is beyond every decimal")
            return bound
        return float(value)

    def _set(self) -> dict[str, Any]:
        field, values = self._field(), self._spec["allowed"]
        listable: dict[str, type] = {"string": str, "int64": int}
        kind = listable.get(field.type)
        if kind is None:
            raise self._wrong("allowed", f"a {field.type} has no list of values; a string or an int64 has")
        if not isinstance(values, list) or not values:
            raise self._wrong("allowed", "is not a list of values")
        for value in values:
            if type(value) is not kind or (isinstance(value, int) and not _INT64[0] <= value <= _INT64[1]):
                raise self._wrong("allowed", f"{value!r} is not a {field.type}")
        return {"fields": (field.name,), "allowed": tuple(values)}

    def _pattern(self) -> dict[str, Any]:
        field, pattern = self._field(), self._typed("pattern", str, "")
        if field.type != "string":
            raise self._wrong("pattern", f"a {field.type} has no pattern")
        try:
            for expression in (pattern, whole(pattern)):
                re.compile(expression)
        except (re.error, RecursionError, OverflowError) as error:
            raise self._wrong("pattern", f"is no regular expression: {error}") from error
        return {"fields": (field.name,), "pattern": pattern}

    def _fresh(self) -> dict[str, Any]:
        field, hours = self._field(), self._spec["within_hours"]
        if field.type not in ("timestamp", "date"):
            raise self._wrong("within_hours", f"{field.name} is a {field.type}, no timestamp or date")
        if isinstance(hours, bool) or not isinstance(hours, int | float) or not 0 < hours <= MAX_HOURS:
            raise self._wrong("within_hours", f"{hours!r} is not a number of hours, above 0 and at most {MAX_HOURS}")
        return {"fields": (field.name,), "hours": float(hours)}

    def _condition(self) -> dict[str, Any]:
        try:
            condition = parse_condition(self._spec["condition"], self._columns)
        except BadCondition as bad:
            raise self._wrong("condition", str(bad)) from bad
        return {"fields": condition.fields, "condition": condition}


def whole(pattern: str) -> str:
    """A regular expression (Python's) that matches the texts that ``pattern`` matches from begin to end."""
    return rf"\A(?:{pattern})\Z"


def as_time(value: datetime | date | None) -> datetime | None:
    """A value of a timestamp or date field as a time; a date is its begin in UTC."""
    if value is None or isinstance(value, datetime):
        return value
    return datetime(value.year, value.month, value.day, tzinfo=UTC)
