"""The queue of chunk pointers: a message counts as sent only when SQS says so."""

from collections.abc import Sequence
from typing import Any

from sluice_pipeline.catalog.rules import RulesVersion
from sluice_pipeline.events.batches import send_all
from sluice_pipeline.events.messages import ChunkMessage
from sluice_pipeline.ledger.items import ObjectItem
from sluice_pipeline.objects.chunks import Chunk
from sluice_pipeline.objects.identity import ObjectRef, Origin


class ChunkQueue:
    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, item: ObjectItem, chunks: Sequence[Chunk]) -> int:
        """Sends the given chunks of an object's present run; how many messages went out.

        Without any, all chunks are done but the object is not announced: the chunk that claimed the commit is sent.

        Raises:
            RuntimeError: SQS rejected a message; the caller's retry sends all open chunks again.
        """
        ref = ObjectRef.from_item(item)
        origin = Origin(**item["origin"])
        count, run = int(item["chunk_count"]), int(item["run"])
        rules = RulesVersion.from_dict(item.get("rules"))
        # only its place in the object matters: the ledger knows that the chunk itself is done
        announcer = Chunk(int(item.get("committing_chunk", 0)), 0, 0, count)
        messages = (
            ChunkMessage(ref, origin, item["dataset"], chunk, run, rules).to_json() for chunk in chunks or [announcer]
        )
        send_all(self._client, self._url, messages, "chunk messages")
        return max(1, len(chunks))
