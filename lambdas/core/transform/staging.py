"""Files of a gated object: they wait in the staging bucket for their audit, and nothing is deleted from silver yet."""

import json
from collections.abc import Sequence
from typing import Any, Final

from core.transform.silver import SilverFile
from sluice_pipeline.catalog.datasets import Catalog
from sluice_pipeline.events.messages import ChunkMessage
from sluice_pipeline.ledger.items import ChunkItem, Output, QuarantineFile
from sluice_pipeline.objects.keys import leftovers_key, staged_key

GATE: Final = "quality"
"""Name of the section that makes a dataset gated; the core knows no more of it."""


def leftovers(old: Sequence[Output | QuarantineFile], new: Sequence[Output | QuarantineFile]) -> list[str]:
    """Keys of the files that a former run of a chunk wrote and this one does not, sorted."""
    return sorted({entry["key"] for entry in old} - {entry["key"] for entry in new})


class Staging:
    """``bucket``: empty when the stack has no gate; then no object is gated."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def takes(self, message: ChunkMessage, planned: ChunkItem, catalog: Catalog) -> bool:
        """Whether the chunk's files are staged.

        Those of an object that was staged before are, also when its dataset is no longer gated: only publishing knows
        what its former runs left in silver.
        """
        return bool(self._bucket) and (bool(planned.get("staged")) or catalog.has_section(message.dataset, GATE))

    def put(self, run: int, file: SilverFile) -> Output:
        """Stores a file under its run."""
        key = staged_key(run, file.output["key"])
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=file.body.to_pybytes())
        return file.output

    def record_leftovers(self, message: ChunkMessage, before: ChunkItem, outputs: Sequence[Output]) -> None:
        """Lists silver files of former runs that this run does not write: publishing it deletes them."""
        left = leftovers(before.get("outputs", []), outputs)
        if left:
            key = leftovers_key(message.origin.object_id, message.run, message.chunk.index)
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=json.dumps(left).encode())
