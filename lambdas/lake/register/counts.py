"""What the ledger says of a committed object, as a line of JSON that Athena reads (table ``objects``)."""

import json
from typing import Any

from sluice_pipeline.ledger.items import ObjectItem


class Counts:
    def __init__(self, s3: Any, bucket: str, prefix: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._prefix = prefix

    def write(self, item: ObjectItem) -> None:
        """One file for each object, under its id: the same run gives the same bytes, a newer run replaces them."""
        body = json.dumps(row_of(item), sort_keys=True, ensure_ascii=False) + "\n"
        key = f"{self._prefix}{item['object_id']}.json"
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=body.encode(), ContentType="application/json")


def row_of(item: ObjectItem) -> dict[str, Any]:
    """The columns of the table (infra/branches/lake/main.tf). ``source_key``: where the rows first were in bronze."""
    return {
        "object_id": item["object_id"],
        "dataset": item["dataset"],
        "source_key": item["origin"]["key"],
        "source_bytes": int(item["size"]),
        "run": int(item["run"]),
        "received_at": item["received_at"],
        "chunks": int(item["chunk_count"]),
        "rows_in": int(item["rows_in"]),
        "rows_silver": int(item["rows_silver"]),
        "rows_quarantined": int(item["rows_quarantined"]),
        "silver_files": int(item["silver_files"]),
    }
