"""The format of a bronze object, by its key and its first bytes; ingest and transform get the same answer.

It uses at most SNIFF_BYTES of the content, so that ingest needs no more than one small read.
"""

import codecs
import re
import zlib
from enum import StrEnum
from typing import Final, NamedTuple

from sluice_pipeline.objects.failures import Failure, ObjectFailed
from sluice_pipeline.objects.json_documents import document_pieces
from sluice_pipeline.objects.json_text import BLANK, breaks_off, line_pieces

SNIFF_BYTES: Final = 64 * 1024
GZIP_MAGIC: Final = b"\x1f\x8b"
_CONTROL: Final = bytes(set(range(32)) - {9, 10, 12, 13})
_BLANK_BYTES: Final = BLANK.encode()
_REPLACEMENT: Final = "\ufffd".encode()
_ENVELOPE: Final = re.compile(rb'\{\s*"(summary|records)"\s*:\s*[\[{]')  # records wrapped in one object
_JSON_BEGIN: Final = re.compile(rb'[\s\0]*(\[\s*)?\{\s*["}]')  # what no CSV header begins with
_MAX_UNREADABLE: Final = 0.1  # share of bytes that are no text above which content counts as binary
_UTF_32: Final = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# The first bytes of what is not read: a name says more than "not text".
_NAMES: Final = (
    (b"\x28\xb5\x2f\xfd", "zstd-compressed; send gzip, or nothing compressed"),
    (b"BZh", "bzip2-compressed; send gzip, or nothing compressed"),
    (b"\xfd7zXZ\0", "xz-compressed; send gzip, or nothing compressed"),
    (b"\x04\x22\x4d\x18", "lz4-compressed; send gzip, or nothing compressed"),
    (b"\xff\x06\0\0sNaPpY", "snappy-compressed; send gzip, or nothing compressed"),
    (b"\x82SNAPPY\0", "snappy-compressed; send gzip, or nothing compressed"),
    (b"PK\x03\x04", "a ZIP archive (or an Excel file); send its files"),
    (b"7z\xbc\xaf", "a 7z archive; send its files"),
    (b"Rar!\x1a\x07", "a RAR archive; send its files"),
    (GZIP_MAGIC, "gzip within gzip; pack it once"),
    (b"PAR1", "Parquet; send JSON or CSV"),
    (b"ORC", "ORC; send JSON or CSV"),
    (b"Obj\x01", "Avro; send JSON or CSV"),
    (b"ARROW1\0\0", "Arrow; send JSON or CSV"),
    (b"SQLite format 3\0", "an SQLite database; send JSON or CSV"),
    (b"%PDF", "a PDF; send JSON or CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Office file; send JSON or CSV"),
)


_MAGIC: Final = tuple(magic for magic, _ in _NAMES)


class Format(StrEnum):
    JSONL = "jsonl"  # JSON objects in lines; can be cut at any line
    DOCUMENT = "document"  # a JSON array, records in an envelope, or objects that span lines; read as a whole
    CSV = "csv"  # can be cut when no field is quoted


def is_gzip(head: bytes) -> bool:
    return head.startswith(GZIP_MAGIC)


def is_utf16(head: bytes) -> bool:
    """Whether content begins with the byte order mark of UTF-16; it is read as a whole then, and as UTF-8."""
    return head.startswith(_UTF_16) and not head.startswith(_UTF_32)


def as_utf8(data: bytes) -> bytes:
    """UTF-16 content (with its byte order mark) in UTF-8.

    Half a surrogate pair and an odd byte at the end become bytes that are no UTF-8, so that they cost their row.
    """
    codec = "utf-16-le" if data.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"
    even = len(data) - len(data) % 2
    text = data[2:even].decode(codec, "surrogatepass").encode("utf-8", "surrogatepass")
    return text + b"\xff" if even < len(data) else text


def detect(key: str, head: bytes, records_at: str = "") -> Format:
    """The format of (unpacked) content by its key's ending and its first bytes; ``records_at`` as the dataset says."""
    head = head[:SNIFF_BYTES]
    name = key.lower().removesuffix(".gz")
    if name.endswith(".csv") and not _JSON_BEGIN.match(head.removeprefix(codecs.BOM_UTF8)):
        return Format.CSV
    text = head.removeprefix(codecs.BOM_UTF8).lstrip(_BLANK_BYTES)
    if records_at:
        return Format.DOCUMENT
    if text.startswith(b"["):
        return Format.JSONL if _is_line_in_brackets(text) else Format.DOCUMENT
    if text.startswith(b"{") and not name.endswith((".jsonl", ".ndjson")) and _ENVELOPE.match(text):
        return Format.DOCUMENT
    return Format.DOCUMENT if _spans_lines(text) else Format.JSONL


def require_text(key: str, data: bytes, records_at: str = "", *, complete: bool = True) -> None:
    """Raises ObjectFailed (``unreadable``) for content that is binary and holds no readable row.

    ``data`` is all of the content, or (``complete`` false) its begin, which is enough to know some formats.
    """
    head = data[:SNIFF_BYTES]
    if head.startswith(_UTF_32):
        raise ObjectFailed(Failure.UNREADABLE, f"{key} is UTF-32; send UTF-8 (UTF-16 is read, too)")
    reason = _binary(head)
    if not reason:
        return
    for magic, name in _NAMES:
        if head.startswith(magic):
            raise ObjectFailed(Failure.UNREADABLE, f"{key} is {name}")
    if complete and not _has_row(key, data, records_at):
        reason = "it looks like UTF-16 without a byte order mark" if _is_wide(head) else reason
        raise ObjectFailed(Failure.UNREADABLE, f"{key} is not UTF-8 text: {reason}")


def is_binary(head: bytes) -> bool:
    """Whether the first bytes look like no text. Rows may follow, so the content is read as a whole."""
    return bool(_binary(head))


def _binary(head: bytes) -> str:
    """Why the bytes look like no text, empty when they look like some."""
    if not head or is_utf16(head):
        return ""
    text = head.strip(b"\0")
    if not text or b"\0" in text or (len(text) < len(head) and head.startswith(_MAGIC)):
        return "it holds NUL bytes"
    decoded = text.decode("utf-8", errors="replace")
    bad = decoded.count("\ufffd") - text.count(_REPLACEMENT) + len(text) - len(text.translate(None, _CONTROL))
    return f"{bad} of {len(decoded)} characters are bad" if bad > _MAX_UNREADABLE * max(1, len(decoded)) else ""


def _is_wide(head: bytes) -> bool:
    """Whether almost every second byte is NUL and almost no other is, as in UTF-16 of Latin text."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    return max(even, odd) > 0.4 * len(head) > 4 * min(even, odd)


def _has_row(key: str, data: bytes, records_at: str) -> bool:
    match detect(key, data, records_at):
        case Format.CSV:
            return not _binary(re.split(rb"[\r\n]", data.removeprefix(codecs.BOM_UTF8), maxsplit=1)[0])
        case Format.DOCUMENT:
            return any(piece.whole for piece in document_pieces(_latin(data), records_at)[0])
    lines = re.finditer(rb'[^\n]*\{\s*"[^\n]*', data)
    return any(piece.whole for match in lines for piece in line_pieces(_latin(match[0])))


def _is_line_in_brackets(text: bytes) -> bool:
    """Whether the first line, which begins with [, is no begin of an array of rows but a line among others."""
    line, _, rest = text.partition(b"\n")
    rest = rest.lstrip(_BLANK_BYTES)
    inner = line[1:].lstrip(_BLANK_BYTES)
    if inner and not inner.startswith((b"{", b"]")):
        return bool(rest) and not _spans_lines(text)
    pieces, _ = document_pieces(_latin(line))
    return bool(inner) and all(piece.whole for piece in pieces) and rest.startswith((b"{", b"["))


def _spans_lines(text: bytes) -> bool:
    """Whether objects go on over lines, as pretty-printed ones do: no line alone is one, the lines together are."""
    *lines, _ = text.split(b"\n")
    if any(line.startswith(b"{") and any(piece.whole for piece in line_pieces(_latin(line))) for line in lines):
        return False
    pieces, _ = document_pieces(_latin(text))
    if any(piece.whole and b"\n" in text[piece.start : piece.end] for piece in pieces):
        return True
    return len(lines) > 1 and text.startswith(b"{") and breaks_off(_latin(text))  # longer than what is seen of it


def _latin(text: bytes) -> str:
    return text.decode("latin-1")


class Unpacked(NamedTuple):
    """Content of a gzip object, and how many bytes that are none follow its stream."""

    data: bytes
    trailing: int


def gunzip(data: bytes, limit: int) -> Unpacked:
    """Unpacks gzip (several members as well), at most ``limit`` bytes: a bomb must not take the function's memory.

    What follows the last member and is none is left out, as gzip(1) does, and counted; blanks and zeros are nothing.

    Raises:
        ObjectFailed: ``truncated_gzip``, ``unreadable`` (broken or foreign bytes) or ``over_limit``.
    """
    out: list[bytes] = []
    total = 0
    while data:
        member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            part = member.decompress(data, limit - total + 1)
        except zlib.error as error:
            raise ObjectFailed(Failure.UNREADABLE, f"broken gzip: {error}") from error
        total += len(part)
        if total > limit:
            raise ObjectFailed(Failure.OVER_LIMIT, f"unpacks to more than {limit} bytes")
        if not member.eof:
            raise ObjectFailed(Failure.TRUNCATED_GZIP, f"the gzip stream ends early, after {total} unpacked bytes")
        out.append(part)
        data = member.unused_data.lstrip(b"\0")  # zero padding after the last member is allowed (RFC 1952, gzip(1))
        if not data.startswith(GZIP_MAGIC):
            return Unpacked(b"".join(out), len(data) if data.strip(b" \t\r\n\0") else 0)
    return Unpacked(b"".join(out), 0)
