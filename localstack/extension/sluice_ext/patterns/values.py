"""JSON values as patterns see them: numbers have a text beside their value.

"Number matching is at the string representation level. For example, 300, 300.0, and 3.0e2 are not considered equal."
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
"""

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn


class InvalidPattern(ValueError):
    """The pattern is not one; the text says why, in AWS's words where they are known."""


@dataclass(frozen=True, slots=True)
class Number:
    """A JSON number as it was written."""

    text: str

    @property
    def value(self) -> Decimal:
        """What it is worth."""
        return Decimal(self.text)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def loads(text: str | bytes) -> Any:
    """The JSON document, its numbers as `Number`. Raises ValueError."""
    return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=_refuse)


def normalised(leaf: Any) -> Any:
    """A leaf with its number, if it is one, as `Number`: events come as Python's numbers too."""
    if isinstance(leaf, (int, float)) and not isinstance(leaf, bool):
        return Number(repr(leaf))
    return leaf
