"""What the API's model demands of a request: lengths, ranges, patterns, names. Pure.

LocalStack's parser does not look at these; AWS does, and lists every violation in one message.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

_UNITS = {"string": "length", "list": "length"}


def violations(shape: Any, request: dict[str, Any]) -> str:
    """AWS's message about a request of this input shape (of botocore); empty when all is well."""
    found = list(_of_structure(shape, request, ""))
    if not found:
        return ""
    count = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected: "
    return count + "; ".join(found)


def _of_structure(shape: Any, value: dict[str, Any], path: str) -> Iterator[str]:
    for name, member in shape.members.items():
        given, where = value.get(name), f"{path}.{_lower(name)}" if path else _lower(name)
        if given is not None:
            yield from _of(member, given, where)
        elif name in shape.required_members:
            yield f"Value at '{where}' failed to satisfy constraint: Member must not be null"


def _of(shape: Any, value: Any, path: str) -> Iterator[str]:
    if shape.type_name == "structure":
        yield from _of_structure(shape, value, path)
        return
    start, rules = f"Value '{value}' at '{path}' failed to satisfy constraint: ", shape.metadata
    if shape.type_name == "list":
        start = f"Value at '{path}' failed to satisfy constraint: "
    size = len(value) if shape.type_name in _UNITS else value
    unit = f" {_UNITS[shape.type_name]}" if shape.type_name in _UNITS else ""
    if "max" in rules and size > rules["max"]:
        yield f"{start}Member must have{unit} less than or equal to {rules['max']}"
    if "min" in rules and size < rules["min"]:
        yield f"{start}Member must have{unit} greater than or equal to {rules['min']}"
    if "enum" in rules and value not in rules["enum"]:
        yield f"{start}Member must satisfy enum value set: [{', '.join(rules['enum'])}]"
    if "pattern" in rules and not _pattern(rules["pattern"]).search(value):
        yield f"{start}Member must satisfy regular expression pattern: {rules['pattern']}"
    if shape.type_name == "list":
        for number, one in enumerate(value, 1):
            yield from _of(shape.member, one, f"{path}.{number}.member")


@lru_cache(maxsize=64)
def _pattern(text: str) -> re.Pattern[str]:
    # $ of Java is the end only with \\z: a line's end before it would pass.
    return re.compile(text.removesuffix("$") + r"\Z" if text.endswith("$") else text, re.ASCII)


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]
