"""Statements as the syntax trees of expressions.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.html
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sluice_ext.dynamodb.errors import invalid
from sluice_ext.dynamodb.expressions.nodes import (
    Action,
    Attribute,
    Call,
    Comparison,
    Condition,
    Given,
    Logic,
    Operand,
    Path,
    Sum,
)
from sluice_ext.dynamodb.partiql.tokens import Tokens
from sluice_ext.dynamodb.values import Value

_COMPARED = ("=", "<>", "!=", "<=", ">=", "<", ">")
_FUNCTIONS = ("begins_with", "contains", "attribute_type", "attribute_exists", "attribute_not_exists", "size")
_ENDS = ("AND", "OR", "NOT", "IN", "BETWEEN", "IS")


@dataclass
class Statement:
    """A parsed statement; ``given`` has the values that its trees name."""

    kind: str
    table: str = ""
    index: str | None = None
    paths: list[Path] | None = None
    item: Value | None = None
    actions: list[Action] = field(default_factory=list)
    where: Condition | None = None
    descending: bool = False
    returning: str | None = None
    given: dict[str, Value] = field(default_factory=dict)


def parse(text: str, parameters: Sequence[Any] = ()) -> Statement:
    """Raises ValidationException."""
    return _Parser(text, parameters).statement()


class _Parser:
    def __init__(self, text: str, parameters: Sequence[Any]) -> None:
        self._tokens = Tokens(text, parameters)
        self._result = Statement("")

    def statement(self) -> Statement:
        tokens, result = self._tokens, self._result
        token = tokens.peek()
        result.kind = token.text.upper() if token.kind == "word" else ""
        if result.kind not in ("SELECT", "INSERT", "UPDATE", "DELETE"):
            raise tokens.error()
        tokens.take()
        getattr(self, f"_{result.kind.lower()}")()
        if result.kind in ("UPDATE", "DELETE") and tokens.accept("RETURNING"):
            self._returning()
        tokens.end()
        return result

    def _select(self) -> None:
        tokens, result = self._tokens, self._result
        if not tokens.accept("*"):
            result.paths = [self._path()]
            while tokens.accept(","):
                result.paths.append(self._path())
        tokens.expect("FROM")
        self._from()
        if tokens.accept("WHERE"):
            result.where = self._either()
        if tokens.accept("ORDER", "BY"):
            self._path()
            result.descending = tokens.accept("DESC")
            if not result.descending:
                tokens.accept("ASC")

    def _insert(self) -> None:
        self._tokens.expect("INTO")
        self._from()
        self._tokens.expect("VALUE")
        self._result.item = self._tokens.value()

    def _update(self) -> None:
        tokens, result = self._tokens, self._result
        self._from()
        while tokens.peek().kind == "word" and tokens.peek().text.upper() in ("SET", "REMOVE"):
            clause = tokens.take().text.upper()
            result.actions.append(self._action(clause))
            while tokens.accept(","):
                result.actions.append(self._action(clause))
        if not result.actions:
            raise tokens.error()
        tokens.expect("WHERE")
        result.where = self._either()

    def _delete(self) -> None:
        self._tokens.expect("FROM")
        self._from()
        self._tokens.expect("WHERE")
        self._result.where = self._either()

    def _from(self) -> None:
        self._result.table = self._tokens.name()
        if self._tokens.accept("."):
            self._result.index = self._tokens.name()

    def _returning(self) -> None:
        for which in ("ALL", "MODIFIED"):
            for when in ("OLD", "NEW"):
                if self._tokens.accept(which, when, "*"):
                    self._result.returning = f"{'ALL' if which == 'ALL' else 'UPDATED'}_{when}"
                    return
        raise self._tokens.error()

    def _path(self) -> Path:
        tokens = self._tokens
        parts: list[str | int] = [tokens.name()]
        while True:
            if tokens.accept("."):
                parts.append(tokens.name())
            elif tokens.peek().text == "[" and tokens.peek(1).kind in ("number", "string"):
                tokens.take()
                token = tokens.take()
                parts.append(int(token.text) if token.kind == "number" else token.text)
                tokens.expect("]")
            else:
                return tuple(parts)

    def _action(self, clause: str) -> Action:
        path = self._path()
        if clause == "REMOVE":
            return Action("REMOVE", path)
        self._tokens.expect("=")
        for function, kind in (("SET_ADD", "ADD"), ("SET_DELETE", "DELETE")):
            if self._tokens.accept(function, "("):
                if self._path() != path:
                    raise invalid(f"{function.lower()} changes the attribute that it is assigned to")
                self._tokens.expect(",")
                operand = self._given(self._tokens.value())
                self._tokens.expect(")")
                return Action(kind, path, operand)
        left = self._operand()
        if self._tokens.peek().text in ("+", "-") and self._tokens.peek().kind == "sign":
            return Action("SET", path, Sum(self._tokens.take().text, left, self._operand()))
        return Action("SET", path, left)

    def _operand(self) -> Operand:
        tokens = self._tokens
        token = tokens.peek()
        literal = token.kind == "word" and token.text.upper() in ("TRUE", "FALSE", "NULL")
        if token.kind in ("word", "quoted") and not literal:
            function = token.text.lower()
            if token.kind == "word" and tokens.peek(1).text == "(" and function not in _ENDS:
                tokens.take()
                return self._call(function)
            return Attribute(self._path())
        return self._given(tokens.value())

    def _call(self, function: str) -> Call:
        tokens = self._tokens
        if function not in (*_FUNCTIONS, "list_append", "if_not_exists"):
            raise invalid(f"Unsupported function: {function}")
        tokens.expect("(")
        arguments = [self._operand()]
        while tokens.accept(","):
            arguments.append(self._operand())
        tokens.expect(")")
        return Call(function, tuple(arguments))

    def _given(self, value: Value) -> Given:
        name = f":p{len(self._result.given)}"
        self._result.given[name] = value
        return Given(name)

    def _either(self) -> Condition:
        left = self._both()
        while self._tokens.accept("OR"):
            left = Logic("OR", (left, self._both()))
        return left

    def _both(self) -> Condition:
        left = self._single()
        while self._tokens.accept("AND"):
            left = Logic("AND", (left, self._single()))
        return left

    def _single(self) -> Condition:
        tokens = self._tokens
        if tokens.accept("NOT"):
            return Logic("NOT", (self._single(),))
        if tokens.accept("("):
            inner = self._either()
            tokens.expect(")")
            return inner
        left = self._operand()
        if tokens.peek().kind == "sign" and tokens.peek().text in _COMPARED:
            operator = tokens.take().text.replace("!=", "<>")
            return Comparison(operator, (left, self._operand()))
        if tokens.accept("BETWEEN"):
            low = self._operand()
            tokens.expect("AND")
            return Comparison("BETWEEN", (left, low, self._operand()))
        if tokens.accept("IN"):
            return Comparison("IN", (left, *self._options()))
        if tokens.accept("IS"):
            negated = tokens.accept("NOT")
            return self._is(left, negated)
        if isinstance(left, Call) and left.function != "size":
            return left
        raise tokens.error()

    def _options(self) -> list[Operand]:
        close = "]" if self._tokens.accept("[") else ")"
        if close == ")":
            self._tokens.expect("(")
        found = [self._operand()]
        while self._tokens.accept(","):
            found.append(self._operand())
        self._tokens.expect(close)
        return found

    def _is(self, left: Operand, negated: bool) -> Condition:
        if self._tokens.accept("MISSING"):
            return Call("attribute_exists" if negated else "attribute_not_exists", (left,))
        self._tokens.expect("NULL")
        is_null = Comparison("=", (left, self._given({"NULL": True})))
        return Logic("NOT", (is_null,)) if negated else is_null
