"""Rows as one column of byte strings, each with the offset in its object at which it begins.

All cutting is done on whole columns: an Arrow binary array is nothing but one buffer and the offsets at which its
values begin, so finding the newlines of a chunk *is* making the column of its lines, without a copy.
"""

import codecs
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.failures import Failure, ObjectFailed

_ENVELOPE: Final[dict[str, type]] = {"summary": dict, "records": list}


@dataclass(frozen=True, slots=True)
class Lines:
    """``text``: LargeBinary column, one raw row each (line end included); ``offset``: int64 column, bytes from the
    begin of the (unpacked) object."""

    text: pa.LargeBinaryArray
    offset: pa.Int64Array

    def __len__(self) -> int:
        return len(self.text)

    def slice(self, begin: int, length: int) -> "Lines":
        return Lines(self.text.slice(begin, length), self.offset.slice(begin, length))

    def filter(self, mask: pa.BooleanArray) -> "Lines":
        return Lines(self.text.filter(mask), self.offset.filter(mask))

    def joined(self) -> pa.Buffer:
        """The bytes of all rows one after the other, as they stand in the buffer: no copy."""
        if not len(self.text):
            return pa.py_buffer(b"")
        _, offsets, data = self.text.buffers()
        view = memoryview(offsets).cast("q")
        begin, end = view[self.text.offset], view[self.text.offset + len(self.text)]
        return data.slice(begin, end - begin)

    def longest(self) -> int:
        """Bytes of the longest row."""
        return int(pc.max(pc.binary_length(self.text)).as_py() or 0)

    def raw(self, index: int) -> bytes:
        """One row without its line end."""
        value: bytes = self.text[index].as_py()
        return value.rstrip(b"\r\n")


def split_lines(data: bytes, begin: int) -> Lines:
    """The non-blank lines of ``data``, which begins at byte ``begin`` of its object; a BOM there is no content."""
    if begin == 0 and data.startswith(codecs.BOM_UTF8):
        begin, data = len(codecs.BOM_UTF8), data[len(codecs.BOM_UTF8) :]
    if not data:
        return _lines(data, pa.array([0], pa.int64()), begin)
    octets = pa.UInt8Array.from_buffers(pa.uint8(), len(data), [None, pa.py_buffer(data)])
    ends = pc.indices_nonzero(pc.equal(octets, pa.scalar(10, pa.uint8()))).cast(pa.int64())
    edges = [pa.array([0], pa.int64()), pc.add(ends, 1)]
    if not data.endswith(b"\n"):
        edges.append(pa.array([len(data)], pa.int64()))
    return without_blanks(_lines(data, pa.concat_arrays(edges), begin))


def join_records(data: bytes, spans: Sequence[tuple[int, int]], begin: int = 0) -> Lines:
    """Rows that lie at the given [start, end) spans of ``data``, each made one line (newlines become spaces).

    Only for JSON: there a raw newline cannot stand inside a string.
    """
    rows = [data[start:end].replace(b"\r", b" ").replace(b"\n", b" ") + b"\n" for start, end in spans]
    offsets = pa.array([begin + start for start, _ in spans], pa.int64())
    return Lines(pa.array(rows, pa.large_binary()), offsets)


def csv_records(data: bytes, begin: int) -> Lines:
    """The non-blank records of CSV text; a newline inside quotes belongs to its record."""
    lines = split_lines(data, begin)
    if b'"' not in data:
        return lines
    rows: list[bytes] = []
    offsets: list[int] = []
    open_quotes = False
    # blank lines matter inside quotes, so this goes over the data again instead of over `lines`
    position = len(codecs.BOM_UTF8) if begin == 0 and data.startswith(codecs.BOM_UTF8) else 0
    for line in _newline_parts(data, position):
        if open_quotes:
            rows[-1] += line
        else:
            rows.append(line)
            offsets.append(begin + position)
        open_quotes ^= line.count(b'"') % 2 == 1
        position += len(line)
    return without_blanks(Lines(pa.array(rows, pa.large_binary()), pa.array(offsets, pa.int64())))


def document_records(data: bytes) -> Lines:
    """The elements of a JSON array, or the objects that stand one after the other, each as one line.

    An only object ``{"summary": {...}, "records": [...]}`` is an envelope: its records are the rows, and the summary,
    if it is there, is one of record type ``summary``.

    Raises:
        ObjectFailed: ``unreadable`` when the document breaks off or is broken: there is no next line to go on at.
    """
    # Latin-1 gives each byte one character, so positions are byte offsets; multi-byte characters only stand inside
    # strings, where their bytes cannot be mistaken for JSON's own characters.
    text = data.decode("latin-1")
    position = _skip(text, len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0)
    in_array = text.startswith("[", position)
    scan = json.JSONDecoder().raw_decode
    spans: list[tuple[int, int]] = []
    if enveloped := None if in_array else _envelope(text, position):
        return _unwrapped(data, text, enveloped)
    if in_array:
        position = _skip(text, position + 1)
    while position < len(text) and not (in_array and text[position] == "]"):
        try:
            _, end = scan(text, position)
        except (ValueError, RecursionError) as error:
            raise ObjectFailed(
                Failure.UNREADABLE, f"broken JSON document after {len(spans)} rows, near byte {position}: {error}"
            ) from error
        spans.append((position, end))
        position = _skip(text, end)
        if in_array and text.startswith(",", position):
            position = _skip(text, position + 1)
        elif in_array and not text.startswith("]", position):
            raise ObjectFailed(Failure.UNREADABLE, f"JSON array breaks off after {len(spans)} rows, at byte {position}")
    if in_array and (position >= len(text) or _skip(text, position + 1) != len(text)):
        raise ObjectFailed(Failure.UNREADABLE, f"JSON array has no proper end, at byte {position}")
    return join_records(data, spans)


def _envelope(text: str, position: int) -> dict[str, tuple[int, int]] | None:
    """Where the values of an envelope's members lie; None when the text is something else, be it broken."""
    scan = json.JSONDecoder().raw_decode
    found: dict[str, tuple[int, int]] = {}
    try:
        while text[position] in "{,":
            name, end = scan(text, _skip(text, position + 1))
            colon = _skip(text, end)
            begin = _skip(text, colon + 1)
            value, end = scan(text, begin)
            if text[colon] != ":" or name in found or not isinstance(value, _ENVELOPE.get(name, ())):
                return None
            found[name] = begin, end
            position = _skip(text, end)
        closed = text[position] == "}" and _skip(text, position + 1) == len(text)
    except (ValueError, TypeError, IndexError, RecursionError):
        return None
    return found if closed and "records" in found else None


def _unwrapped(data: bytes, text: str, members: dict[str, tuple[int, int]]) -> Lines:
    scan = json.JSONDecoder().raw_decode
    position = _skip(text, members["records"][0] + 1)
    spans: list[tuple[int, int]] = []
    while text[position] != "]":
        _, end = scan(text, position)
        spans.append((position, end))
        position = _skip(text, end)
        if text[position] == ",":
            position = _skip(text, position + 1)
    lines = join_records(data, spans)
    if "summary" not in members:
        return lines
    begin, end = members["summary"]
    summary = join_records(data, [(begin, end)])
    if b'"record_type"' not in data[begin:end]:
        rest = summary.raw(0)[1:]
        comma = b"" if rest.lstrip().startswith(b"}") else b", "
        row = b'{"record_type": "summary"' + comma + rest + b"\n"
        summary = Lines(pa.array([row], pa.large_binary()), summary.offset)
    return Lines(
        pa.concat_arrays([lines.text, summary.text]),
        pa.concat_arrays([lines.offset, summary.offset]),
    )


def without_blanks(lines: Lines) -> Lines:
    """White space alone is no row; it is neither counted nor kept."""
    if pc.all(pc.starts_with(lines.text, b"{")).as_py():
        return lines  # as almost always; a regular expression takes ten times as long to say so
    blank = pc.match_substring_regex(lines.text, r"\A[ \t\r\n]*\z")
    return lines.filter(pc.invert(blank)) if pc.any(blank).as_py() else lines


def _lines(data: bytes, edges: pa.Int64Array, begin: int) -> Lines:
    count = len(edges) - 1
    _, offsets = edges.buffers()
    text = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), count, [None, offsets.slice(edges.offset * 8), pa.py_buffer(data)]
    )
    return Lines(text, pc.add(edges.slice(0, count), begin))


def _newline_parts(data: bytes, position: int) -> list[bytes]:
    parts = data[position:].split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _skip(text: str, position: int) -> int:
    """The position of the next character that is no JSON white space."""
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position
