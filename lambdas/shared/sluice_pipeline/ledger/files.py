"""Which files a chunk has written: in its own item, or, when they are many, in pages beside it.

An item of DynamoDB holds 400 KB, and a chunk with thousands of dates names thousands of files:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html

A page has the chunk's ``pk`` and ``sk`` = ``files#<chunk>#<run>#<page>``, so that no run overwrites the pages of
another. The chunk's item says of which run they are and how many (``files_run``, ``files_pages``); other pages count
for nothing. They are written before the transaction that completes the chunk.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

from sluice_pipeline.ledger.items import ChunkItem, Output, QuarantineFile, chunk_number

PAGES: Final = "files#"
PAGE_FIELDS: Final = ("files_run", "files_pages")
"""Of a chunk's item: of which run its pages are, and how many."""
PAGE_BYTES: Final = 200_000  # of the 400 KB, as JSON; DynamoDB's own form has the same text and shorter numbers
_KINDS: Final = ("outputs", "quarantine")


def pages_prefix(chunk_sk: str, run: int) -> str:
    """How the sort keys of a chunk's pages begin; ``chunk_sk`` is the sort key of the chunk."""
    return f"{PAGES}{chunk_number(chunk_sk):010d}#{run:010d}#"


def in_pages(
    chunk_sk: str, run: int, outputs: Sequence[Output], quarantine: Sequence[QuarantineFile]
) -> list[dict[str, Any]]:
    """The pages without their ``pk``, none when the files fit into the chunk's item."""
    pages: list[dict[str, Any]] = [{}]
    size = 0
    for kind, entries in zip(_KINDS, (outputs, quarantine), strict=True):
        for entry in entries:
            length = len(json.dumps(entry, ensure_ascii=False).encode())
            if size + length > PAGE_BYTES and pages[-1]:
                pages.append({})
                size = 0
            pages[-1].setdefault(kind, []).append(entry)
            size += length
    if len(pages) == 1:
        return []
    prefix = pages_prefix(chunk_sk, run)
    return [{"sk": f"{prefix}{number:05d}"} | page for number, page in enumerate(pages)]


def page_count(chunk: Mapping[str, Any]) -> int:
    """How many pages belong to a chunk's item."""
    return int(chunk.get("files_pages") or 0)


def joined(chunk: Mapping[str, Any], pages: Iterable[Mapping[str, Any]]) -> ChunkItem | None:
    """The chunk with all its files in ``outputs`` and ``quarantine``; None when a page is not there.

    ``pages``: in any order; those of other chunks and runs are passed over.
    """
    count = page_count(chunk)
    if not count:
        return cast("ChunkItem", dict(chunk))
    prefix = pages_prefix(chunk["sk"], int(chunk["files_run"]))
    found = {str(page["sk"]): page for page in pages}
    names = [f"{prefix}{number:05d}" for number in range(count)]
    if not all(name in found for name in names):
        return None
    files = {kind: list(_entries(kind, [found[name] for name in names])) for kind in _KINDS}
    return cast("ChunkItem", dict(chunk) | files)


def _entries(kind: str, pages: Iterable[Mapping[str, Any]]) -> Iterator[Any]:
    for page in pages:
        yield from page.get(kind, [])
