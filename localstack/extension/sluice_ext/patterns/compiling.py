"""From the text of a pattern to its tests.

A pattern becomes alternatives (one for each way through its ``$or``); each alternative has the fields it needs, named
by their path with dots, as AWS names them: ``{"a.b": [1]}`` and ``{"a": {"b": [1]}}`` are one pattern.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

from sluice_ext.patterns.dialects import EVENTBRIDGE, Dialect
from sluice_ext.patterns.operators import Test, test_of
from sluice_ext.patterns.values import InvalidPattern, Number, loads, normalised

# Names that make an $or an ordinary field (the reserved words of the language).
_RESERVED = frozenset(
    {"exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists", "wildcard", "numeric", "cidr"}
    | {"=", "<", "<=", ">", ">=", "regex"}
)


@dataclass(frozen=True, slots=True)
class Field:
    """What is wanted of one field: one of these values, or a test that holds, or that it is not there."""

    exact: frozenset[Any]
    tests: tuple[Test, ...]
    absent: bool

    def wants(self, value: Any) -> bool:
        """Whether one value of the field will do."""
        return (type(value), value) in self.exact or any(test(value) for test in self.tests)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern: alternatives, and the paths on the way to any of their fields."""

    alternatives: tuple[Mapping[str, Field], ...]
    paths: frozenset[str]


@lru_cache(maxsize=1024)
def compile_pattern(text: str, dialect: Dialect = EVENTBRIDGE) -> Pattern:
    """The pattern of a JSON text. Raises InvalidPattern with AWS's reason."""
    try:
        found = loads(text)
    except (ValueError, RecursionError):
        raise InvalidPattern("Filter is not valid JSON") from None
    if not isinstance(found, dict):
        raise InvalidPattern("Filter is not an object")
    return pattern_of(found, dialect)


def pattern_of(found: Mapping[str, Any], dialect: Dialect) -> Pattern:
    """The same from the document."""
    alternatives = tuple(_object(found, "", [{}], dialect))
    wanted = {path for alternative in alternatives for path in alternative}
    return Pattern(alternatives, frozenset(chain.from_iterable(map(_ways, wanted))))


def canonical(document: Any) -> str:
    """A document of Python's numbers as a text for `compile_pattern`."""
    return json.dumps(document)


def _ways(path: str) -> Iterable[str]:
    parts = path.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts) + 1))


def _object(
    found: Mapping[str, Any], path: str, so_far: list[dict[str, Field]], dialect: Dialect
) -> list[dict[str, Field]]:
    """The alternatives, each with the fields of this object too."""
    if not found:
        raise InvalidPattern("Empty objects are not allowed")
    for name, value in found.items():
        below = f"{path}.{name}" if path else name
        if name == "$or" and _is_or(value):
            so_far = [made for one in value for made in _object(one, path, so_far, dialect)]
            if len(so_far) > dialect.combinations:
                raise InvalidPattern(f"An $or makes more than {dialect.combinations} combinations")
        elif isinstance(value, dict):
            so_far = _object(value, below, so_far, dialect)
        elif isinstance(value, list):
            field = field_of(value, dialect)
            so_far = [{**alternative, below: field} for alternative in so_far]
        else:
            raise InvalidPattern(f'"{name}" must be an object or an array')
    return so_far


def _is_or(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 1
        and all(isinstance(one, dict) and not _RESERVED & one.keys() for one in value)
    )


def field_of(listed: list[Any], dialect: Dialect) -> Field:
    """What the array of a field says. Raises InvalidPattern."""
    if not listed:
        raise InvalidPattern("Empty arrays are not allowed")
    exact: set[Any] = set()
    tests: list[Test] = []
    absent = False
    for raw in listed:
        one = normalised(raw)
        if one is None or isinstance(one, (str, bool, Number)):
            exact.add((type(one), one))
            continue
        if not isinstance(one, dict):
            raise InvalidPattern("Match value must be String, number, true, false, or null")
        if len(one) != 1:
            raise InvalidPattern(
                "Only one key allowed in match expression" if one else "Match expression name not found"
            )
        ((name, value),) = one.items()
        if name != "exists":
            tests.append(test_of(name, value, dialect))
        elif not isinstance(value, bool):
            raise InvalidPattern("exists match pattern must be either true or false.")
        elif value:
            tests.append(lambda _value: True)
        else:
            absent = True
    return Field(frozenset(exact), tuple(tests), absent)
