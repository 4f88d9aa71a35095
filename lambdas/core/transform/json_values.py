"""Values of the type ``json``: any JSON value, stored as text that all readers accept, PostgreSQL's jsonb too."""

import json
import re
from collections.abc import Iterable
from typing import Any, Final

MAX_DEPTH: Final = 64
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_REPLACEMENT: Final = "\ufffd"


class NotJson(ValueError):
    """The text is no JSON, or holds what other readers reject: a number without bounds, or over MAX_DEPTH levels."""


def _reject(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_reject)
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def parse(text: bytes | str) -> Any:
    """Raises NotJson. Of a name that an object has twice, the last one counts, as in jsonb."""
    try:
        return _DECODER.decode(text if isinstance(text, str) else text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error


def texts_of(row: bytes, names: Iterable[str]) -> dict[str, str | None]:
    """The values of these members of a row, which is a JSON object, as compact text; null is None.

    Raises:
        NotJson: as ``parse`` and ``text_of``, or a member is given twice.
    """
    try:
        found = _ROW_DECODER.decode(row.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error
    if isinstance(found, Members) and not found.twice.isdisjoint(names):
        raise NotJson("a member is given twice")
    return {name: None if found.get(name) is None else text_of(found[name]) for name in names}


class Members(dict[str, Any]):
    """An object with names that came twice."""

    twice: frozenset[str] = frozenset()


def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of its members, for a JSON decoder; of a name that comes twice, the last value counts."""
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    names = [name for name, _ in pairs]
    several = Members(found)
    several.twice = frozenset(name for name in found if names.count(name) > 1)
    return several


_ROW_DECODER: Final = json.JSONDecoder(parse_constant=_reject, object_pairs_hook=members)


def text_of(value: Any) -> str:
    """A value as compact JSON; characters that PostgreSQL cannot hold (NUL, half a surrogate pair) become U+FFFD.

    Raises:
        NotJson: a number too large for a double, or too many levels.
    """
    try:
        text = _ENCODER.encode(value)
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error
    if text.count("[") + text.count("{") > MAX_DEPTH and depth(value) > MAX_DEPTH:
        raise NotJson(f"more than {MAX_DEPTH} levels")
    if "\\u0000" in text:
        text = _ENCODER.encode(_without_nul(value))
    return text if text.isascii() else _SURROGATE.sub(_REPLACEMENT, text)


def depth(value: Any) -> int:
    """Levels of objects and arrays; found level by level, for a deep value must not exhaust the stack."""
    levels, level = 0, [value]
    while level := [one for one in level if isinstance(one, dict | list)]:
        levels += 1
        if levels > MAX_DEPTH:
            break
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
    return levels


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", _REPLACEMENT)
    if isinstance(value, dict):
        return {_without_nul(name): _without_nul(inner) for name, inner in value.items()}
    return [_without_nul(inner) for inner in value] if isinstance(value, list) else value
