"""Tokens of a PartiQL statement.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.html
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from sluice_ext.dynamodb import values
from sluice_ext.dynamodb.errors import DynamoError, invalid

_TOKENS = re.compile(
    r"""\s*(?:
      '(?P<string>(?:[^']|'')*)'
    | "(?P<quoted>(?:[^"]|"")*)"
    | (?P<number>[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+)
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<sign><<|>>|<=|>=|<>|!=|[^\s])
    )""",
    re.VERBOSE,
)


class Token(NamedTuple):
    """Kind (string, quoted, number, word, sign) and text without quotes."""

    kind: str
    text: str


class Tokens:
    """Reads tokens, and the values that parameters stand for."""

    def __init__(self, statement: str, parameters: Sequence[Any]) -> None:
        self._found = [
            Token(str(match.lastgroup), match[str(match.lastgroup)].replace("''", "'"))
            for match in _TOKENS.finditer(statement)
        ]
        if not self._found:
            raise invalid("Statement wasn't well formed, can't be processed: Expected at least one statement")
        self._parameters = list(parameters)
        self._at = self._used = 0

    def peek(self, ahead: int = 0) -> Token:
        """The next token; one of the kind `end` behind the last."""
        index = self._at + ahead
        return self._found[index] if index < len(self._found) else Token("end", "")

    def take(self) -> Token:
        """The next token, which is read with it."""
        token = self.peek()
        self._at += 1
        return token

    def accept(self, *texts: str) -> bool:
        """Whether the next tokens are these words or signs; they are read if so."""
        for ahead, text in enumerate(texts):
            token = self.peek(ahead)
            if token.kind not in ("word", "sign") or token.text.upper() != text:
                return False
        self._at += len(texts)
        return True

    def expect(self, *texts: str) -> None:
        """Read these tokens; anything else is an error."""
        if not self.accept(*texts):
            raise self.error()

    def error(self) -> DynamoError:
        """ValidationException at the next token."""
        shown = self.peek().text or "end of statement"
        return invalid(f"Statement wasn't well formed, can't be processed: Unexpected token: {shown}")

    def name(self) -> str:
        """An identifier, in quotes or not."""
        token = self.take()
        if token.kind not in ("word", "quoted"):
            self._at -= 1
            raise self.error()
        return token.text

    def end(self) -> None:
        """Raises when there are more tokens or parameters."""
        self.accept(";")
        if self.peek().kind != "end":
            raise self.error()
        if self._used < len(self._parameters):
            raise invalid("Number of parameters in request and statement don't match.")

    def value(self) -> values.Value:
        """A literal or a parameter, in normal form."""
        return values.normal(self._raw())

    def _raw(self) -> values.Value:
        token = self.take()
        if token.kind == "string":
            return {"S": token.text}
        if token.kind == "number":
            return {"N": token.text}
        word = token.text.upper() if token.kind == "word" else ""
        if word in ("TRUE", "FALSE"):
            return {"BOOL": word == "TRUE"}
        if word == "NULL":
            return {"NULL": True}
        if token.kind == "sign":
            return self._composed(token.text)
        self._at -= 1
        raise self.error()

    def _composed(self, sign: str) -> values.Value:
        if sign == "?":
            if self._used >= len(self._parameters):
                raise invalid("Number of parameters in request and statement don't match.")
            self._used += 1
            parameter: values.Value = self._parameters[self._used - 1]
            return parameter
        if sign in ("-", "+") and self.peek().kind == "number":
            return {"N": sign + self.take().text}
        if sign == "[":
            return {"L": self._listed("]")}
        if sign == "<<":
            members = self._listed(">>")
            kinds = {next(iter(member)) for member in members}
            if len(kinds) != 1 or not kinds <= {"S", "N", "B"}:
                raise invalid("Statement wasn't well formed, can't be processed: A set has members of one type")
            kind = kinds.pop()
            return {f"{kind}S": [member[kind] for member in members]}
        if sign == "{":
            return {"M": self._members()}
        self._at -= 1
        raise self.error()

    def _listed(self, end: str) -> list[values.Value]:
        found: list[values.Value] = []
        while not self.accept(end):
            found.append(self._raw())
            if not self.accept(","):
                self.expect(end)
                break
        return found

    def _members(self) -> dict[str, values.Value]:
        found: dict[str, values.Value] = {}
        while not self.accept("}"):
            key = self.take()
            if key.kind not in ("string", "quoted", "word"):
                raise self.error()
            self.expect(":")
            found[key.text] = self._raw()
            if not self.accept(","):
                self.expect("}")
                break
        return found
