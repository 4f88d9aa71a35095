"""Counts the rows of a bronze object with code of its own, so that a mistake in lambdas/ cannot hide in the check."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from typing import IO

BOM = "\ufeff"
_WRAPPED = re.compile(r'\{\s*"(summary|records)"')


class UncountableError(ValueError):
    """The object cannot be read as rows at all: broken gzip, broken JSON document, not text."""


def count_rows(key: str, body: IO[bytes]) -> int:
    """Rows in an object: lines that are not blank, records of a CSV below its header, or elements of a document.

    JSON lines are counted as they stream by, whatever their size; the other formats are read whole.
    Raises UncountableError when there are no rows to count.
    """
    head = body.read(1 << 16)
    name = key.lower().removesuffix(".gz")
    if head.startswith(b"\x1f\x8b"):
        return _count_text(name, _text(_unpack(head + body.read())))
    if name.endswith(".csv") or head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"[" or _may_span(name, head):
        return _count_text(name, _text(head + body.read()))
    return _count_lines(head, body)


def _count_lines(head: bytes, stream: IO[bytes]) -> int:
    rows, rest = 0, head.removeprefix(b"\xef\xbb\xbf")
    while rest:
        *lines, tail = rest.split(b"\n")
        rows += sum(1 for line in lines if line.strip())
        block = stream.read(1 << 20)
        if not block:
            return rows + bool(tail.strip())
        rest = tail + block
    return rows


def _count_text(name: str, text: str) -> int:
    if name.endswith(".csv"):
        csv.field_size_limit(1 << 30)
        records = csv.reader(io.StringIO(text, newline=""))
        return max(0, sum(1 for record in records if len(record) > 1 or "".join(record).strip()) - 1)
    start = text.lstrip()
    if (
        start.startswith("{")
        and not name.endswith((".jsonl", ".ndjson"))
        and (rows := _count_wrapped(start)) is not None
    ):
        return rows
    if start.startswith("["):
        try:
            return len(json.loads(text))
        except ValueError as error:
            raise UncountableError(f"broken JSON array: {error}") from error
    if start.startswith("{") and not name.endswith((".jsonl", ".ndjson")) and not _is_json(start.split("\n", 1)[0]):
        rows = _count_objects(start)
        if rows is not None:
            return rows
    return sum(1 for line in text.split("\n") if line.strip())


def _count_objects(text: str) -> int | None:
    """The number of JSON objects one after the other, None when the text is something else."""
    decoder, position, rows = json.JSONDecoder(), 0, 0
    while position < len(text):
        try:
            _, position = decoder.raw_decode(text, position)
        except ValueError:
            return None
        rows += 1
        while position < len(text) and text[position].isspace():
            position += 1
    return rows


def _count_wrapped(text: str) -> int | None:
    """Rows of ``{"summary": {...}, "records": [...]}``, the summary being one; None when the text is something else."""
    if not _WRAPPED.match(text):
        return None
    try:
        whole = json.loads(text)
    except ValueError:
        return None
    if not isinstance(whole, dict) or not whole.keys() <= {"summary", "records"}:
        return None
    records, summary = whole.get("records"), whole.get("summary", {})
    return len(records) + ("summary" in whole) if isinstance(records, list) and isinstance(summary, dict) else None


def _may_span(name: str, head: bytes) -> bool:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if name.endswith((".jsonl", ".ndjson")) or not start.startswith(b"{"):
        return False
    if _WRAPPED.match(start.decode("utf-8", errors="replace")):
        return True
    return not _is_json(start.split(b"\n", 1)[0])


def _is_json(line: str | bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _unpack(data: bytes) -> bytes:
    try:
        return gzip.decompress(data)
    except (OSError, EOFError) as error:
        raise UncountableError(f"broken gzip: {error}") from error


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace").removeprefix(BOM)
