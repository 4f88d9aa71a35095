"""JSON patterns: ``{ ($.a = 1 || $.b.c[0] != "x*") && $.d IS NULL }``. A field that is not there compares to nothing.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html (JSON log events)
"""

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from sluice_ext.logs.filter_tokens import InvalidFilter, Tokens, number_of, take_comparison

_Condition = Callable[[Any], bool]
_STEP = re.compile(r"\.([A-Za-z0-9_\-@$*]+)|\[(\d+|\*)\]|\[['\"]([^'\"]+)['\"]\]")
_SELECTOR = r"\$(?:\.[A-Za-z0-9_\-@$*]+|\[(?:\d+|\*|'[^']+'|\"[^\"]+\")\])+"


class Values(Mapping[str, Any]):
    """The fields of a JSON event by their selectors, for a metric's value and dimensions."""

    def __init__(self, document: Any) -> None:
        self._document = document

    def __getitem__(self, selector: str) -> Any:
        if not re.fullmatch(_SELECTOR, selector) or not (found := select(self._document, selector)):
            raise KeyError(selector)
        return found[0]

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0


def json_pattern(text: str) -> Callable[[str], Mapping[str, Any] | None]:
    """The filter of a JSON pattern. Raises InvalidFilter."""
    tokens = Tokens(text)
    tokens.take("{")
    condition = _either(tokens)
    tokens.take("}")
    tokens.finish()

    def matched(message: str) -> Mapping[str, Any] | None:
        try:
            document = json.loads(message, parse_float=Decimal)
        except (ValueError, RecursionError):
            return None
        return Values(document) if isinstance(document, dict | list) and condition(document) else None

    return matched


def select(document: Any, selector: str) -> list[Any]:
    """What a selector finds; a star stands for every element or field."""
    found = [document]
    for name, index, quoted in _STEP.findall(selector):
        step = name or index or quoted
        found = [below for one in found for below in _below(one, step, bool(index))]
    return found


def _below(node: Any, step: str, is_index: bool) -> list[Any]:
    if step == "*":
        return list(node.values()) if isinstance(node, dict) else list(node) if isinstance(node, list) else []
    if is_index:
        return node[int(step) : int(step) + 1] if isinstance(node, list) else []
    return [node[step]] if isinstance(node, dict) and step in node else []


def _either(tokens: Tokens) -> _Condition:
    parts = [_both(tokens)]
    while tokens.take_if("||"):
        parts.append(_both(tokens))
    return parts[0] if len(parts) == 1 else lambda document: any(part(document) for part in parts)


def _both(tokens: Tokens) -> _Condition:
    parts = [_one(tokens)]
    while tokens.take_if("&&"):
        parts.append(_one(tokens))
    return parts[0] if len(parts) == 1 else lambda document: all(part(document) for part in parts)


def _one(tokens: Tokens) -> _Condition:
    if tokens.take_if("("):
        inner = _either(tokens)
        tokens.take(")")
        return inner
    selector = tokens.take_match(_SELECTOR, "a property selector ($.name)")
    if tokens.next_is("IS ") or tokens.next_is("NOT "):
        words = " ".join(tokens.take_match(r"(?:IS|NOT)\s+[A-Z]+", "IS or NOT").split())
        tests: dict[str, _Condition] = {
            "IS NULL": lambda document: None in select(document, selector),
            "IS TRUE": lambda document: any(found is True for found in select(document, selector)),
            "IS FALSE": lambda document: any(found is False for found in select(document, selector)),
            "NOT EXISTS": lambda document: not select(document, selector),
        }
        if words not in tests:
            raise InvalidFilter(f"Invalid filter pattern: {words} is no condition")
        return tests[words]
    compared = take_comparison(tokens, ends="(){}&|", number=number_of)
    return lambda document: any(compared(found) for found in select(document, selector))
