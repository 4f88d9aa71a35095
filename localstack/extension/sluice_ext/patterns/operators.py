"""The operators of a pattern: each becomes a test of one value. Raises InvalidPattern.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
"""

import ipaddress
import operator
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from sluice_ext.patterns.dialects import Dialect
from sluice_ext.patterns.values import InvalidPattern, Number

Test = Callable[[Any], bool]
_COMPARISONS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TOO_COMPLEX = (
    "Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences after a "
    "wildcard character"
)


def test_of(name: str, value: Any, dialect: Dialect) -> Test:
    """The test of ``{name: value}``; exists is not here, as it is about the field and not about its value."""
    if name not in dialect.operators:
        raise InvalidPattern(f"Unrecognized match type {name}")
    if name == "anything-but":
        return _anything_but(value, dialect)
    if name == "numeric":
        return _numeric(value, dialect)
    if name == "cidr":
        return _cidr(value)
    if name in ("prefix", "suffix") and isinstance(value, dict) and dialect.inside_affix:
        return _affix_of_any_case(name, value)
    return _text_test(name, _string(name, value), dialect)


def _string(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidPattern(f"{name} match pattern must be a string")
    return value


def _text_test(name: str, text: str, dialect: Dialect) -> Test:
    if name == "prefix":
        return lambda value: isinstance(value, str) and value.startswith(text)
    if name == "suffix":
        return lambda value: isinstance(value, str) and value.endswith(text)
    if name == "equals-ignore-case":
        folded = text.lower()
        return lambda value: isinstance(value, str) and value.lower() == folded
    expression = wildcard(text, dialect.stars)
    return lambda value: isinstance(value, str) and expression.fullmatch(value) is not None


def _affix_of_any_case(name: str, value: dict[str, Any]) -> Test:
    if len(value) != 1:
        raise InvalidPattern("Only one key allowed in match expression")
    ((inner, text),) = value.items()
    if inner != "equals-ignore-case":
        raise InvalidPattern(f"Unsupported {name} pattern: {inner}")
    folded = _string(inner, text).lower()
    if name == "prefix":
        return lambda value: isinstance(value, str) and value.lower().startswith(folded)
    return lambda value: isinstance(value, str) and value.lower().endswith(folded)


def wildcard(text: str, most_stars: int) -> re.Pattern[str]:
    r"""``*`` is any text, also none and also lines; ``\*`` is a star and ``\\`` a backslash.

    AWS counts the positions in its errors from the quotation mark before the text.
    """
    parts, stars, at = [], 0, 0
    while at < len(text):
        if text[at] == "*":
            if text[at + 1 : at + 2] == "*":
                raise InvalidPattern(f"Consecutive wildcard characters at pos {at + 1}")
            parts.append(".*")
            stars += 1
        elif text[at] == "\\":
            if text[at + 1 : at + 2] not in ("*", "\\") or at + 1 >= len(text):
                raise InvalidPattern(f"Invalid escape character at pos {at + 1}")
            at += 1
            parts.append(re.escape(text[at]))
        else:
            parts.append(re.escape(text[at]))
        at += 1
    if stars > most_stars:
        raise InvalidPattern(_TOO_COMPLEX)
    return re.compile("".join(parts), re.DOTALL)


def _anything_but(value: Any, dialect: Dialect) -> Test:
    """Any value of the field, as long as it is none of these. A list holds strings only, or numbers only."""
    if isinstance(value, dict):
        return _anything_but_text(value, dialect)
    listed = value if isinstance(value, list) else [value]
    if isinstance(value, list) and not value:
        raise InvalidPattern("Empty arrays are not allowed")
    if not all(isinstance(one, (str, Number)) for one in listed):
        if isinstance(value, list):
            raise InvalidPattern("Inside anything but list, start|null|boolean is not supported.")
        raise InvalidPattern("Value of anything-but must be an array or single string/number value.")
    texts = {one for one in listed if isinstance(one, str)}
    numbers = {one.value for one in listed if isinstance(one, Number)}
    if texts and numbers:
        raise InvalidPattern(
            "Inside anything but list, either all values are number or string, mixed type is not supported"
        )
    # A number is compared by its value here: 300 is not "anything but 300.0".
    return lambda value: value.value not in numbers if isinstance(value, Number) else value not in texts


def _anything_but_text(value: dict[str, Any], dialect: Dialect) -> Test:
    if len(value) != 1:
        raise InvalidPattern("Only one key allowed in match expression")
    ((inner, listed),) = value.items()
    if inner not in dialect.but:
        raise InvalidPattern(f"Unsupported anything-but pattern: {inner}")
    if isinstance(listed, dict):
        raise InvalidPattern("Value of anything-but must be an array or single string/number value.")
    texts = listed if isinstance(listed, list) else [listed]
    if isinstance(listed, list) and not listed:
        raise InvalidPattern("Empty arrays are not allowed")
    if not all(isinstance(text, str) for text in texts):
        raise InvalidPattern(
            {
                "equals-ignore-case": "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not "
                "supported.",
                "wildcard": "wildcard match pattern must be a string",
            }.get(inner, f"{'/'.join(sorted({'prefix', 'suffix'} & dialect.but))} match pattern must be a string")
        )
    if inner in ("prefix", "suffix") and "" in texts:
        raise InvalidPattern("Null prefix/suffix not allowed")
    tests = [_text_test(inner, text, dialect) for text in texts]
    return lambda value: not any(test(value) for test in tests)


def _numeric(value: Any, dialect: Dialect) -> Test:
    if not isinstance(value, list):
        raise InvalidPattern("Value of numeric must be an array.")
    bounds = _bounds(value, dialect)

    def test(found: Any) -> bool:
        if not isinstance(found, Number):
            return False
        worth = found.value
        return abs(worth) <= dialect.largest and all(_COMPARISONS[name](worth, bound) for name, bound in bounds)

    return test


def _bounds(listed: Sequence[Any], dialect: Dialect) -> list[tuple[str, Decimal]]:
    """One comparison, or a lower and an upper one."""
    if not listed or not isinstance(listed[0], str):
        raise InvalidPattern(f"Invalid member in numeric match: {_shown(listed[0]) if listed else ']'}")
    first = listed[0]
    if first not in _COMPARISONS:
        raise InvalidPattern(f"Unrecognized numeric range operator: {first}")
    bounds = [(first, _bound(first, listed[1:2], dialect))]
    if len(listed) == 2:
        return bounds
    if first not in (">", ">="):
        raise InvalidPattern("Too many elements in numeric expression")
    second = listed[2]
    if not isinstance(second, str):
        raise InvalidPattern(f"Bad value in numeric range: {_shown(second)}")
    if second not in ("<", "<="):
        raise InvalidPattern(f"Bad numeric range operator: {second}")
    bounds.append((second, _bound(second, listed[3:4], dialect)))
    if bounds[0][1] >= bounds[1][1]:
        raise InvalidPattern("Bottom must be less than top")
    if len(listed) > 4:
        raise InvalidPattern("Too many terms in numeric range expression")
    return bounds


def _bound(name: str, found: Sequence[Any], dialect: Dialect) -> Decimal:
    if not found or not isinstance(found[0], Number):
        raise InvalidPattern(f"Value of {'equals' if name == '=' else name} must be numeric")
    worth = found[0].value
    if abs(worth) > dialect.largest:
        raise InvalidPattern(f"Value must be between -{dialect.largest} and {dialect.largest}, inclusive")
    return worth


def _shown(value: Any) -> Any:
    return value.text if isinstance(value, Number) else value


def _cidr(value: Any) -> Test:
    if not isinstance(value, str):
        raise InvalidPattern("prefix match pattern must be a string")
    address, slash, mask = value.partition("/")
    if not slash or "/" in mask:
        raise InvalidPattern("Malformed CIDR, one '/' required")
    if not re.fullmatch(r"[+-]?[0-9]+", mask):
        raise InvalidPattern("Malformed CIDR, mask bits must be an integer")
    if int(mask) < 0:
        raise InvalidPattern("Malformed CIDR, mask bits must not be negative")
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        raise InvalidPattern(f"Nonstandard IP address: {address}") from None
    bits = 32 if version == 4 else 128
    if int(mask) >= bits:
        raise InvalidPattern(f"IPv{version} mask bits must be < {bits}")
    network = ipaddress.ip_network(f"{address}/{int(mask)}", strict=False)

    def test(found: Any) -> bool:
        try:
            return isinstance(found, str) and ipaddress.ip_address(found) in network
        except ValueError:
            return False

    return test
