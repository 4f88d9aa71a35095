"""The query language of CloudWatch Logs Insights, as far as this engine has it. Pure.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html

fields and display (names, with ``as``), filter (comparisons, like, =~, in, ispresent, and, or, not), stats (count,
count_distinct, sum, avg, min, max; by fields and bin), sort and limit. Everything else is refused: an answer that
leaves out a part of the query would be wrong.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final

Row = Mapping[str, Any]
Truth = bool | None
"""None: unknown, as a field is missing."""
Condition = Callable[[Row], Truth]

AGGREGATES: Final = ("count", "count_distinct", "sum", "avg", "min", "max")
KNOWN_FIELDS: Final = frozenset(
    {"@timestamp", "@message", "@logStream", "@log", "@ingestionTime", "@ptr", "@requestId", "@type"}
    | {"@duration", "@billedDuration", "@initDuration", "@memorySize", "@maxMemoryUsed"}
)
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?)(?P<unit>[a-z]+\b)?"""
    r"""|`(?P<quoted>[^`]+)`|(?P<name>[@A-Za-z_][\w@.]*)|(?P<sign>!=|<=|>=|=~|[=<>(),\[\]*+/%^-]))"""
)
_REGEX: Final = re.compile(r"\s*/((?:[^/\\]|\\.)*)/")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SIGNS: Final = ("=", "!=", "<", "<=", ">", ">=")


class Malformed(ValueError):
    """The query is not one, or asks for what this engine does not have; says what."""


@dataclass(frozen=True, slots=True)
class Column:
    """A field of the answer: what it is called and where it comes from."""

    title: str
    name: str


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A statistic: its title, function and field (``*`` for rows)."""

    title: str
    function: str
    name: str


@dataclass(frozen=True, slots=True)
class Group:
    """What rows are grouped by: a field, or spans of time (s)."""

    title: str
    name: str
    seconds: int | None = None


@dataclass(slots=True)
class Command:
    """One command; only the parts of its kind are filled."""

    kind: str
    columns: list[Column] = field(default_factory=list)
    condition: Condition | None = None
    aggregates: list[Aggregate] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    order: list[tuple[str, bool]] = field(default_factory=list)
    limit: int = 0


def parse(text: str) -> list[Command]:
    """The commands of a query. Raises Malformed."""
    commands = [_Reader(part).command() for part in _parts(text)]
    if not commands:
        raise Malformed("the query is empty")
    return commands


def _parts(text: str) -> list[str]:
    """Split at the bars that are not in a text or a regular expression; comments end with their line."""
    found = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?:like|=~)\s*/(?:[^/\\]|\\.)*/)|(#[^\n]*)|(\|)""")
    parts, at, whole = [""], 0, text
    for match in found.finditer(whole):
        parts[-1] += whole[at : match.start()] + (match[1] or "")
        if match[3]:
            parts.append("")
        at = match.end()
    parts[-1] += whole[at:]
    if any(not part.strip() for part in parts):
        raise Malformed("a command is empty")
    return parts


class _Reader:
    """Reads one command."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text.strip(), 0

    def command(self) -> Command:
        kind = self._name().lower()
        readers = {
            "fields": self._fields,
            "display": self._fields,
            "filter": self._filter,
            "stats": self._stats,
            "sort": self._sort,
            "limit": self._limit,
        }
        if kind not in readers:
            raise Malformed(f"the command {kind} is not supported")
        found = readers[kind](Command(kind))
        if self._at < len(self._text):
            raise Malformed(f"unexpected {self._text[self._at :].strip()!r} in {kind}")
        return found

    # Tokens

    def _match(self) -> re.Match[str] | None:
        return _TOKEN.match(self._text, self._at)

    def _next(self, kind: str, what: str) -> str:
        found = self._match()
        if not found or found[kind] is None:
            raise Malformed(f"expected {what} before {self._text[self._at :].strip()!r}")
        self._at = found.end()
        return found[kind]

    def _if(self, *words: str) -> str:
        """One of these signs or words, whatever its case, or nothing."""
        found = self._match()
        token = found and (found["sign"] or found["name"])
        if found and token and token.lower() in words:
            self._at = found.end()
            return token.lower()
        return ""

    def _need(self, word: str) -> None:
        if not self._if(word):
            raise Malformed(f"expected {word!r} before {self._text[self._at :].strip()!r}")

    def _name(self) -> str:
        found = self._match()
        if found and found["quoted"]:
            self._at = found.end()
            return found["quoted"]
        return self._next("name", "a name")

    def _field(self) -> str:
        name = self._name()
        if name.startswith("@") and name not in KNOWN_FIELDS:
            raise Malformed(f"the field {name} is not supported")
        return name

    # Commands

    def _title(self, default: str) -> str:
        return self._name() if self._if("as") else default

    def _fields(self, found: Command) -> Command:
        while True:
            name = self._field()
            found.columns.append(Column(self._title(name), name))
            if not self._if(","):
                return found

    def _filter(self, found: Command) -> Command:
        found.condition = self._either()
        return found

    def _sort(self, found: Command) -> Command:
        while True:
            start = self._at
            name = self._field()
            if self._if("("):  # a column of stats without a name of its own
                name = self._rest_of_call(start)
            found.order.append((name, self._if("asc", "desc") == "desc"))
            if not self._if(","):
                return found

    def _rest_of_call(self, start: int) -> str:
        end = self._text.find(")", start)
        if end < 0:
            raise Malformed("a ) is missing")
        self._at = end + 1
        return self._text[start : end + 1].strip()

    def _limit(self, found: Command) -> Command:
        number = self._next("number", "a number")
        if not number.isdigit() or not 1 <= int(number) <= 10_000:
            raise Malformed("limit must be between 1 and 10000")
        found.limit = int(number)
        return found

    def _stats(self, found: Command) -> Command:
        while True:
            start = self._at
            function = self._name().lower()
            if function not in AGGREGATES:
                raise Malformed(f"the statistic {function} is not supported")
            self._need("(")
            name = "*" if function == "count" and (self._if("*") or self._peek(")")) else self._field()
            self._need(")")
            written = self._text[start : self._at].strip()
            found.aggregates.append(Aggregate(self._title(written), function, name))
            if not self._if(","):
                break
        if self._if("by"):
            while True:
                found.groups.append(self._group())
                if not self._if(","):
                    break
        return found

    def _peek(self, sign: str) -> bool:
        found = self._match()
        return bool(found and found["sign"] == sign)

    def _group(self) -> Group:
        start = self._at
        name = self._field()
        if name.lower() != "bin" or not self._if("("):
            return Group(self._title(name), name)
        found = self._match()
        if not found or not found["number"] or not found["number"].isdigit() or found["unit"] not in _SECONDS:
            raise Malformed("bin takes a number with s, m, h or d")
        self._at = found.end()
        self._need(")")
        written = self._text[start : self._at].strip()
        seconds = int(found["number"]) * _SECONDS[found["unit"]]
        if not seconds:
            raise Malformed("bin takes a length above 0")
        return Group(self._title(written), "@timestamp", seconds)

    # Conditions

    def _either(self) -> Condition:
        parts = [self._both()]
        while self._if("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else lambda row: _any([part(row) for part in parts])

    def _both(self) -> Condition:
        parts = [self._one()]
        while self._if("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda row: _not(_any([_not(part(row)) for part in parts]))

    def _one(self) -> Condition:
        if self._if("not"):
            inner = self._one()
            return lambda row: _not(inner(row))
        if self._if("("):
            inner = self._either()
            self._need(")")
            return inner
        name = self._field()
        if name.lower() == "ispresent" and self._if("("):
            wanted = self._field()
            self._need(")")
            return lambda row: row.get(wanted) is not None
        return self._comparison(name)

    def _comparison(self, name: str) -> Condition:
        negated = bool(self._if("not"))
        sign = self._if("like", "in", *(() if negated else ("=~", *_SIGNS)))
        if not sign:
            raise Malformed(f"expected a comparison after {name}")
        test = self._listed() if sign == "in" else self._like() if sign in ("like", "=~") else self._compared(sign)

        def condition(row: Row) -> Truth:
            value = row.get(name)
            return None if value is None else test(value) is not negated

        return condition

    def _literal(self) -> str | Decimal:
        negative = bool(self._if("-"))
        found = self._match()
        if found and found["number"] and not found["unit"]:
            self._at = found.end()
            return Decimal(found["number"]) * (-1 if negative else 1)
        if negative:
            raise Malformed("a - before what is no number")
        return re.sub(r"\\(.)", r"\1", self._next("text", "a text in quotes or a number")[1:-1])

    def _listed(self) -> Callable[[Any], bool]:
        self._need("[")
        tests = [_equal(self._literal())]
        while self._if(","):
            tests.append(_equal(self._literal()))
        self._need("]")
        return lambda value: any(test(value) for test in tests)

    def _like(self) -> Callable[[Any], bool]:
        if not (found := _REGEX.match(self._text, self._at)):
            text = self._literal()
            return lambda value: str(text) in text_of(value)
        self._at = found.end()
        try:
            expression = re.compile(found[1])
        except re.error as error:
            raise Malformed(f"/{found[1]}/ is no regular expression: {error}") from None
        return lambda value: expression.search(text_of(value)) is not None

    def _compared(self, sign: str) -> Callable[[Any], bool]:
        literal = self._literal()
        equal = _equal(literal)
        if sign in ("=", "!="):
            return equal if sign == "=" else lambda value: not equal(value)
        if isinstance(literal, str):
            raise Malformed(f"{sign} compares numbers only")
        holds: dict[str, Callable[[Decimal], bool]] = {
            "<": lambda number: number < literal,
            "<=": lambda number: number <= literal,
            ">": lambda number: number > literal,
            ">=": lambda number: number >= literal,
        }
        return lambda value: (number := number_of(value)) is not None and holds[sign](number)


def _equal(literal: str | Decimal) -> Callable[[Any], bool]:
    if isinstance(literal, str):
        return lambda value: text_of(value) == literal
    return lambda value: number_of(value) == literal


def _any(found: list[Truth]) -> Truth:
    return True if True in found else None if None in found else False


def _not(found: Truth) -> Truth:
    return None if found is None else not found


def number_of(value: Any) -> Decimal | None:
    """The number that a value is, also as a text."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def text_of(value: Any) -> str:
    """A value as the answer has it."""
    if isinstance(value, Decimal):
        whole = value.to_integral_value()
        return f"{whole:f}" if value == whole else f"{value.normalize():f}"
    return str(value)
