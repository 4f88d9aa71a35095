"""Tokens of an expression, and what all kinds of expressions have in common: paths, names, values, error messages.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ExpressionAttributeNames.html
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from sluice_ext.dynamodb.errors import DynamoError, invalid
from sluice_ext.dynamodb.expressions.nodes import Attribute, Given, Operand, Path

_TOKENS = re.compile(r"\s*(?:([#:]?[A-Za-z0-9_]+)|(<>|<=|>=|[^\s]))", re.ASCII)
_EXPRESSION_BYTES = 4096
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html; the service fills it in.
RESERVED: set[str] = set()


class Token(NamedTuple):
    """A token and where it is in the text."""

    text: str
    start: int
    end: int


class Reader:
    """Reads tokens. A fault of meaning is reported only when the whole text has no syntax error, as on AWS."""

    def __init__(self, kind: str, text: str, names: Mapping[str, str]) -> None:
        self.kind, self.text, self._names = kind, text, names
        if not text.strip():
            raise self.error("The expression can not be empty;")
        if len(text.encode()) > _EXPRESSION_BYTES:
            size = f"expression size: {len(text.encode())}"
            raise self.error(f"Expression size has exceeded the maximum allowed size; {size}")
        self._tokens = [
            Token(match[1] or match[2], match.start(match.lastindex or 1), match.end())
            for match in _TOKENS.finditer(text)
        ]
        self._at = 0
        self._fault: DynamoError | None = None
        self.used_names: set[str] = set()
        self.used_values: set[str] = set()
        self.typed: list[tuple[str, tuple[Operand, ...]]] = []

    def error(self, message: str) -> DynamoError:
        """ValidationException about this expression."""
        return invalid(f"Invalid {self.kind}: {message}")

    def fault(self, message: str) -> None:
        """Record a fault of meaning; the first one counts."""
        self._fault = self._fault or self.error(message)

    def finish(self) -> None:
        """Raises when there are more tokens, or a fault was found."""
        if self.peek():
            raise self.syntax_error()
        if self._fault:
            raise self._fault

    def peek(self, ahead: int = 0) -> str:
        """The next token's text; empty at the end."""
        index = self._at + ahead
        return self._tokens[index].text if index < len(self._tokens) else ""

    def word(self) -> str:
        """The next token in capitals: keywords have no case."""
        return self.peek().upper()

    def take(self) -> str:
        """The next token's text, which is read with it."""
        text = self.peek()
        if not text:
            raise self.syntax_error()
        self._at += 1
        return text

    def accept(self, text: str) -> bool:
        """Whether the next token is this one; it is read if so."""
        if self.word() != text:
            return False
        self._at += 1
        return True

    def expect(self, text: str) -> None:
        """Read this token; anything else is a syntax error."""
        if not self.accept(text):
            raise self.syntax_error()

    def syntax_error(self) -> DynamoError:
        """At the next token: it, with its neighbours."""
        tokens, at = self._tokens, self._at
        before = tokens[at - 1].start if at else 0
        if at >= len(tokens):
            return self.error(f'Syntax error; token: "<EOF>", near: "{self.text[before:].strip()}"')
        after = tokens[min(at + 1, len(tokens) - 1)].end
        start = tokens[at - 1].start if at else tokens[at].start
        return self.error(f'Syntax error; token: "{tokens[at].text}", near: "{self.text[start:after]}"')

    def path(self) -> Path:
        """A document path."""
        parts: list[str | int] = [self._name()]
        while True:
            if self.accept("."):
                parts.append(self._name())
            elif self.peek() == "[":
                self.take()
                if not self.peek().isdigit():
                    raise self.syntax_error()
                parts.append(int(self.take()))
                self.expect("]")
            else:
                return tuple(parts)

    def at_name(self) -> bool:
        """Whether the next token can begin a path."""
        text = self.peek()
        return bool(text) and ((text[0] == "#" and len(text) > 1) or text[0].isalpha() or text[0] == "_")

    def value(self) -> Given:
        """An expression attribute value."""
        name = self.take()
        self.used_values.add(name)
        return Given(name)

    def at_value(self) -> bool:
        """Whether the next token is an expression attribute value."""
        text = self.peek()
        return len(text) > 1 and text[0] == ":"

    def leaf(self) -> Operand:
        """A value or a path."""
        if self.at_value():
            return self.value()
        return Attribute(self.path())

    def _name(self) -> str:
        if not self.at_name():
            raise self.syntax_error()
        text = self.take()
        if text[0] != "#":
            if text.upper() in RESERVED:
                self.fault(f"Attribute name is a reserved keyword; reserved keyword: {text}")
            return text
        self.used_names.add(text)
        if text not in self._names:
            self.fault(f"An expression attribute name used in the document path is not defined; attribute name: {text}")
        return self._names.get(text, text)
