"""CSV by RFC 4180: where records end, and which fields they have.

A quote opens a quoted field only at the field's begin; elsewhere it is a character like any other. A delimiter or the
record's end follows the closing quote. CR, LF and CRLF end a record outside of quotes.
https://www.rfc-editor.org/rfc/rfc4180
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Final

_BOM: Final = b"\xef\xbb\xbf"
_LINE: Final = re.compile(rb"[^\r\n]*[\r\n]?")


class MalformedCsv(ValueError):
    """The bytes are no record: what is wrong with them."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a dataset's CSV files are written.

    ``quote`` may be empty: then nothing is quoted. ``null``: the unquoted texts that stand for no value. ``header``:
    the columns of files that have no header line, empty when the first record names them.
    """

    delimiter: str = ","
    quote: str = '"'
    null: tuple[str, ...] = ("",)
    header: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Value:
    """A field's bytes, unquoted."""

    text: bytes
    quoted: bool = False


def parse_record(data: bytes, start: int, dialect: Dialect) -> tuple[list[Value], int]:
    """The fields of the record that begins at ``start``, and where it ends (its line end, one character, included).

    Raises:
        MalformedCsv: a quoted field is not closed, or text follows its closing quote.
    """
    quote, delimiter = dialect.quote.encode(), dialect.delimiter.encode()
    stop = _stop(delimiter)
    fields: list[Value] = []
    position = start
    while True:
        if quote and data.startswith(quote, position):
            value, position = _quoted(data, position, quote)
            fields.append(Value(value, quoted=True))
            if not (position >= len(data) or data.startswith((delimiter, b"\r", b"\n"), position)):
                raise MalformedCsv("text follows a closing quote")
        else:
            match = stop.search(data, position)
            end = match.start() if match else len(data)
            fields.append(Value(data[position:end]))
            position = end
        if not data.startswith(delimiter, position):
            return fields, min(position + 1, len(data))
        position += len(delimiter)


def _quoted(data: bytes, start: int, quote: bytes) -> tuple[bytes, int]:
    """The text of the quoted field that begins at ``start``, and the position behind its closing quote."""
    end = data.find(quote, start + 1)
    while end >= 0 and data.startswith(quote, end + 1):
        end = data.find(quote, end + 2)
    if end < 0:
        raise MalformedCsv("a quoted field is not closed")
    return data[start + 1 : end].replace(quote * 2, quote), end + 1


def fits(fields: int, columns: int, *, unnamed: bool, last_is_empty: bool) -> bool:
    """Whether a record of so many fields belongs under a header of so many columns.

    An empty last field (a trailing delimiter) may be there in the record or in the header (``unnamed``) alone.
    """
    return fields == columns or (fields == columns + 1 and last_is_empty) or (fields == columns - 1 and unnamed)


def header_names(line: bytes, dialect: Dialect) -> tuple[str, ...]:
    """Column names of a header line, without the blanks about them.

    Raises:
        MalformedCsv, UnicodeDecodeError: it is none.
    """
    fields, _ = parse_record(line, 0, dialect)
    return tuple(value.text.decode("utf-8").strip() for value in fields)


def merged_record(data: bytes, start: int, columns: int | None, unnamed: bool, dialect: Dialect) -> int:
    """Where the record ends that begins at ``start`` and has a quote.

    A record may go on over lines only when it has as many fields as the header; so a quote without an end costs its own
    line, not the lines up to the next quote.

    Raises:
        MalformedCsv: it is none; its row is the line alone.
    """
    fields, end = parse_record(data, start, dialect)
    last_is_empty = not fields[-1].text and not fields[-1].quoted
    if columns is not None and not fits(len(fields), columns, unnamed=unnamed, last_is_empty=last_is_empty):
        raise MalformedCsv(f"{len(fields)} fields, the header has {columns}")
    return end


def record_spans(data: bytes, dialect: Dialect) -> Iterator[tuple[int, int]]:
    """[start, end) of each record that is not blank, the header included."""
    position = len(_BOM) if data.startswith(_BOM) else 0
    columns, unnamed = (len(dialect.header), False) if dialect.header else (None, False)
    quote = dialect.quote.encode()
    while position < len(data):
        match = _LINE.match(data, position)
        end = match.end() if match else len(data)
        if not data[position:end].strip(b" \t\r\n\0"):
            position = end
            continue
        if quote and quote in data[position:end]:
            with suppress(MalformedCsv):
                end = merged_record(data, position, columns, unnamed, dialect)
        if columns is None:
            columns, unnamed = _columns(data[position:end], dialect)
        yield position, end
        position = end


def _columns(line: bytes, dialect: Dialect) -> tuple[int | None, bool]:
    try:
        names = header_names(line, dialect)
    except (MalformedCsv, UnicodeDecodeError):
        return None, False
    return len(names), not names[-1]


@cache
def _stop(delimiter: bytes) -> re.Pattern[bytes]:
    return re.compile(b"[\r\n]|" + re.escape(delimiter))
