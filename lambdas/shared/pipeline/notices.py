"""What people and other systems are told: SNS notices for trouble, EventBridge events for committed objects."""

import json
from collections import defaultdict
from typing import Any, Final

from pipeline.identity import ObjectRef, Origin
from pipeline.items import ObjectItem, Output

EVENT_SOURCE: Final = "sluice"
COMMITTED: Final = "object.committed"
_SUBJECT_CHARACTERS: Final = 100  # https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
_DETAIL_PARTITIONS: Final = 1000  # an event holds 256 KB; a longer list is cut and says so


class Notices:
    """Publishes to one topic; subscribers filter by the attributes dataset, severity and kind."""

    def __init__(self, client: Any, topic_arn: str) -> None:
        self._client = client
        self._topic = topic_arn

    def object_trouble(self, kind: str, ref: ObjectRef, origin: Origin, dataset: str, reason: str, detail: str) -> None:
        """One notice about an object: what, why, and the command that repairs it."""
        body = {
            "kind": kind,
            "dataset": dataset,
            "object": f"{ref.uri}",
            "version_id": ref.version_id,
            "object_id": origin.object_id,
            "reason": reason,
            "detail": detail,
            "look": f"sluice runs {origin.object_id}",
            "repair": "mend the cause, then redrive the dead-letter queue that holds the message",
        }
        attributes = {"dataset": dataset, "severity": "error", "kind": kind}
        self._client.publish(
            TopicArn=self._topic,
            Subject=f"{kind}: {reason}"[:_SUBJECT_CHARACTERS],
            Message=json.dumps(body, ensure_ascii=False),
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value or "unknown"} for name, value in attributes.items()
            },
        )


class Announcements:
    """Sends ``object.committed`` to the event bus; at least once, so consumers go by object_id and run."""

    def __init__(self, client: Any, bus: str) -> None:
        self._client = client
        self._bus = bus

    def committed(self, item: ObjectItem, outputs: list[Output]) -> None:
        """Raises RuntimeError when EventBridge refuses the entry, so that the caller's retry sends it again."""
        detail = {
            "object_id": item["object_id"],
            "run": int(item["run"]),
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
                    "DetailType": COMMITTED,
                    "Detail": json.dumps(detail, ensure_ascii=False),
                    "EventBusName": self._bus,
                }
            ]
        )
        if answer.get("FailedEntryCount"):
            raise RuntimeError(f"the event bus refused {COMMITTED} of {item['object_id']}: {answer['Entries']}")


def _partitions(outputs: list[Output]) -> dict[str, Any]:
    rows: dict[tuple[str, str], int] = defaultdict(int)
    for output in outputs:
        rows[output["dataset"], output["dt"]] += int(output["rows"])
    partitions = [{"dataset": dataset, "dt": dt, "rows": count} for (dataset, dt), count in sorted(rows.items())]
    return {"partitions": partitions[:_DETAIL_PARTITIONS], "partition_count": len(partitions)}
