"""Types of values that no field describes, and what they propose for a dataset's YAML."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

INTEGER: Final = r"-?(?:0|[1-9][0-9]{0,17})"  # fits into 64 bits, however it is written
NUMBER: Final = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
MAX_SIGHTS: Final = 200  # of a dataset that are recorded, and of a chunk that are found
NAME_CHARACTERS: Final = 255
_INTEGER: Final = re.compile(INTEGER)
_NUMBER: Final = re.compile(NUMBER)


class Sight(NamedTuple):
    """A column with a type that its YAML does not have. ``declared``: its field's type, empty for no field."""

    column: str
    type: str
    declared: str = ""


@dataclass
class Sights:
    """What was seen of one dataset: the first offset of each sight; the sights beyond MAX_SIGHTS are only counted."""

    first: dict[Sight, int] = field(default_factory=dict)
    left_out: int = 0
    unnamed: str = ""  # one of the columns that no field names

    def add(self, sight: Sight, offset: int) -> None:
        if not sight.declared and not self.unnamed:
            self.unnamed = sight.column
        known = self.first.get(sight)
        if known is None and len(self.first) >= MAX_SIGHTS:
            self.left_out += 1
        elif known is None or offset < known:
            self.first[sight] = offset

    def update(self, other: "Sights") -> None:
        for sight, offset in other.first.items():
            self.add(sight, offset)
        self.left_out += other.left_out
        self.unnamed = self.unnamed or other.unnamed


def shown_name(name: str) -> str:
    """A column's name as it is stored: half surrogates replaced, cut to NAME_CHARACTERS."""
    name = name.encode("utf-8", "replace").decode()
    return name if len(name) <= NAME_CHARACTERS else f"{name[: NAME_CHARACTERS - 1]}…"


def type_of_text(text: str) -> str:
    """The type of a CSV value, or of a JSON literal."""
    if _INTEGER.fullmatch(text):
        return "int64"
    if _NUMBER.fullmatch(text):
        return "float64"
    return "bool" if text in ("true", "false") else "string"


def joined_type(types: Iterable[str]) -> str:
    """The narrowest type for values of all these types."""
    found = set(types)
    if len(found) == 1:
        return found.pop()
    if "json" in found:
        return "json"
    return "float64" if found <= {"int64", "float64"} else "string"


def widened_type(declared: str, seen: Sequence[str]) -> str:
    """The type that takes the field's values and those seen, or the declared one when none is wider."""
    if declared not in ("int64", "float64", "bool"):
        return declared
    return joined_type([declared, *seen])


def type_of_json(value: Any, is_number: bool) -> str:
    """The type of a decoded JSON value; ``is_number``: it is a number, given as its text."""
    if is_number:
        return type_of_text(value)
    if isinstance(value, bool):
        return "bool"
    return "string" if isinstance(value, str) else "json"
