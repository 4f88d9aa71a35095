"""Values of the type ``json``: any JSON value, kept as text that every reader, PostgreSQL's jsonb among them, takes."""

import json
import re
from typing import Any, Final

MAX_DEPTH: Final = 64
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_REPLACEMENT: Final = "\ufffd"


class NotJson(ValueError):
    """The text is no JSON, or holds what others refuse: a number without bounds, or more than MAX_DEPTH levels."""


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse)
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def parse(text: bytes | str) -> Any:
    """Raises NotJson. Of a name that an object has twice, the last one counts, as in jsonb."""
    try:
        return _DECODER.decode(text if isinstance(text, str) else text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error


def text_of(value: Any) -> str:
    """A value as compact JSON; characters that PostgreSQL cannot hold (NUL, half a surrogate pair) become U+FFFD.

    Raises:
        NotJson: a number too large for a double, or too many levels.
    """
    try:
        text = _ENCODER.encode(value)
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise NotJson(f"more than {MAX_DEPTH} levels")
    if "\\u0000" in text:
        text = _ENCODER.encode(_without_nul(value))
    return text if text.isascii() else _SURROGATE.sub(_REPLACEMENT, text)


def _depth(value: Any) -> int:
    """Levels of objects and arrays; found level by level, for a deep value must not exhaust the stack."""
    depth, level = 0, [value]
    while level := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        if depth > MAX_DEPTH:
            break
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
    return depth


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", _REPLACEMENT)
    if isinstance(value, dict):
        return {_without_nul(name): _without_nul(inner) for name, inner in value.items()}
    return [_without_nul(inner) for inner in value] if isinstance(value, list) else value
