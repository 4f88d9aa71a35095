"""One file: its format, compression and columns, from a sample of it on disk."""

import bz2
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

from sluice_ext.athena.worker.errors import QueryFailed
from sluice_ext.athena.worker.hive_types import literal, result_type
from sluice_ext.glue.crawlers.worker import schemas, texts
from sluice_ext.glue.crawlers.worker.schemas import Columns
from sluice_ext.glue.crawlers.worker.texts import CsvRules, Text

PARQUET: Final = b"PAR1"
# Of a compressed file that much is unpacked at most: a small file may be made to become a huge one.
_UNPACKED: Final = 4 << 20
UNREADABLE: Final = "unknown"


@dataclass(frozen=True)
class Sample:
    """What is known of a file. ``place``: "bucket/key"."""

    place: str
    size: int
    format: str = UNREADABLE
    compression: str = "none"
    columns: tuple[tuple[str, Any], ...] = ()
    records: int = 0
    details: tuple[tuple[str, str], ...] = ()

    @property
    def kind(self) -> tuple[str, ...]:
        """Files of different kinds are never of one table."""
        details = dict(self.details)
        return (self.format, self.compression, details.get("delimiter", ""), details.get("serde", ""))

    def to_json(self) -> dict[str, Any]:
        """See `from_json`."""
        columns = [[name, schemas.to_json(kind)] for name, kind in self.columns]
        return vars(self) | {"columns": columns, "details": dict(self.details)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Sample":
        """What `to_json` wrote."""
        columns = tuple((name, schemas.from_json(kind)) for name, kind in value["columns"])
        return cls(**(value | {"columns": columns, "details": tuple(value["details"].items())}))


def read(place: str, path: Path, size: int, connection: duckdb.DuckDBPyConnection, rules: list[CsvRules]) -> Sample:
    """What the file at ``path`` is; it has the size of the object, and at least its beginning and its end."""
    with path.open("rb") as file:
        head = file.read(1 << 20)
    if head[:4] == PARQUET:
        return _parquet(place, path, size, connection)
    whole = len(head) == size
    compression, content = _unpacked(head)
    if compression != "none":
        whole = whole and len(content) < _UNPACKED
    text = _decoded(content)
    found = text_of(text, whole, rules) if text is not None else None
    if found is None:
        return Sample(place, size, compression=compression)
    read_bytes = max(len(content), 1)
    records = found.records if whole else max(found.records, round(found.records * size / read_bytes))
    return Sample(
        place, size, found.format, compression, tuple(found.columns.items()), records, tuple(found.details.items())
    )


def text_of(text: str, whole: bool, rules: list[CsvRules]) -> Text | None:
    """Classifiers of the crawler come first, then the built-in ones."""
    for one in rules:
        if found := texts.comma_separated(text, whole, one):
            return found
    return texts.json_lines(text, whole) or texts.comma_separated(text, whole)


def _parquet(place: str, path: Path, size: int, connection: duckdb.DuckDBPyConnection) -> Sample:
    source = literal(str(path))
    try:
        found = connection.sql(f"SELECT * FROM read_parquet({source}, hive_partitioning=false) LIMIT 0")
        columns: Columns = schemas.folded(
            (name, result_type(kind)) for name, kind in zip(found.columns, found.types, strict=True)
        )
        row = connection.execute(f"SELECT num_rows FROM parquet_file_metadata({source})").fetchone()
    except (duckdb.Error, QueryFailed):
        return Sample(place, size)
    return Sample(place, size, "parquet", columns=tuple(columns.items()), records=int(row[0]) if row else 0)


def _unpacked(head: bytes) -> tuple[str, bytes]:
    try:
        if head[:2] == b"\x1f\x8b":
            return "gzip", zlib.decompressobj(31).decompress(head, _UNPACKED)
        if head[:3] == b"BZh":
            return "bzip2", bz2.BZ2Decompressor().decompress(head, _UNPACKED)
    except (zlib.error, OSError, EOFError):
        return "none", head
    return "none", head


def _decoded(content: bytes) -> str | None:
    """Text in UTF-8; a character that the end of the sample cuts off is left out."""
    for end in range(4):
        try:
            return content[: len(content) - end].decode("utf-8-sig")
        except UnicodeDecodeError as error:
            if error.start < len(content) - 4:
                return None
    return None
