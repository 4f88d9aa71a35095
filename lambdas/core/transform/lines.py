"""Rows as one column of byte strings, each with the offset in its object at which it begins.

All cutting is done on whole columns: an Arrow binary array is nothing but one buffer and the offsets at which its
values begin, so finding the newlines of a chunk *is* making the column of its lines, without a copy.
"""

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from sluice_pipeline.objects.csv_text import Dialect, MalformedCsv, merged_record, parse_record
from sluice_pipeline.objects.failures import Failure, ObjectFailed
from sluice_pipeline.objects.json_documents import document_pieces
from sluice_pipeline.objects.json_text import Piece

DEFAULT_DIALECT: Final = Dialect()
_BLOCK: Final = 4 * 1024 * 1024  # bytes that are searched, and copied, at once


@dataclass(frozen=True, slots=True)
class Lines:
    """``text``: LargeBinary column, one raw row each (line end included); ``offset``: int64 column, bytes from the
    begin of the (unpacked) object. ``closed``: every CSV quote in them is known to open or close a field."""

    text: pa.LargeBinaryArray
    offset: pa.Int64Array
    closed: bool = False

    def __len__(self) -> int:
        return len(self.text)

    def slice(self, begin: int, length: int) -> "Lines":
        return Lines(self.text.slice(begin, length), self.offset.slice(begin, length), self.closed)

    def filter(self, mask: pa.BooleanArray) -> "Lines":
        return Lines(self.text.filter(mask), self.offset.filter(mask), self.closed)

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
    begin, data = _without_bom(data, begin)
    return without_blanks(_cut(data, begin, _ends(data, b"\n")))


def join_records(data: bytes, spans: Sequence[tuple[int, int]], begin: int = 0) -> Lines:
    """The rows at the given [start, end) spans of ``data``, each as one line (newlines become spaces).

    Only for JSON: there a raw newline cannot stand inside a string.
    """
    rows = [data[start:end].replace(b"\r", b" ").replace(b"\n", b" ") + b"\n" for start, end in spans]
    offsets = pa.array([begin + start for start, _ in spans], pa.int64())
    return Lines(pa.array(rows, pa.large_binary()), offsets)


def concat(parts: Sequence[Lines]) -> Lines:
    """All rows, in the order of their offsets."""
    parts = [part for part in parts if len(part)]
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return Lines(pa.array([], pa.large_binary()), pa.array([], pa.int64()))
    offset = pa.concat_arrays([part.offset for part in parts])
    order = pc.sort_indices(offset)
    return Lines(pa.concat_arrays([part.text for part in parts]).take(order), offset.take(order))


def without_skipped(lines: Lines, skipped: Sequence[int]) -> tuple[Lines, Lines]:
    """The rows that Arrow's CSV reader read, and those that it skipped; it counts them from 1."""
    if not skipped:
        return lines, lines.slice(0, 0)
    mask = [True] * len(lines)
    for number in skipped:
        mask[number - 1] = False
    read = pa.array(mask, pa.bool_())
    return lines.filter(read), lines.filter(pc.invert(read))


def csv_records(data: bytes, begin: int, dialect: Dialect = DEFAULT_DIALECT, columns: int | None = None) -> Lines:
    """The non-blank records of CSV text; a line end inside quotes belongs to its record.

    ``columns``: how many the header has, when it is not the first record. Lines end with CR, LF or both.
    """
    begin, data = _without_bom(data, begin)
    # a record ends at the first of CR and LF, an LF after CR is a blank line; but where all CR are part of CRLF
    only_crlf = b"\r" not in data or data.count(b"\r") == data.count(b"\r\n")
    lines = _cut(data, begin, _ends(data, b"\n" if only_crlf else b"\r\n"))
    quote = dialect.quote.encode()
    if not quote or quote not in data:
        return without_blanks(Lines(lines.text, lines.offset, closed=True))
    return without_blanks(_with_quoted_ends(data, begin, lines, dialect, columns))


def _with_quoted_ends(data: bytes, begin: int, lines: Lines, dialect: Dialect, columns: int | None) -> Lines:
    """The lines, those made one that a quoted line end divides.

    Only lines with a quote whose fields are not all closed need to be looked at one by one.
    """
    doubt = pc.invert(pc.match_substring_regex(lines.text, closed(dialect)))
    if not pc.any(doubt).as_py():
        return Lines(lines.text, lines.offset, closed=True)
    unnamed = False
    if columns is None:
        first = next((raw for raw in (lines.raw(i) for i in range(len(lines))) if raw.strip(b" \t\0")), b"")
        columns, unnamed = _first_columns(data, first, dialect)
    starts: list[int] = []  # positions of lines that go on, and where their records end
    ends: list[int] = []
    behind = 0
    for index in pc.indices_nonzero(doubt).to_pylist():
        start = lines.offset[index].as_py() - begin
        if start < behind:
            continue
        try:
            end = merged_record(data, start, columns, unnamed, dialect)
        except MalformedCsv:
            continue
        if end > start + len(lines.text[index].as_py()):
            starts.append(start)
            ends.append(end)
            behind = end
    if not starts:
        return lines
    begins = pc.subtract(lines.offset, begin).to_pylist()
    kept, rows, at = [], [], 0
    for index, start in enumerate(begins):
        if at and start < ends[at - 1]:
            continue
        kept.append(start)
        if at < len(starts) and start == starts[at]:
            rows.append(data[start : ends[at]])
            at += 1
        else:
            rows.append(lines.text[index].as_py())
    return Lines(pa.array(rows, pa.large_binary()), pc.add(pa.array(kept, pa.int64()), begin))


def _first_columns(data: bytes, first: bytes, dialect: Dialect) -> tuple[int | None, bool]:
    """How many columns the header has that begins with this line, and whether the last one has no name."""
    try:
        fields, _ = parse_record(data, data.index(first), dialect)
    except MalformedCsv:
        return None, False
    return len(fields), not fields[-1].text


@cache
def closed(dialect: Dialect) -> str:
    """A regular expression of records whose quotes all open and close a field."""
    quote, delimiter = re.escape(dialect.quote), re.escape(dialect.delimiter)
    field = rf"(?:{quote}(?:[^{quote}]|{quote}{quote})*{quote}|[^{quote}{delimiter}\r\n]*)"
    return rf"(?s)\A{field}(?:{delimiter}{field})*[\r\n]*\z"


def document_records(data: bytes, records_at: str = "") -> Lines:
    """The rows of a JSON text that is read as a whole, in the order in which they stand; the summary comes last.

    What is no object is a row, too, and is rejected by the reader. A summary without a record type gets one.

    Raises:
        ObjectFailed: ``unreadable`` when the text holds no JSON object at all.
    """
    begin, data = _without_bom(data, 0)
    pieces, summary = document_pieces(data.decode("latin-1"), records_at)
    if pieces and summary is None and not any(piece.whole for piece in pieces):
        at = begin + pieces[0].start
        raise ObjectFailed(Failure.UNREADABLE, f"broken JSON document: no object in it can be read, from byte {at}")
    lines = pieces_of(data, pieces, begin)
    if summary is None:
        return lines
    row = data[summary.start : summary.end]
    if b'"record_type"' not in row:
        comma = b"" if row[1:].lstrip().startswith(b"}") else b", "
        row = b'{"record_type": "summary"' + comma + row[1:]
    own = join_records(row, [(0, len(row))])
    at = pa.array([begin + summary.start], pa.int64())
    return Lines(pa.concat_arrays([lines.text, own.text]), pa.concat_arrays([lines.offset, at]))


def pieces_of(data: bytes, pieces: Sequence[Piece], begin: int) -> Lines:
    """Pieces of ``data``, which begins at byte ``begin`` of its object, as rows; broken ones as they stand."""
    if all(piece.whole for piece in pieces):
        return join_records(data, [(piece.start, piece.end) for piece in pieces], begin)
    rows = [
        data[start:end].replace(b"\r", b" ").replace(b"\n", b" ") + b"\n" if whole else data[start:end] + b"\n"
        for start, end, whole in pieces
    ]
    return Lines(pa.array(rows, pa.large_binary()), pa.array([begin + piece.start for piece in pieces], pa.int64()))


def without_blanks(lines: Lines) -> Lines:
    """White space and padding (NUL) alone are no row; they are neither counted nor kept."""
    if pc.all(pc.starts_with(lines.text, b"{")).as_py():
        return lines  # as almost always; a regular expression takes ten times as long to say so
    if len(lines) and pc.min(pc.binary_slice(lines.text, 0, 1)).as_py() > b" ":
        return lines  # none begins with a byte that is blank
    blank = pc.match_substring_regex(lines.text, r"\A[ \t\r\n\x00]*\z")
    return lines.filter(pc.invert(blank)) if pc.any(blank).as_py() else lines


def _without_bom(data: bytes, begin: int) -> tuple[int, bytes]:
    if begin == 0 and data.startswith(codecs.BOM_UTF8):
        return len(codecs.BOM_UTF8), data[len(codecs.BOM_UTF8) :]
    return begin, data


def _ends(data: bytes, ends: bytes) -> pa.Int64Array:
    """Positions behind each byte that is one of ``ends``, and behind the last byte; the first is 0."""
    behind = _behind(data, ends.decode()) if len(ends) == 1 else [_behind_any(data, ends)]
    edges = [pa.array([0], pa.int64()), *behind]
    if data and data[-1] not in ends:
        edges.append(pa.array([len(data)], pa.int64()))
    return pa.concat_arrays(edges)


def _behind(data: bytes, end: str) -> list[pa.Int64Array]:
    """Positions behind each ``end``, block by block: what stands between them has the lengths that lie between them.

    Arrow's search for a text takes a third of what comparing every byte does.
    """
    found, buffer = [], pa.py_buffer(data)
    for at in range(0, len(data), _BLOCK):
        block = buffer.slice(at, min(_BLOCK, len(data) - at))
        edges = pa.array([0, block.size], pa.int64())
        whole = pa.LargeBinaryArray.from_buffers(pa.large_binary(), 1, [None, edges.buffers()[1], block])
        between = pc.split_pattern(whole, end).values
        count = len(between) - 1
        lengths = pa.Int64Array.from_buffers(pa.int64(), count, [None, between.buffers()[1]], offset=between.offset + 1)
        found.append(pc.add(lengths, pa.arange(at + 1, at + 1 + count)))
    return found


def _behind_any(data: bytes, ends: bytes) -> pa.Int64Array:
    octets = pa.UInt8Array.from_buffers(pa.uint8(), len(data), [None, pa.py_buffer(data)])
    found = pc.equal(octets, pa.scalar(ends[0], pa.uint8()))
    for end in ends[1:]:
        found = pc.or_(found, pc.equal(octets, pa.scalar(end, pa.uint8())))
    return pc.add(pc.indices_nonzero(found).cast(pa.int64()), 1)


def _cut(data: bytes, begin: int, edges: pa.Int64Array) -> Lines:
    count = len(edges) - 1
    _, offsets = edges.buffers()
    text = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), count, [None, offsets.slice(edges.offset * 8), pa.py_buffer(data)]
    )
    return Lines(text, pc.add(edges.slice(0, count), begin))
