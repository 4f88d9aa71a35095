"""Space-delimited patterns: ``[ip, user, ..., status = 4* && status != 404, bytes > 1000]``.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html (space-delimited log events)
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sluice_ext.logs.filter_tokens import InvalidFilter, Tokens, number_in, take_comparison

# A field of an event: a text in quotes or in brackets, else what has no blank.
_FIELD = re.compile(r'"([^"]*)"|\[([^\]]*)\]|(\S+)')
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    holds: Callable[[str], bool]


def word_pattern(text: str) -> Callable[[str], Mapping[str, Any] | None]:
    """The filter of a space-delimited pattern; one without fields, ``[]``, matches all. Raises InvalidFilter."""
    tokens = Tokens(text)
    tokens.take("[")
    before: list[_Field] = []
    more = not tokens.next_is("]")
    after: list[_Field] | None = None if more else []
    while more:
        if tokens.take_if("..."):
            if after is not None:
                raise InvalidFilter("Invalid filter pattern: more than one ellipsis")
            after = []
        else:
            (before if after is None else after).append(_field(tokens))
        more = tokens.take_if(",")
    tokens.take("]")
    tokens.finish()

    def matched(message: str) -> Mapping[str, Any] | None:
        words = [next(filter(None, found), "") for found in _FIELD.findall(message)]
        wanted = len(before) + len(after or ())
        if len(words) < wanted or (after is None and len(words) > wanted):
            return None
        placed = [
            *zip(before, words, strict=False),
            *zip(after or [], words[len(words) - len(after or ()) :], strict=True),
        ]
        if not all(field.holds(word) for field, word in placed):
            return None
        return {f"${field.name}": word for field, word in placed}

    return matched


def _field(tokens: Tokens) -> _Field:
    name = tokens.take_match(_NAME, "the name of a field")
    if tokens.next_is(",") or tokens.next_is("]"):
        return _Field(name, lambda _word: True)
    return _Field(name, _either(tokens, name, named=True))


def _either(tokens: Tokens, name: str, *, named: bool) -> Callable[[str], bool]:
    parts = [_both(tokens, name, named=named)]
    while tokens.take_if("||"):
        parts.append(_both(tokens, name, named=False))
    return parts[0] if len(parts) == 1 else lambda word: any(part(word) for part in parts)


def _both(tokens: Tokens, name: str, *, named: bool) -> Callable[[str], bool]:
    parts = [_one(tokens, name, named=named)]
    while tokens.take_if("&&"):
        parts.append(_one(tokens, name, named=False))
    return parts[0] if len(parts) == 1 else lambda word: all(part(word) for part in parts)


def _one(tokens: Tokens, name: str, *, named: bool) -> Callable[[str], bool]:
    """A comparison of the field; after the first one its name is written again."""
    if not named and (found := tokens.take_match(_NAME, "the name of the field")) != name:
        raise InvalidFilter(f"Invalid filter pattern: {found} is compared in the place of {name}")
    return take_comparison(tokens, ends=",]&|", number=number_in)
