"""A compaction of the deployed stack by the test itself: the job's protocol, with copies in place of Spark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lake.compaction.aws import Aws
from lake.compaction.fence import Fence
from lake.compaction.partition import Compaction, Limits, Outcome, Table, Written
from lake.compaction.places import File, compacted_folder
from sluice.pipeline.stack import Stack
from sluice_pipeline.dynamo.table import Table as DynamoTable


class Copies(Aws):
    """Compacted files are copies of silver's."""

    def __init__(self, s3: Any, glue: Any, bucket: str, database: str) -> None:
        super().__init__(s3, glue, glue, bucket, database)
        self._client, self._place = s3, bucket

    def write(self, table: Table, day: str, files: Sequence[File], generation: str, count: int) -> Written:
        folder = compacted_folder(table.dataset, day, generation)
        for file in files:
            source = {"Bucket": self._place, "Key": file.key}
            self._client.copy_object(Bucket=self._place, Key=folder + file.key.rsplit("/", 1)[-1], CopySource=source)
        return Written(0, 0, 0, 0, 0)


def compact(stack: Stack, dataset: str, day: str) -> Outcome:
    """Compacts a date that has more than one file."""
    aws = Copies(stack.client("s3"), stack.client("glue"), stack["silver_bucket"], stack["lake_database"])
    fence = Fence(DynamoTable(stack.client("dynamodb"), stack["ledger_table"]))
    (table,) = [one for one in aws.tables({}) if one.dataset == dataset]
    items = {item["sk"]: item for item in fence.items(dataset)}
    compaction = Compaction(aws, fence, Limits(2**27, 1, 2**25), "test")
    return compaction.process(table, day, aws.locations(dataset)[day], items.get(day))
