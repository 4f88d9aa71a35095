"""The queue of chunk pointers: a message counts as sent only when SQS says so."""

import json
from collections.abc import Sequence
from itertools import batched
from typing import Any, Final

from sluice_pipeline.catalog.rules import RulesVersion
from sluice_pipeline.events.messages import ChunkMessage
from sluice_pipeline.ledger.items import ObjectItem
from sluice_pipeline.objects.chunks import Chunk
from sluice_pipeline.objects.identity import ObjectRef, Origin

_BATCH: Final = 10  # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html


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
        for batch in batched(chunks or [announcer], _BATCH, strict=False):
            messages = [ChunkMessage(ref, origin, item["dataset"], chunk, run, rules) for chunk in batch]
            entries = [{"Id": str(i), "MessageBody": message.to_json()} for i, message in enumerate(messages)]
            answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
            if failed := answer.get("Failed"):
                raise RuntimeError(f"SQS rejected {len(failed)} of {len(entries)} chunk messages: {json.dumps(failed)}")
        return max(1, len(chunks))
