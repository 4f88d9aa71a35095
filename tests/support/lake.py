"""The lake as a test sees it: its catalog, and Athena's answers through `sluice query`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sluice.pipeline import query_athena
from sluice_pipeline.events.committed import event_of
from tests.support.pipeline import Pipeline, Put, until


@dataclass(frozen=True)
class Lake:
    pipe: Pipeline

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Athena's rows; {ledger} stands for the database of the ledger's tables."""
        text = sql.replace("{ledger}", self.pipe.stack["lake_ledger_database"])
        with query_athena.asking(self.pipe.stack, text) as answer:
            return list(answer.rows)

    def counts(self, put: Put) -> dict[str, Any] | None:
        """What register wrote of the object, None before it did."""
        s3, bucket = self.pipe.s3, self.pipe.stack["lake_bucket"]
        try:
            body = s3.get_object(Bucket=bucket, Key=f"ledger/objects/{put.object_id}.json")["Body"].read()
        except s3.exceptions.NoSuchKey:
            return None
        found: dict[str, Any] = json.loads(body)
        return found

    def registered(self, put: Put, run: int = 1, deadline: float = 90) -> dict[str, Any]:
        """The object's counts, once its run is registered."""

        def look() -> dict[str, Any] | None:
            found = self.counts(put)
            return found if found and found["run"] == run else None

        return until(f"{put.ref.key} in the lake", look, deadline)

    def partitions(self, dataset: str) -> dict[str, str]:
        """Date -> location."""
        pages = (
            self.pipe.stack.client("glue")
            .get_paginator("get_partitions")
            .paginate(DatabaseName=self.pipe.stack["lake_database"], TableName=dataset)
        )
        found = [one for page in pages for one in page["Partitions"]]
        return {one["Values"][0]: one["StorageDescriptor"]["Location"] for one in found}

    def announce(self, put: Put, run: int = 1) -> None:
        """Sends the object's event to the branch once more."""
        body = json.dumps(event_of(put.object_id, run, put.ref.key.split("/")[1]))
        self.pipe.sqs.send_message(QueueUrl=self.pipe.stack["lake_queue_url"], MessageBody=body)

    def idle(self, deadline: float = 90) -> None:
        until("an empty queue", lambda: self.pipe.depth("lake_queue_url") == 0, deadline)
