"""The queue of chunk pointers: believes only what SQS says it took."""

import json
from collections.abc import Sequence
from itertools import batched
from typing import Any, Final

from pipeline.identity import ObjectRef, Origin
from pipeline.items import ObjectItem
from pipeline.messages import Chunk, ChunkMessage

_BATCH: Final = 10  # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html


class ChunkQueue:
    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, item: ObjectItem, chunks: Sequence[Chunk]) -> int:
        """Sends the given chunks of an object's present run; how many messages went out.

        Without any, all are done but nobody has announced the object: the chunk that had claimed that is sent.

        Raises:
            RuntimeError: SQS refused a message; whoever retries sends all open chunks again.
        """
        ref = ObjectRef(item["bucket"], item["key"], item["version_id"], item["etag"], int(item["size"]))
        origin = Origin(**item["origin"])
        count = int(item["chunk_count"])
        # only its place in the object matters: the ledger knows that the chunk itself is done
        announcer = Chunk(int(item.get("committing_chunk", 0)), 0, 0, count)
        for batch in batched(chunks or [announcer], _BATCH, strict=False):
            messages = [ChunkMessage(ref, origin, item["dataset"], chunk, int(item["run"])) for chunk in batch]
            entries = [{"Id": str(i), "MessageBody": message.to_json()} for i, message in enumerate(messages)]
            answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
            if failed := answer.get("Failed"):
                raise RuntimeError(f"SQS refused {len(failed)} of {len(entries)} chunk messages: {json.dumps(failed)}")
        return max(1, len(chunks))
