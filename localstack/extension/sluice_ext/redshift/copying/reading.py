"""The rows of an object in a text format: CSV, fields between delimiters, or JSON.

https://docs.aws.amazon.com/redshift/latest/dg/copy-parameters-data-format.html
"""

import bz2
import csv
import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO, cast

from sluice_ext.redshift.copying import errors
from sluice_ext.redshift.copying.errors import LoadFailed
from sluice_ext.redshift.copying.tables import Column
from sluice_ext.redshift.copying.values import BadValue
from sluice_ext.redshift.sql.errors import Unsupported
from sluice_ext.redshift.sql.load_command import Copy

_LONGEST: Final = 4 << 20  # characters of a row: https://docs.aws.amazon.com/redshift/latest/dg/r_COPY.html
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}
# What `\t` and octal numbers mean in DELIMITER.
_DELIMITERS: Final = {"\\t": "\t", "\\n": "\n"}


@dataclass(frozen=True)
class Row:
    """``fields`` belong to the columns by place; ``problem`` says why there are none."""

    line: int
    raw: str
    fields: list[str | None]
    problem: BadValue | None = None


def opened(path: Path, options: dict[str, Any]) -> TextIO:
    """Bytes that are not UTF-8 become surrogates, one by one."""
    kind = options.get("compression")
    if kind == "zstd":
        raise Unsupported("COPY ZSTD")
    opener = {"gzip": gzip.open, "bzip2": bz2.open}.get(kind or "", open)
    encoding = {"utf16": "utf-16", "utf16le": "utf-16-le", "utf16be": "utf-16-be"}.get(
        str(options.get("encoding", "utf8")).lower(), "utf-8"
    )
    found = opener(path, "rt", encoding=encoding, errors="surrogateescape", newline="")  # type: ignore[operator]
    return cast(TextIO, found)


def rows(file: TextIO, detail: Copy, columns: list[Column], paths: list[str] | None) -> Iterator[Row]:
    """In the order of the file. Rows of another number of fields than the columns have a problem."""
    if detail.format == "json":
        yield from _json_rows(file, detail, columns, paths)
        return
    first = int(detail.options.get("ignoreheader", 0))
    source = _csv_rows(file, detail) if detail.format == "csv" else _delimited_rows(file, detail)
    for row in source:
        if row.line <= first or (detail.options.get("ignoreblanklines") and not row.raw.strip()):
            continue
        yield row if row.problem else _fitted(row, detail, len(columns))


def _fitted(row: Row, detail: Copy, wanted: int) -> Row:
    fields = row.fields
    if len(fields) == wanted + 1 and not fields[-1] and detail.format == "text":
        return Row(row.line, row.raw, fields[:-1])  # a delimiter may also end the row
    if len(fields) > wanted:
        return Row(row.line, row.raw, [], BadValue(errors.EXTRA, "Extra column(s) found"))
    if len(fields) < wanted:
        if not detail.options.get("fillrecord"):
            return Row(row.line, row.raw, [], BadValue(errors.DELIMITER_NOT_FOUND, "Delimiter not found"))
        return Row(row.line, row.raw, [*fields, *[None] * (wanted - len(fields))])
    return row


def _delimiter(detail: Copy, default: str) -> str:
    given = detail.options.get("delimiter", default)
    octal = re.fullmatch(r"\\(\d{3})", given)
    return chr(int(octal[1], 8)) if octal else _DELIMITERS.get(given, given)


class _Lines:
    """Lines, of which the last that were read can be shown."""

    def __init__(self, file: TextIO) -> None:
        self._file, self.seen = file, list[str]()

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._file.readline(_LONGEST + 2)
        if not line:
            raise StopIteration
        self.seen.append(line)
        return line


def _csv_rows(file: TextIO, detail: Copy) -> Iterator[Row]:
    lines = _Lines(file)
    csv.field_size_limit(_LONGEST)
    delimiter, quote = _delimiter(detail, ","), detail.options.get("quote", '"')
    if len(delimiter) != 1 or len(quote) != 1:
        raise LoadFailed("ERROR: COPY delimiter and quote must be a single character")
    reader = csv.reader(lines, delimiter=delimiter, quotechar=quote, doublequote=True, strict=True)
    while True:
        first = reader.line_num + 1
        lines.seen.clear()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            problem = BadValue(errors.DELIMITER_NOT_FOUND, "Invalid quote formatting for CSV")
            yield Row(first, "".join(lines.seen).rstrip("\r\n"), [], problem)
            continue
        raw = "".join(lines.seen).rstrip("\r\n")
        yield Row(first, raw, list(fields) if fields else [""])


def _delimited_rows(file: TextIO, detail: Copy) -> Iterator[Row]:
    delimiter = _delimiter(detail, "|")
    escape, quotes = bool(detail.options.get("escape")), bool(detail.options.get("removequotes"))
    number, pending = 0, ""
    for line in file:
        number += 1
        text = line[:-1] if line.endswith("\n") else line
        text = text[:-1] if text.endswith("\r") else text
        text, pending = pending + text, ""
        if escape and (len(text) - len(text.rstrip("\\"))) % 2 and line.endswith("\n"):
            pending = text + "\n"
            continue
        fields = _split(text, delimiter) if escape else text.split(delimiter)
        yield Row(number, text, [_unquoted(one) if quotes else one for one in fields])


def _split(text: str, delimiter: str) -> list[str | None]:
    """Fields with backslashes before delimiters and line ends; ``\\N`` stays for NULL."""
    fields: list[str | None] = []
    current, at = "", 0
    while at < len(text):
        if text[at] == "\\" and at + 1 < len(text):
            following = text[at + 1]
            current += "\\N" if following == "N" and not current else _ESCAPES.get(following, following)
            at += 2
        elif text.startswith(delimiter, at):
            fields.append(current)
            current, at = "", at + len(delimiter)
        else:
            current += text[at]
            at += 1
    return [*fields, current]


def _unquoted(field: str | None) -> str | None:
    if field and len(field) > 1 and field[0] == field[-1] and field[0] in "'\"":
        return field[1:-1]
    return field


def _json_rows(file: TextIO, detail: Copy, columns: list[Column], paths: list[str] | None) -> Iterator[Row]:
    mode = detail.options["json"]
    for line, raw, found in _objects(file):
        if isinstance(found, BadValue):
            yield Row(line, raw, [], found)
        elif mode == "noshred":
            yield Row(line, raw, [_shown(found)])
        elif paths is not None:
            yield Row(line, raw, [_shown(_at(found, path)) for path in paths])
        elif not isinstance(found, dict):
            yield Row(line, raw, [], BadValue(errors.BAD_JSON, "Invalid JSONPath format: Not an object"))
        else:
            if mode.endswith("ignorecase"):
                found = {key.lower(): value for key, value in found.items()}
            yield Row(line, raw, [_shown(found.get(column.name)) for column in columns])


def _objects(file: TextIO) -> Iterator[tuple[int, str, Any]]:
    """Values one after the other, with the line where each begins."""
    decoder = json.JSONDecoder()
    text, first = "", 1
    for number, line in enumerate(file, 1):
        if not text.strip():
            text, first = "", number
        text += line
        while text := text.lstrip("\ufeff \t\r\n"):
            try:
                value, end = decoder.raw_decode(text)
            except json.JSONDecodeError as error:
                unfinished = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
                if unfinished and len(text) < _LONGEST:
                    break
                yield first, text.rstrip("\r\n"), BadValue(errors.BAD_JSON, f"Invalid JSON: {error.msg}")
                text = ""
                continue
            yield first, text[:end], value
            text, first = text[end:], number
    if text.strip():
        yield first, text.rstrip("\r\n"), BadValue(errors.BAD_JSON, "Invalid JSON: unexpected end of the file")


def _shown(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def path_steps(path: str) -> list[str | int]:
    """``$['a'].b[0]`` as its keys and places. Raises LoadFailed."""
    if not path.startswith("$"):
        raise LoadFailed(f"ERROR: Invalid JSONPath format: {path}")
    steps: list[str | int] = []
    rest = path[1:]
    while rest:
        found = re.match(r"\.([^.\[]+)|\[(\d+)\]|\['([^']*)'\]|\[\"([^\"]*)\"\]", rest)
        if not found:
            raise LoadFailed(f"ERROR: Invalid JSONPath format: {path}")
        key, place, quoted, double = found.groups()
        steps.append(int(place) if place is not None else key or quoted or double or "")
        rest = rest[found.end() :]
    return steps


def _at(value: Any, path: str) -> Any:
    for step in path_steps(path):
        if isinstance(step, int) and isinstance(value, list) and step < len(value):
            value = value[step]
        elif isinstance(step, str) and isinstance(value, dict):
            value = value.get(step)
        else:
            return None
    return value
