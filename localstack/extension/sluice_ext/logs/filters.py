"""Filter patterns of CloudWatch Logs: terms, JSON and space-delimited ones. Pure.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntaxForMetricFilters.html
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from sluice_ext.logs.filter_json import json_pattern
from sluice_ext.logs.filter_tokens import InvalidFilter, Tokens, regular_expression
from sluice_ext.logs.filter_words import word_pattern

Found = Mapping[str, Any] | None
"""What an event has when it matches: the values that ``$.a.b`` or ``$name`` stand for, else None."""
Filter = Callable[[str], Found]

__all__ = ["Filter", "InvalidFilter", "compile_filter"]


@lru_cache(maxsize=512)
def compile_filter(pattern: str) -> Filter:
    """The filter of a pattern. Raises InvalidFilter. An empty pattern matches every event."""
    text = pattern.strip()
    if not text:
        return lambda _message: {}
    if text.startswith("{"):
        return json_pattern(text)
    if text.startswith("["):
        return word_pattern(text)
    return _terms(text)


def _terms(text: str) -> Filter:
    """Required, ``-`` excluded and ``?`` optional terms; the optional ones count only when there are no others."""
    tokens = Tokens(text)
    kinds: dict[str, list[Callable[[str], bool]]] = {"": [], "-": [], "?": []}
    while not tokens.at_end():
        sign = tokens.take_one_of("-?")
        kinds[sign].append(_term(tokens))
        if not tokens.at_end() and not tokens.blank_before():
            raise InvalidFilter(f"Invalid character(s) in term '{tokens.rest()}'")
    required, excluded, optional = kinds[""], kinds["-"], kinds["?"]
    if not required and not excluded:
        return lambda message: {} if any(found(message) for found in optional) else None
    return lambda message: (
        {} if all(found(message) for found in required) and not any(found(message) for found in excluded) else None
    )


def _term(tokens: Tokens) -> Callable[[str], bool]:
    if tokens.next_is("%"):
        expression = regular_expression(tokens.take_regex())
        return lambda message: expression.search(message) is not None
    term = tokens.take_quoted() if tokens.next_is('"') else tokens.take_term()
    return lambda message: term in message
