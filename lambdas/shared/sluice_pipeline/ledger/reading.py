"""The ledger as it is read: objects, their chunks, and the files of those."""

from collections.abc import Iterable, Iterator
from typing import Any, cast

from sluice_pipeline.dynamo.retries import TransientError
from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.ledger import contents, files, shards
from sluice_pipeline.ledger.items import CHUNK, OBJECT_SK, ChunkItem, ObjectItem, chunk_sk, is_gone, object_pk


class PagesMissing(TransientError):
    """A chunk's item names pages of files that are not there: another worker replaces them just now."""


class Reading:
    """``shard_count``: over how many each index is spread, by default as the function's settings say."""

    def __init__(self, client: Any, table: str, shard_count: int | None = None) -> None:
        self._table = Table(client, table)
        self._shards = shards.Shards(self._table, shard_count)

    def object(self, object_id: str) -> ObjectItem | None:
        """The object, or the one whose content it has."""
        return contents.followed([object_id], self._items).get(object_id)

    def _items(self, object_ids: Iterable[str]) -> dict[str, ObjectItem]:
        found = ((name, self._table.get(object_pk(name), OBJECT_SK)) for name in object_ids)
        return {name: cast("ObjectItem", item) for name, item in found if item}

    def chunk(self, object_id: str, index: int) -> ChunkItem | None:
        """A chunk with all its files; raises PagesMissing as chunks does."""
        item = self._table.get(object_pk(object_id), chunk_sk(index))
        return self._with_files(item) if item else None

    def chunk_alone(self, object_id: str, index: int) -> ChunkItem | None:
        """A chunk without the files that are listed in pages."""
        return cast("ChunkItem | None", self._table.get(object_pk(object_id), chunk_sk(index)))

    def chunks(self, object_id: str) -> Iterator[ChunkItem]:
        """All chunks of an object in order, each with all its files.

        Raises:
            PagesMissing: the files of a chunk could not be read; the caller's retry finds them.
        """
        chunks = self._table.query(object_pk(object_id), CHUNK)
        return (self._with_files(chunk) for chunk in chunks if not is_gone(chunk))

    def _with_files(self, item: dict[str, Any]) -> ChunkItem:
        for _ in range(2):  # a newer run that has ended meanwhile has other pages, and its own item
            if not files.page_count(item):
                break
            pages = self._table.query(item["pk"], files.pages_prefix(item["sk"], int(item["files_run"])))
            if found := files.joined(item, pages):
                return found
            item = self._table.get(item["pk"], item["sk"]) or item
        else:
            raise PagesMissing(
                f"{item['sk']} of {item['pk']} has {files.page_count(item)} pages of files, not all there"
            )
        return cast("ChunkItem", item)
