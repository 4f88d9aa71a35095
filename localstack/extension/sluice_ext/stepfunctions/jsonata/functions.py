"""The functions that Step Functions adds to JSONata, and the one that it takes away.

https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html#jsonata-functions-provided-by-sfn
A number that is not whole is cut towards zero; a value that cannot be made is undefined (None). Runs in the worker.
"""

import hashlib
import json
import random
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

from jsonata.jsonata import Jsonata
from jsonata.utils import Utils

# An array of more numbers is over the memory that AWS gives an expression.
MAX_RANGE: Final = 360_145
_HASHES: Final = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}


class TooLarge(Exception):
    """A value is over the memory of an expression."""


class _Function(Jsonata.JFunctionCallable):  # type: ignore[misc]
    """A Python function as the library calls it: missing arguments are None."""

    def __init__(self, function: Callable[..., Any], arguments: int) -> None:
        self._function, self._arguments = function, arguments

    def call(self, _input: Any, args: Sequence[Any] | None) -> Any:
        given = [*(args or ()), *([None] * self._arguments)][: self._arguments]
        return self._function(*given)


def partition(array: list[Any] | None, size: float | None) -> Any:
    """The array in chunks of ``size``; the last one may be shorter."""
    if not array or size is None or int(size) < 1:
        return None
    step = int(size)
    return [array[at : at + step] for at in range(0, len(array), step)]


def number_range(first: float | None, last: float | None, step: float | None) -> Any:
    """The numbers from ``first`` to ``last``, which is included when a step meets it. Raises TooLarge."""
    if first is None or last is None or step is None or int(step) == 0:
        return None
    begin, end, by = int(first), int(last), int(step)
    numbers = range(begin, end + (1 if by > 0 else -1), by)
    if len(numbers) > MAX_RANGE:
        raise TooLarge
    return Utils.create_sequence_from_iter(numbers)  # one number is itself, none is undefined


def digest(text: str | None, algorithm: str | None) -> str | None:
    """The hash as hexadecimal digits. Raises ValueError for an algorithm that AWS does not have."""
    if text is None or algorithm is None:
        return None
    if algorithm not in _HASHES:
        raise ValueError(f"Unsupported hash algorithm {algorithm}; there are {', '.join(_HASHES)}")
    return hashlib.new(_HASHES[algorithm], text.encode(), usedforsecurity=False).hexdigest()


def number(seed: float | None) -> float:
    """A number from 0 up to 1, without 1; the same one for the same seed."""
    return random.random() if seed is None else random.Random(int(seed)).random()


def parse(text: str | None) -> Any:
    """The value of a JSON text. Raises ValueError."""
    if text is None:
        return None
    value = json.loads(text, parse_constant=_no_constant)
    return Utils.NULL_VALUE if value is None else value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


# Name, implementation, number of arguments, signature (https://docs.jsonata.org/embedding-extending).
_ADDED: Final = (
    ("partition", partition, 2, "<a?n?>"),
    ("range", number_range, 3, "<n?n?n?>"),
    ("hash", digest, 2, "<s?s?>"),
    ("random", number, 1, "<n?>"),
    ("uuid", lambda: str(uuid.uuid4()), 0, "<:s>"),
    ("parse", parse, 1, "<s?>"),
)


def add_to(expression: Any) -> None:
    """Give an expression the functions of Step Functions."""
    for name, function, arguments, signature in _ADDED:
        expression.register_function(name, Jsonata.JFunction(_Function(function, arguments), signature))
    # AWS has no $eval: its call is one of something that is no function.
    expression.assign("eval", None)
