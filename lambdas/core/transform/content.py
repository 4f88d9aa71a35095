"""From the bytes of an object, or of one chunk of it, to raw rows and the reader that understands them."""

from collections.abc import Callable
from typing import Final, NamedTuple

from core.transform.lines import Lines, csv_records, document_records, split_lines
from core.transform.readers import CsvReader, JsonReader, Reader, csv_header
from core.transform.rows import PartitionedRows, partition_mixed, partition_rows
from sluice_pipeline.catalog.datasets import MIXED, RECORD_TYPE, Catalog
from sluice_pipeline.objects import formats
from sluice_pipeline.objects.chunks import Chunk, read_owned
from sluice_pipeline.objects.csv_text import Dialect, MalformedCsv
from sluice_pipeline.objects.failures import Failure, ObjectFailed
from sluice_pipeline.objects.formats import Format

MAX_HEADER_BYTES: Final = 1024 * 1024
_FIRST_READ: Final = 64 * 1024

ReadRange = Callable[[int, int], bytes]


class Content(NamedTuple):
    """Raw rows with their reader; ``trailing``: bytes after a gzip stream that were left out.

    ``begin``: rows before this byte are another chunk's; they are there to be compared with.
    """

    lines: Lines
    reader: Reader
    trailing: int = 0
    begin: int = 0


def of_chunk(key: str, chunk: Chunk, read: ReadRange, size: int, limit: int, catalog: Catalog, dataset: str) -> Content:
    """The rows of a chunk of an object of ``size`` bytes; ``limit`` as for ``whole``.

    Raises:
        ObjectFailed: as ``whole`` and ``part`` do, or a line is too long.
    """
    if chunk.count == 1:
        return whole(key, read(0, size), limit, catalog, dataset)
    begin, data = read_owned(read, chunk, size)
    if not catalog.compares_rows(dataset):
        return part(key, data, begin, read, size, catalog, dataset)
    if size > limit:
        raise ObjectFailed(
            Failure.OVER_LIMIT,
            f"rows are compared with all before them (unique), {size} bytes are more than the limit of {limit}; cut it",
        )
    # all from the object's begin on: which of two equal rows is the first does not depend on other functions
    return part(key, read(0, begin) + data, 0, read, size, catalog, dataset)._replace(begin=begin)


def whole(key: str, data: bytes, limit: int, catalog: Catalog, dataset: str) -> Content:
    """The rows of an object that is read as a whole; it may unpack to ``limit`` bytes.

    Raises:
        ObjectFailed: no row of it can be read, it is cut off, or over a limit.
    """
    trailing = 0
    if formats.is_gzip(data):
        data, trailing = formats.gunzip(data, limit)
    settings = catalog.datasets.get(dataset)
    records_at = settings.records_at if settings else ""
    formats.require_text(key, data, records_at)
    if formats.is_utf16(data):
        data = formats.as_utf8(data)
    match formats.detect(key, data, records_at):
        case Format.DOCUMENT:
            return Content(document_records(data, records_at), JsonReader(cut_lines=False), trailing)
        case Format.CSV:
            dialect = settings.csv if settings else Dialect()
            lines, header = _headed(data, dialect)
            return Content(lines, _csv_reader(header, dialect, catalog, dataset), trailing)
        case _:
            return Content(split_lines(data, 0), JsonReader(), trailing)


def part(key: str, data: bytes, begin: int, read: ReadRange, size: int, catalog: Catalog, dataset: str) -> Content:
    """The rows of one chunk of several: ``data`` are the lines that begin in it, from byte ``begin``."""
    head = data[: formats.SNIFF_BYTES] if begin == 0 else read(0, min(size, formats.SNIFF_BYTES))
    if formats.detect(key, head) != Format.CSV:
        return Content(split_lines(data, begin), JsonReader())
    settings = catalog.datasets.get(dataset)
    dialect = settings.csv if settings else Dialect()
    if begin == 0:
        lines, header = _headed(data, dialect)
    else:
        header = dialect.header or csv_names(_header_line(head, read, size, dialect), dialect)
        lines = csv_records(data, begin, dialect, len(header))
    return Content(lines, _csv_reader(header, dialect, catalog, dataset))


def partition(content: Content, catalog: Catalog, dataset: str) -> PartitionedRows:
    """Every row in the table of its dataset, or bad. Raises ObjectFailed for a dataset that the catalog has not."""
    if dataset == MIXED:
        rows = partition_mixed(content.lines, catalog, content.reader, MIXED)
    else:
        found = catalog.datasets.get(dataset)
        if found is None:
            raise ObjectFailed(Failure.UNKNOWN_DATASET, f"no dataset {dataset!r}; deploy its YAML, then redrive")
        rows = partition_rows(content.lines, found, content.reader, catalog.summaries_of(dataset))
    if content.begin:
        rows.begin_at(content.begin)
    return rows


def csv_names(line: bytes, dialect: Dialect) -> tuple[str, ...]:
    """The header's names. Raises ObjectFailed: without them no row can be read."""
    try:
        return csv_header(line, dialect)
    except MalformedCsv as error:
        raise ObjectFailed(Failure.UNREADABLE, f"the CSV header cannot be read: {error}") from error


def _headed(data: bytes, dialect: Dialect) -> tuple[Lines, tuple[str, ...]]:
    """The records below the header, and its names."""
    if dialect.header:
        return csv_records(data, 0, dialect, len(dialect.header)), dialect.header
    records = csv_records(data, 0, dialect)
    if not len(records):
        return records, ()
    return records.slice(1, len(records) - 1), csv_names(records.raw(0), dialect)


def _header_line(head: bytes, read: ReadRange, size: int, dialect: Dialect) -> bytes:
    end = len(head)
    while True:
        records = csv_records(head, 0, dialect)
        if len(records) > 1 or end >= size:
            return records.raw(0)
        if end >= MAX_HEADER_BYTES:
            raise ObjectFailed(Failure.UNREADABLE, f"the CSV header has more than {MAX_HEADER_BYTES} bytes")
        end = min(size, end * 4)
        head = read(0, end)


def _csv_reader(header: tuple[str, ...], dialect: Dialect, catalog: Catalog, dataset: str) -> CsvReader:
    """Raises ObjectFailed when a header leaves no row readable: no field in it, or one twice."""
    fields = _fields(catalog, dataset)
    if header and fields:
        names = [fields.get(name, "") for name in header]
        twice = sorted({name for name in names if name and names.count(name) > 1})
        if twice:
            held = [repr(name) for name in dict.fromkeys(header) if fields.get(name) == twice[0]]
            raise ObjectFailed(Failure.UNREADABLE, f"the CSV header has two columns {' and '.join(held)}")
        if not any(names):
            shown = dialect.delimiter.join(header)[:200]
            raise ObjectFailed(
                Failure.UNREADABLE,
                f"the CSV header {shown!r} names no field of {dataset}; is the delimiter another "
                f"(csv.delimiter, here {dialect.delimiter!r}), or is there no header (csv.header)?",
            )
    return CsvReader(header, dialect)


def _fields(catalog: Catalog, dataset: str) -> dict[str, str]:
    """The fields that a header may name, by each of their names."""
    if dataset == MIXED:
        return {RECORD_TYPE: RECORD_TYPE}
    found = catalog.datasets.get(dataset)
    return {name: field.name for field in found.fields for name in field.names} if found else {}
