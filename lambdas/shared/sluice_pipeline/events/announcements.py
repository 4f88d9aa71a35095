"""Events on the bus: a run of an object has ended and its rows are in silver, or they are staged for their audit."""

import json
from collections import defaultdict
from typing import Any, Final

from sluice_pipeline.ledger.items import ObjectItem, Output

EVENT_SOURCE: Final = "sluice"
COMMITTED: Final = "object.committed"
STAGED: Final = "object.staged"
_DETAIL_PARTITIONS: Final = 1000  # an event holds 256 KB; of a longer list, partition_count says how many there are


class Announcements:
    """Sends an event at least once, so consumers go by object_id and run.

    Each raises RuntimeError when EventBridge rejects the entry, so that the caller's retry sends it again.
    """

    def __init__(self, client: Any, bus: str) -> None:
        self._client = client
        self._bus = bus

    def committed(self, item: ObjectItem, outputs: list[Output]) -> None:
        """The rows are in silver."""
        self._send(COMMITTED, item, outputs)

    def staged(self, item: ObjectItem, outputs: list[Output]) -> None:
        """The rows are in the staging bucket."""
        self._send(STAGED, item, outputs)

    def _send(self, kind: str, item: ObjectItem, outputs: list[Output]) -> None:
        detail = {
            "object_id": item["object_id"],
            "run": int(item["run"]),
            "rules": item.get("rules"),
            "dataset": item["dataset"],
            "origin": item["origin"],
            "object": {name: item[name] for name in ("bucket", "key", "version_id", "etag")},
            "size": int(item["size"]),
            "chunk_count": int(item["chunk_count"]),
            "rows_in": int(item["rows_in"]),
            "rows_silver": int(item["rows_silver"]),
            "rows_quarantined": int(item["rows_quarantined"]),
            "silver_files": int(item["silver_files"]),
        } | _partitions(outputs)
        answer = self._client.put_events(
            Entries=[
                {
                    "Source": EVENT_SOURCE,
                    "DetailType": kind,
                    "Detail": json.dumps(detail, ensure_ascii=False),
                    "EventBusName": self._bus,
                }
            ]
        )
        if answer.get("FailedEntryCount"):
            raise RuntimeError(f"the event bus rejected {kind} of {item['object_id']}: {answer['Entries']}")


def _partitions(outputs: list[Output]) -> dict[str, Any]:
    rows: dict[tuple[str, str], int] = defaultdict(int)
    for output in outputs:
        rows[output["dataset"], output["dt"]] += int(output["rows"])
    partitions = [{"dataset": dataset, "dt": dt, "rows": count} for (dataset, dt), count in sorted(rows.items())]
    return {"partitions": partitions[:_DETAIL_PARTITIONS], "partition_count": len(partitions)}
