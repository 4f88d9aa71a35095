r"""Intrinsic functions: escapes, types and edges as on AWS.

LocalStack reads the text of a call with JSON's escapes in it (``\\'`` ends a string), formats braces of values, merges
what is no object, takes true for 1, counts from the end for a negative index, and knows no characters beyond ASCII.
Replaced: the reading of a call and of its literals, and the functions named in `_FUNCTIONS`.
https://docs.aws.amazon.com/step-functions/latest/dg/intrinsic-functions.html
"""

import base64
import binascii
import copy
import json
import math
import random
import re
from collections.abc import Callable
from typing import Any, Final

from localstack.services.stepfunctions.asl.component.intrinsic.argument.argument import ArgumentLiteral
from localstack.services.stepfunctions.asl.component.intrinsic.function.statesfunction.array import (
    array_contains,
    array_get_item,
    array_partition,
    array_range,
    array_unique,
)
from localstack.services.stepfunctions.asl.component.intrinsic.function.statesfunction.encoding_decoding import (
    base_64_decode,
    base_64_encode,
)
from localstack.services.stepfunctions.asl.component.intrinsic.function.statesfunction.generic import string_format
from localstack.services.stepfunctions.asl.component.intrinsic.function.statesfunction.json_manipulation import (
    json_merge,
)
from localstack.services.stepfunctions.asl.component.intrinsic.function.statesfunction.math_operations import (
    math_add,
    math_random,
)
from localstack.services.stepfunctions.asl.component.intrinsic.function.statesfunction.string_operations import (
    string_split,
)
from localstack.services.stepfunctions.asl.parse.intrinsic.intrinsic_parser import IntrinsicParser
from localstack.services.stepfunctions.asl.parse.intrinsic.preprocessor import Preprocessor

from sluice_ext.patching import replace

MAX_TEXT: Final = 10_000
MAX_RANGE: Final = 1_000
_CONTROL: Final = re.compile(r"[\x00-\x1f]")
_ESCAPED: Final = re.compile(r"\\(u[0-9a-f]{4}|.)", re.DOTALL)
_PIECE: Final = re.compile(r"\\u[0-9a-f]{4}|\\.|\{\}|[^\\{]+|\{", re.DOTALL)


class Literal(str):
    """A text in quotes. ``raw``: with its escapes, by which an escaped brace differs from a place."""

    raw: str


def decoded(call: str) -> str:
    """A call as it is meant, of the text between the quotes of its JSON; control characters are ``\\uXXXX``."""
    try:
        text = json.loads(f'"{call}"')
    except ValueError:
        text = call
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def literal(raw: str) -> Literal:
    """The text between single quotes. Raises ValueError for a backslash that escapes nothing."""

    def character(found: re.Match[str]) -> str:
        what = found[1]
        if len(what) > 1:
            return chr(int(what[1:], 16))
        if what not in "'{}\\":
            raise ValueError(f"A backslash before {what!r} escapes nothing in the text {raw!r}")
        return what

    made = Literal(_ESCAPED.sub(character, raw))
    made.raw = raw
    return made


def formatted(template: str, values: list[str]) -> str:
    """``template`` with each ``{}`` replaced. Raises ValueError when there are not as many values as places."""
    pieces: list[str] = _PIECE.findall(template.raw) if isinstance(template, Literal) else re.split(r"(\{\})", template)
    places = pieces.count("{}")
    if places != len(values):
        raise ValueError(f"The template has {places} places, and there are {len(values)} values")
    left = iter(values)
    escaped = isinstance(template, Literal)
    return "".join(next(left) if piece == "{}" else (str(literal(piece)) if escaped else piece) for piece in pieces)


def whole(value: Any) -> int:
    """A number, rounded to the nearest whole one as Java does. Raises TypeError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"Expected a number, but got {value!r}")
    return value if isinstance(value, int) else math.floor(value + 0.5)


def _of(kind: type, value: Any) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"Expected a value of type {kind.__name__}, but got {value!r}")
    return value


def _short(value: Any) -> str:
    text: str = _of(str, value)
    if len(text) > MAX_TEXT:
        raise ValueError(f"A text may have {MAX_TEXT} characters, but has {len(text)}")
    return text


def same(value: Any) -> str:
    """What two values have in common that are equal in JSON: 1, 1.0, true and "1" differ."""
    return json.dumps(value, sort_keys=True)


def contains(array: Any, value: Any) -> bool:
    return same(value) in map(same, _of(list, array))


def item(array: Any, index: Any) -> Any:
    if not 0 <= _of(int, index) < len(_of(list, array)):
        raise ValueError(f"The index {index} is not in an array of {len(array)}")
    return array[index]


def partition(array: Any, size: Any) -> Any:
    if (step := whole(size)) < 1:
        raise ValueError(f"The size of a chunk must be positive, but is {size}")
    values = _of(list, array)
    return [values[at : at + step] for at in range(0, len(values), step)]


def number_range(first: Any, last: Any, step: Any) -> list[int]:
    begin, end, by = whole(first), whole(last), whole(step)
    if by == 0:
        raise ValueError("The step of a range must not be 0")
    numbers = range(begin, end + (1 if by > 0 else -1), by)
    if len(numbers) > MAX_RANGE:
        raise ValueError(f"A range may have {MAX_RANGE} items, but has {len(numbers)}")
    return list(numbers)


def unique(array: Any) -> list[Any]:
    found: dict[str, Any] = {}
    for value in _of(list, array):
        found.setdefault(same(value), value)
    return list(found.values())


def encode(text: Any) -> str:
    return base64.b64encode(_short(text).encode()).decode()


def decode(text: Any) -> str:
    try:
        return base64.b64decode(_short(text), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError(f"The text is no Base64 of a text: {error}") from error


def merge(one: Any, other: Any, deep: Any) -> dict[str, Any]:
    if deep is not False:
        raise ValueError("Step Functions merges without depth only: the third argument must be false")
    return {**copy.deepcopy(_of(dict, one)), **copy.deepcopy(_of(dict, other))}


def random_number(start: Any, end: Any, seed: Any = None) -> int:
    begin, behind = whole(start), whole(end)
    if begin >= behind:
        raise ValueError(f"The start {begin} must be less than the end {behind}, which is not included")
    return (random.Random(whole(seed)) if seed is not None else random).randrange(begin, behind)


def split(text: Any, separators: Any) -> list[str]:
    _of(str, text)
    if not _of(str, separators):
        return [text] if text else []
    return [part for part in re.split("[" + re.escape(separators) + "]", text) if part]


_FUNCTIONS: Final[tuple[tuple[Any, Callable[..., Any]], ...]] = (
    (array_contains.ArrayContains, contains),
    (array_get_item.ArrayGetItem, item),
    (array_partition.ArrayPartition, partition),
    (array_range.ArrayRange, number_range),
    (array_unique.ArrayUnique, unique),
    (base_64_encode.Base64Encode, encode),
    (base_64_decode.Base64Decode, decode),
    (json_merge.JsonMerge, merge),
    (math_add.MathAdd, lambda one, other: whole(one) + whole(other)),
    (math_random.MathRandom, random_number),
    (string_split.StringSplit, split),
)


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""

    def parse(src: str) -> Any:
        return original(decoded(src))

    def text_of(parse_tree: Any) -> Literal:
        return literal(parse_tree.getText()[1:-1])

    def number_of(_self: Any, ctx: Any) -> Any:
        return ArgumentLiteral(definition_value=float(ctx.NUMBER().getText()))

    original = replace(IntrinsicParser, "parse", staticmethod(parse), expect="(src)")
    replace(Preprocessor, "_text_of_str", staticmethod(text_of), expect="(parse_tree)")
    replace(Preprocessor, "visitFunc_arg_float", number_of, expect="(self, ctx)")
    for kind, function in _FUNCTIONS:
        replace(kind, "_eval_body", _evaluation(function), expect="(self, env)")
    replace(string_format.StringFormat, "_eval_body", _format, expect="(self, env)")


def _evaluation(function: Callable[..., Any]) -> Callable[[Any, Any], None]:
    def evaluate(self: Any, env: Any) -> None:
        self.argument_list.eval(env=env)
        env.stack.append(function(*env.stack.pop()))

    return evaluate


def _format(self: Any, env: Any) -> None:
    self.argument_list.eval(env=env)
    template, *values = env.stack.pop()
    env.stack.append(formatted(_of(str, template), [self._to_str_repr(value) for value in values]))
