"""How many rows an object in bronze has, counted from its bytes and not from what the functions wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import IO, TYPE_CHECKING, Final

from sluice.paths import DATASETS_DIR
from sluice_pipeline.objects import formats
from sluice_pipeline.objects.csv_text import Dialect, record_spans
from sluice_pipeline.objects.failures import ObjectFailed
from sluice_pipeline.objects.formats import Format
from sluice_pipeline.objects.json_documents import document_pieces
from sluice_pipeline.objects.json_text import line_pieces

if TYPE_CHECKING:
    from sluice_pipeline.catalog.datasets import Dataset

_BLANK: Final = b" \t\r\n\0"
_BOM: Final = b"\xef\xbb\xbf"
_BLOCK: Final = 1 << 20
_UNLIMITED: Final = 1 << 40  # what was committed was within the pipeline's limits
_PLAIN: Final = re.compile(rb"\{[^{}\r]*\}[ \r]*")


class UncountableError(Exception):
    """The object cannot be read as rows at all: broken gzip, broken JSON document, not text."""


@cache
def known_datasets() -> Mapping[str, Dataset]:
    """The datasets of this checkout, for how their files are written; none when a file of them is wrong."""
    from sluice_pipeline.catalog.compiler import compile_catalog
    from sluice_pipeline.catalog.datasets import parse_catalog
    from sluice_pipeline.catalog.errors import CatalogError

    try:
        return parse_catalog(compile_catalog(DATASETS_DIR)).datasets
    except CatalogError:
        return {}


def count_rows(key: str, body: IO[bytes], dataset: Dataset | None = None) -> int:
    """Rows in an object: objects and other pieces of JSON, or records of a CSV below its header (docs/rows.md).

    JSON lines are counted as they stream by, whatever their size; the other formats are read whole.
    Raises UncountableError when there are no rows to count.
    """
    head = body.read(formats.SNIFF_BYTES)
    records_at = dataset.records_at if dataset else ""
    try:
        if formats.is_gzip(head) or formats.is_utf16(head):
            return _count_whole(key, head + body.read(), dataset)
        if formats.detect(key, head, records_at) != Format.JSONL:
            return _count_whole(key, head + body.read(), dataset)
    except ObjectFailed as error:
        raise UncountableError(str(error)) from error
    return sum(_count_line(line) for line in _lines(head, body))


def _count_whole(key: str, data: bytes, dataset: Dataset | None) -> int:
    if formats.is_gzip(data):
        data = formats.gunzip(data, _UNLIMITED).data
    records_at = dataset.records_at if dataset else ""
    formats.require_text(key, data, records_at)
    if formats.is_utf16(data):
        data = formats.as_utf8(data)
    match formats.detect(key, data, records_at):
        case Format.CSV:
            dialect = dataset.csv if dataset else Dialect()
            records = sum(1 for _ in record_spans(data, dialect))
            return records if dialect.header else max(0, records - 1)
        case Format.DOCUMENT:
            pieces, summary = document_pieces(data.removeprefix(_BOM).decode("latin-1"), records_at)
            if pieces and summary is None and not any(piece.whole for piece in pieces):
                raise UncountableError("broken JSON document: no object in it can be read")
            return len(pieces) + (summary is not None)
        case _:
            return sum(_count_line(line) for line in data.removeprefix(_BOM).split(b"\n"))


def _lines(head: bytes, stream: IO[bytes]) -> Iterator[bytes]:
    rest = [head.removeprefix(_BOM)]
    while block := stream.read(_BLOCK):
        *lines, tail = block.split(b"\n")
        if lines:
            lines[0] = b"".join(rest) + lines[0]
            yield from b"\n".join(lines).split(b"\n")
            rest = [tail]
        else:
            rest.append(tail)
    yield from b"".join(rest).split(b"\n")


def _count_line(line: bytes) -> int:
    if _PLAIN.fullmatch(line):
        return 1
    if not line.strip(_BLANK):
        return 0
    text = line.decode("latin-1")  # as the reader sees it; of bytes, json would leave out a byte order mark
    try:
        if isinstance(json.loads(text), dict):
            return 1
    except (ValueError, RecursionError):
        pass
    return len(line_pieces(text))
