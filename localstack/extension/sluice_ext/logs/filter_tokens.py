"""Reading the text of a filter pattern, and what JSON and space-delimited patterns share: values to compare with."""

import operator
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, Final

# Longer signs first, as they are looked for in this order.
_HOLDS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
# "There is a limit of 2 regex for each filter pattern when creating a delimited or JSON filter pattern".
_MAX_EXPRESSIONS: Final = 2
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
# "Alphanumeric characters, the symbols _ # = @ / ; , - : and the operators ^ $ ? [ ] { } | \ * + ."
_REGEX: Final = re.compile(r"(?:\\[!-~]|[A-Za-z0-9:_#=@/;,\-^$?\[\]{}|*+.])+")


class InvalidFilter(ValueError):
    """The text is not a filter pattern; says why."""


class Tokens:
    """The text of a pattern and how far it is read. Every ``take`` raises InvalidFilter for something else."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._blank = text, 0, True
        self._expressions = 0
        self._skip()

    def _skip(self) -> None:
        start = self._at
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1
        self._blank = self._at > start

    def at_end(self) -> bool:
        """Whether all is read."""
        return self._at >= len(self._text)

    def blank_before(self) -> bool:
        """Whether blanks were between the last token and the next one."""
        return self._blank

    def rest(self) -> str:
        """What is not read yet."""
        return self._text[self._at :]

    def next_is(self, text: str) -> bool:
        """Whether the next characters are these."""
        return self._text.startswith(text, self._at)

    def take(self, text: str) -> None:
        """These characters."""
        if not self.next_is(text):
            raise InvalidFilter(f"Invalid filter pattern: expected '{text}' before '{self.rest()}'")
        self._at += len(text)
        self._skip()

    def take_if(self, text: str) -> bool:
        """These characters if they are next."""
        if self.next_is(text):
            self.take(text)
            return True
        return False

    def take_one_of(self, characters: str) -> str:
        """One of these characters, or nothing; no blank is skipped."""
        if not self.at_end() and self._text[self._at] in characters:
            self._at += 1
            return self._text[self._at - 1]
        return ""

    def take_match(self, expression: str, what: str) -> str:
        """What the expression matches here."""
        found = re.compile(expression).match(self._text, self._at)
        if not found or not found[0]:
            raise InvalidFilter(f"Invalid filter pattern: expected {what} before '{self.rest()}'")
        self._at = found.end()
        self._skip()
        return found[0]

    def finish(self) -> None:
        """A JSON or space-delimited pattern is read: nothing follows it, and it has at most two expressions."""
        if not self.at_end():
            raise InvalidFilter(f"Invalid filter pattern: '{self.rest()}' after the end")
        if self._expressions > _MAX_EXPRESSIONS:
            raise InvalidFilter(f"Invalid filter pattern: more than {_MAX_EXPRESSIONS} regular expressions")

    def take_term(self) -> str:
        """A term without quotes: alphanumeric characters and underscores."""
        whole = self.take_match(r"\S+", "a term")
        if not re.fullmatch(r"\w+", whole):
            raise InvalidFilter(f"Invalid character(s) in term '{whole}'")
        return whole

    def take_quoted(self) -> str:
        r"""A text in double quotes; ``\"`` is a quote and ``\\`` a backslash in it."""
        found = self.take_match(r'"(?:[^"\\]|\\.)*"', "a text in quotes")
        return re.sub(r'\\(["\\])', r"\1", found[1:-1])

    def take_regex(self) -> str:
        """What is between two percent signs."""
        self._expressions += 1
        return self.take_match(r"%[^%]*%", "a regular expression in percent signs")[1:-1]


def regular_expression(text: str) -> re.Pattern[str]:
    """A regular expression of the syntax that AWS has. Raises InvalidFilter."""
    if not _REGEX.fullmatch(text):
        raise InvalidFilter(f"Invalid regular expression '{text}': it has an unsupported character")
    try:
        return re.compile(text, re.ASCII)
    except re.error as error:
        raise InvalidFilter(f"Invalid regular expression '{text}': {error}") from None


def take_comparison(tokens: Tokens, ends: str, number: Callable[[Any], Decimal | None]) -> Callable[[Any], bool]:
    """``= value`` and the like; ``ends`` are the characters that end a value without quotes.

    ``number`` says what number a value is, or None.
    """
    sign = next((one for one in _HOLDS if tokens.take_if(one)), None)
    if sign is None:
        raise InvalidFilter(f"Invalid filter pattern: expected a comparison before '{tokens.rest()}'")
    if tokens.next_is("%"):
        expression = regular_expression(tokens.take_regex())
        return _either(sign, lambda found: isinstance(found, str) and expression.search(found) is not None)
    if tokens.next_is('"'):
        return _either(sign, _like(tokens.take_quoted()))
    text = tokens.take_match(rf"[^\s{re.escape(ends)}]+", "a value")
    if not _NUMBER.fullmatch(text):
        return _either(sign, _like(text))
    return _of_number(sign, Decimal(text), number)


def number_of(found: Any) -> Decimal | None:
    """A number, or None for anything else."""
    if isinstance(found, Decimal):
        return found
    if isinstance(found, (int, float)) and not isinstance(found, bool):
        return Decimal(repr(found))
    return None


def number_in(text: str) -> Decimal | None:
    """The number that a text is."""
    try:
        return Decimal(text) if _NUMBER.fullmatch(text) else None
    except InvalidOperation:
        return None


def _of_number(sign: str, wanted: Decimal, number: Callable[[Any], Decimal | None]) -> Callable[[Any], bool]:
    holds = _HOLDS[sign]

    def test(found: Any) -> bool:
        worth = number(found)
        # A text is not this number.
        return holds(worth, wanted) if worth is not None else sign == "!=" and isinstance(found, str)

    return test


def _like(text: str) -> Callable[[Any], bool]:
    """Equality, in which a star stands for any text."""
    expression = re.compile(".*".join(map(re.escape, text.split("*"))), re.DOTALL)
    return lambda found: isinstance(found, str) and expression.fullmatch(found) is not None


def _either(sign: str, equal: Callable[[Any], bool]) -> Callable[[Any], bool]:
    if sign == "=":
        return equal
    if sign == "!=":
        return lambda found: isinstance(found, (str, Decimal, int, float)) and not equal(found)
    raise InvalidFilter(f"Invalid filter pattern: '{sign}' compares numbers only")
