"""Into which chunks an object is cut: by its name, its size and its first bytes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sluice_pipeline.catalog.datasets import Dataset
from sluice_pipeline.objects import formats
from sluice_pipeline.objects.chunks import Chunk, split
from sluice_pipeline.objects.csv_text import Dialect
from sluice_pipeline.objects.failures import Failure, ObjectFailed


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes: of a chunk, and of the largest object that has to be read as one."""

    chunk_bytes: int
    single_chunk_bytes: int


def cut(
    key: str,
    size: int,
    head: bytes,
    blocks: Callable[[], Iterable[bytes]],
    dataset: Dataset | None,
    limits: Limits,
) -> list[Chunk]:
    """The chunks of an object of ``size`` bytes that begins with ``head``; ``blocks`` reads all of it.

    Raises:
        ObjectFailed: it is not text, or it has to be read as one piece and is too large for that.
    """
    if formats.is_gzip(head):
        return _whole("gzip", size, limits)
    records_at = dataset.records_at if dataset else ""
    formats.require_text(key, head, records_at, complete=len(head) >= size)
    if formats.is_utf16(head):
        return _whole("UTF-16", size, limits)
    if formats.is_binary(head):
        return _whole("content that looks binary", size, limits)
    match formats.detect(key, head, records_at):
        case formats.Format.JSONL:
            return split(size, limits.chunk_bytes)
        case formats.Format.CSV if size > limits.chunk_bytes:
            # A newline inside quotes is no end of a row, so only a file without quotes may be cut at newlines.
            quote = (dataset.csv if dataset else Dialect()).quote.encode()
            if quote and any(quote in block for block in blocks()):
                return _whole("CSV with quoted fields", size, limits)
            return split(size, limits.chunk_bytes)
        case _ as form:
            return _whole(form.value, size, limits)


def _whole(what: str, size: int, limits: Limits) -> list[Chunk]:
    limit = limits.single_chunk_bytes
    if size > limit:
        raise ObjectFailed(
            Failure.OVER_LIMIT,
            f"{what} is read as one piece, {size} bytes are more than the limit of {limit}; cut it, or send JSON lines",
        )
    return split(size, max(size, 1))
