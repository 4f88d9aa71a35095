"""Conditions on several fields of a row, such as ``delivered_at >= shipped_at``: a small part of SQL's.

``condition := all {or all}``, ``all := one {and one}``,
``one := not one | ( condition ) | field is [not] null | operand (= | != | <> | < | <= | > | >=) operand``.
An operand is a field, a number, a text in single quotes, true or false. As in SQL, a comparison with a field that has
no value is neither true nor false, and a row breaks a check only when its condition is false.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from sluice_pipeline.catalog.fields import Field

CHARACTERS: Final = 1000
_NESTED: Final = 20
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>-?(?:\d+(?:\.\d*)?|\.\d+)(?![\w.]))|(?P<text>'(?:[^']|'')*')|(?P<op><=|>=|<>|!=|==|=|<|>|[()])"
    r"|(?P<word>[A-Za-z_]\w*))",
    re.ASCII,
)
_KEYWORDS: Final = frozenset({"and", "or", "not", "is", "null", "true", "false"})
_OPERATORS: Final = {"=": "=", "==": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DECIMAL_DIGITS: Final = 38


class BadCondition(ValueError):
    """A text is no condition on these fields; the message says why."""


@dataclass(frozen=True, slots=True)
class Operand:
    """A field, or a value when ``field`` is empty: a time is in microseconds since 1970 UTC, a date in days."""

    field: str = ""
    value: Any = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """``kind``: the type as which both are compared; int64, float64, decimal, string, bool, date or timestamp."""

    left: Operand
    operator: str
    right: Operand
    kind: str


@dataclass(frozen=True, slots=True)
class IsNull:
    field: str


@dataclass(frozen=True, slots=True)
class Not:
    inner: "Node"


@dataclass(frozen=True, slots=True)
class Joined:
    """``parts`` joined by ``word``: and, or."""

    word: str
    parts: tuple["Node", ...]


type Node = Comparison | IsNull | Not | Joined


@dataclass(frozen=True, slots=True)
class Condition:
    """``fields``: those that it names, in the order of the text."""

    text: str
    node: Node
    fields: tuple[str, ...]


class _Token(NamedTuple):
    kind: str
    text: str


def parse_condition(text: Any, fields: Mapping[str, Field]) -> Condition:
    """Raises BadCondition: the text is no condition, names no such field, or compares what cannot be compared."""
    if not isinstance(text, str) or not 0 < len(text) <= CHARACTERS:
        raise BadCondition(f"is not a text of 1 to {CHARACTERS} characters, such as delivered_at >= shipped_at")
    parser = _Parser(list(_tokens(text)), fields)
    node = parser.whole()
    return Condition(" ".join(text.split()), node, tuple(dict.fromkeys(parser.named)))


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise BadCondition(f"cannot be read from {text[at:].strip()[:20]!r} on")
        word = found[found.lastgroup]
        is_keyword = found.lastgroup == "word" and word.lower() in _KEYWORDS
        yield _Token("keyword", word.lower()) if is_keyword else _Token(found.lastgroup, word)
        at = found.end()


class _Parser:
    def __init__(self, tokens: list[_Token], fields: Mapping[str, Field]) -> None:
        self._tokens = tokens
        self._fields = fields
        self._at = 0
        self._depth = 0
        self.named: list[str] = []

    def whole(self) -> Node:
        node = self._condition()
        if self._at < len(self._tokens):
            raise BadCondition(f"{self._tokens[self._at].text!r} is not expected there")
        if not self.named:
            raise BadCondition("names no field")
        return node

    def _next(self) -> _Token:
        if self._at == len(self._tokens):
            raise BadCondition("ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _took(self, *words: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] in [("keyword", w) for w in words] + [
            ("op", w) for w in words
        ]:
            self._at += 1
            return True
        return False

    def _condition(self) -> Node:
        return self._joined("or", lambda: self._joined("and", self._one))

    def _joined(self, word: str, read: Any) -> Node:
        parts = [read()]
        while self._took(word):
            parts.append(read())
        return parts[0] if len(parts) == 1 else Joined(word, tuple(parts))

    def _one(self) -> Node:
        self._depth += 1
        if self._depth > _NESTED:
            raise BadCondition(f"has more than {_NESTED} levels")
        try:
            if self._took("not"):
                return Not(self._one())
            if self._took("("):
                inner = self._condition()
                if not self._took(")"):
                    raise BadCondition("lacks a closing parenthesis")
                return inner
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Node:
        left = self._next()
        if self._took("is"):
            negated = self._took("not")
            if not self._took("null"):
                raise BadCondition("lacks null after is")
            found = IsNull(self._field(left).name)
            return Not(found) if negated else found
        operator = self._next()
        if operator.kind != "op" or operator.text not in _OPERATORS:
            raise BadCondition(f"{operator.text!r} is no comparison; there are {', '.join(sorted(_OPERATORS))}")
        return self._compared(left, _OPERATORS[operator.text], self._next())

    def _compared(self, left: _Token, operator: str, right: _Token) -> Comparison:
        sides = [self._field(side) if side.kind == "word" else None for side in (left, right)]
        named = [field for field in sides if field is not None]
        if not named:
            raise BadCondition(f"{left.text} {operator} {right.text} names no field")
        literals = [side for side in (left, right) if side.kind != "word"]
        kind = _common_kind(named, literals)
        if kind == "bool" and operator not in ("=", "!="):
            raise BadCondition(f"a bool is not {operator} another")
        operands = [
            Operand(field.name) if field is not None else Operand(value=_value(token, kind))
            for field, token in zip(sides, (left, right), strict=True)
        ]
        return Comparison(operands[0], operator, operands[1], kind)

    def _field(self, token: _Token) -> Field:
        if token.kind != "word":
            raise BadCondition(f"{token.text!r} is no field")
        field = self._fields.get(token.text)
        if field is None:
            raise BadCondition(f"names no field: {token.text!r}")
        self.named.append(field.name)
        return field


def _common_kind(fields: list[Field], literals: list[_Token]) -> str:
    """As what these are compared."""
    kinds = {"decimal" if field.decimal else field.type for field in fields}
    shown = " and ".join(field.type for field in fields)
    if "json" in kinds:
        raise BadCondition("a json is not compared; only with is null")
    if kinds == {"float64", "decimal"}:
        raise BadCondition("a float64 is not compared with a decimal; make both decimals")
    if len(kinds) == 1:
        kind = kinds.pop()
        has_point = any(token.kind == "number" and "." in token.text for token in literals)
        return "decimal" if kind == "int64" and has_point else kind
    for several in ({"int64", "decimal"}, {"int64", "float64"}, {"date", "timestamp"}):
        if kinds == several:
            return next(kind for kind in ("decimal", "float64", "timestamp") if kind in several)
    raise BadCondition(f"{shown} are not compared")


def _value(token: _Token, kind: str) -> Any:
    """A literal as a value of the kind."""
    expected = {"number": ("int64", "float64", "decimal"), "text": ("string", "date", "timestamp")}
    if token.kind == "keyword" and token.text in ("true", "false") and kind == "bool":
        return token.text == "true"
    if kind not in expected.get(token.kind, ()):
        raise BadCondition(f"{token.text} is no {kind}")
    text = token.text[1:-1].replace("''", "'") if token.kind == "text" else token.text
    match kind:
        case "int64":
            if not -(2**63) <= int(text) < 2**63:
                raise BadCondition(f"{text} is beyond an int64")
            return int(text)
        case "float64":
            return float(text)
        case "decimal":
            whole, _, fraction = text.lstrip("-").partition(".")
            if max(len(whole), len(fraction)) > _DECIMAL_DIGITS:
                raise BadCondition(f"{text} has more than {_DECIMAL_DIGITS} digits")
            return Decimal(text)
        case "string":
            return text
    return _time(text, kind)


def _time(text: str, kind: str) -> int:
    try:
        if kind == "date":
            return (date.fromisoformat(text) - _EPOCH.date()).days
        found = datetime.fromisoformat(text)
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        return (found - _EPOCH) // timedelta(microseconds=1)
    except ValueError as error:
        raise BadCondition(f"{text!r} is no {kind}, such as 2024-05-01") from error
