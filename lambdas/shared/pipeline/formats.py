"""What a bronze object is, told by its key and its first bytes: the same answer in ingest and in transform."""

import codecs
import json
import re
import zlib
from enum import StrEnum
from typing import Final

from pipeline.failures import Failure, ObjectFailed

SNIFF_BYTES: Final = 64 * 1024
GZIP_MAGIC: Final = b"\x1f\x8b"
_CONTROL: Final = bytes(set(range(32)) - {9, 10, 12, 13})
_ENVELOPE: Final = re.compile(rb'\{\s*"(summary|records)"\s*:\s*[\[{]')  # records wrapped in one object
_MOST_UNREADABLE: Final = 0.1  # share of bytes that are no text above which a file is rubbish, not text with bad rows


class Format(StrEnum):
    JSONL = "jsonl"  # one object a line; can be cut anywhere
    DOCUMENT = "document"  # a JSON array, records in an envelope, or objects that span lines; read as a whole
    CSV = "csv"  # with a header; can be cut when no field is quoted


def is_gzip(head: bytes) -> bool:
    return head.startswith(GZIP_MAGIC)


def detect(key: str, head: bytes) -> Format:
    """The format of (unpacked) content by its key's ending and its first bytes.

    Raises:
        ObjectFailed: ``unreadable`` when the bytes are no text in UTF-8.
    """
    head = head[:SNIFF_BYTES]
    require_text(key, head)
    name = key.lower().removesuffix(".gz")
    if name.endswith(".csv"):
        return Format.CSV
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if text.startswith(b"["):
        return Format.DOCUMENT
    if (
        text.startswith(b"{")
        and not name.endswith((".jsonl", ".ndjson"))
        and (_ENVELOPE.match(text) or _spans_lines(text))
    ):
        return Format.DOCUMENT
    return Format.JSONL


def require_text(key: str, head: bytes) -> None:
    """Raises ObjectFailed (``unreadable``) for bytes that are no text; a few bad ones only spoil their rows."""
    if b"\0" in head:
        raise ObjectFailed(Failure.UNREADABLE, f"{key} holds NUL bytes: not UTF-8 text")
    if not head:
        return
    decoded = head.decode("utf-8", errors="replace")
    bad = decoded.count("�") + len(head) - len(head.translate(None, _CONTROL))
    if bad > _MOST_UNREADABLE * len(decoded):
        raise ObjectFailed(Failure.UNREADABLE, f"{key} is not UTF-8 text: {bad} of {len(decoded)} characters are bad")


def _spans_lines(text: bytes) -> bool:
    """Whether the first object goes on after its first line, as a pretty-printed one does."""
    line, newline, rest = text.partition(b"\n")
    if not newline or not rest.strip():
        return False
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        # a broken first line of a JSONL file is followed by a line that begins an object of its own
        return not rest.lstrip().startswith(b"{")
    return False


def gunzip(data: bytes, limit: int) -> bytes:
    """Unpacks gzip (several members as well), at most ``limit`` bytes: a bomb must not take the function's memory.

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
    return b"".join(out)
