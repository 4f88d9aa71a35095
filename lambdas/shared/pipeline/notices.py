"""What people and other systems are told: SNS notices for trouble, EventBridge events for committed objects."""

import json
from collections import defaultdict
from typing import Any, Final

from pipeline.identity import ObjectRef, Origin
from pipeline.items import ObjectItem, Output

EVENT_SOURCE: Final = "sluice"
COMMITTED: Final = "object.committed"
QUARANTINE_THRESHOLD: Final = "quarantine.threshold"
DEAD_LETTER: Final = "dead.letter"
LOAD_FAILED: Final = "load.failed"
CONTROL_TOTALS: Final = "control.totals"
ANOMALY: Final = "feedback.anomaly"
CHECKINS_MISSING: Final = "checkin.missing"
_SUBJECT_CHARACTERS: Final = 100  # https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
_BODY_CHARACTERS: Final = 1000  # of a message that nobody understands
_DIFFERENCES: Final = 20  # that a notice names; quarantine has them all
_DETAIL_PARTITIONS: Final = 1000  # an event holds 256 KB; a longer list is cut and says so


class Notices:
    """Publishes to one topic; subscribers filter by the attributes dataset, severity and kind."""

    def __init__(self, client: Any, topic_arn: str) -> None:
        self._client = client
        self._topic = topic_arn

    def object_trouble(self, kind: str, ref: ObjectRef, origin: Origin, dataset: str, reason: str, detail: str) -> None:
        """One notice about an object: what, why, and the command that repairs it."""
        body = _about(ref, origin, dataset) | {"reason": reason, "detail": detail, "repair": _repair(kind, origin)}
        self._publish(kind, dataset, "error", reason, body)

    def quarantine_over_threshold(self, item: ObjectItem, ratio: float) -> None:
        """Tells that more than ``ratio`` (0 to 1) of a committed object's rows were refused."""
        refused, rows = int(item["rows_quarantined"]), int(item["rows_in"])
        ref = ObjectRef(item["bucket"], item["key"], item["version_id"], item["etag"], int(item["size"]))
        body = _about(ref, Origin(**item["origin"]), item["dataset"]) | {
            "run": int(item["run"]),
            "rows_in": rows,
            "rows_quarantined": refused,
            "reason": f"{refused} of {rows} rows refused, more than {ratio:.0%}",
            "look": f"sluice quarantine show {item['object_id']}",
            "repair": f"mend the rule and `make deploy`, then sluice quarantine retry --object {item['object_id']}",
        }
        self._publish(QUARANTINE_THRESHOLD, item["dataset"], "warning", str(body["reason"]), body)

    def dead_letter(self, queue: str, message_id: str, reason: str, body: str) -> None:
        """Tells of a message that names no object, so that no notice about an object can tell of it."""
        about = {
            "dataset": "unknown",
            "queue": queue,
            "message_id": message_id,
            "reason": reason,
            "detail": body[:_BODY_CHARACTERS],
            "look": f"sluice dlq show {message_id}",
            "repair": f"find its sender, then sluice dlq purge {message_id}",
        }
        self._publish(DEAD_LETTER, "unknown", "error", reason, about)

    def load_failed(self, object_id: str, run: int, dataset: str, key: str, reason: str) -> None:
        """Tells that a committed object is not in the warehouse; silver has it."""
        about = {
            "dataset": dataset,
            "object_id": object_id,
            "run": run,
            "key": key,
            "reason": reason[:_BODY_CHARACTERS],
            "look": f"sluice runs {object_id}",
            "repair": f"mend the cause, then sluice dlq redrive {object_id}",
        }
        self._publish(LOAD_FAILED, dataset, "error", reason, about)

    def control_totals(self, item: ObjectItem, run: int, differences: list[str]) -> None:
        """Tells that a file's summary contradicts the rows that were loaded of the file."""
        ref = ObjectRef(item["bucket"], item["key"], item["version_id"], item["etag"], int(item["size"]))
        object_id = item["object_id"]
        body = _about(ref, Origin(**item["origin"]), item["dataset"]) | {
            "run": run,
            "differences": differences[:_DIFFERENCES],
            "rows_quarantined": int(item["rows_quarantined"]),
            "reason": differences[0],
            "look": f"sluice quarantine show {object_id}",
            "repair": "ask the sender which is right and upload the file again; if rows were refused by a wrong rule, "
            f"mend it, `make deploy`, then sluice quarantine retry --object {object_id}",
        }
        self._publish(CONTROL_TOTALS, item["dataset"], "error", str(body["reason"]), body)

    def anomaly(self, dataset: str, check: str, count: int, samples: list[str], told: int) -> None:
        """Tells of rows that are unusual but right; ``told`` is how many the notices before have told of."""
        body = {
            "dataset": dataset,
            "check": check,
            "count": count,
            "told_before": told,
            "samples": samples,
            "reason": f"{count} x {check}",
            "look": f"sluice feedback --dataset {dataset} --anomalies",
            "repair": "nothing is refused: ask the sender, or change the check in the dataset's YAML and `make deploy`",
        }
        self._publish(ANOMALY, dataset, "warning", str(body["reason"]), body)

    def checkins_missing(self, dataset: str, day: str) -> None:
        """Tells that a day has no check-in file."""
        prefix = f"bronze/{dataset}/dt={day}/"
        body = {
            "dataset": dataset,
            "day": day,
            "reason": f"no file lies under {prefix}",
            "look": f"sluice checkins runs --day {day}",
            "repair": f"upload the file under {prefix}, then sluice checkins submit --day {day}",
        }
        self._publish(CHECKINS_MISSING, dataset, "error", str(body["reason"]), body)

    def branch_failed(self, kind: str, dataset: str, object_id: str, reason: str, repair: str) -> None:
        """Tells that a branch (``feedback.failed`` and the like) has given up an object that silver holds."""
        body = {
            "dataset": dataset,
            "object_id": object_id,
            "reason": reason,
            "look": f"sluice runs {object_id}",
            "repair": repair,
        }
        self._publish(kind, dataset, "error", reason, body)

    def _publish(self, kind: str, dataset: str, severity: str, subject: str, body: dict[str, Any]) -> None:
        attributes = {"dataset": dataset, "severity": severity, "kind": kind}
        line = "".join(character if character.isprintable() and character.isascii() else " " for character in subject)
        self._client.publish(
            TopicArn=self._topic,
            Subject=f"{kind}: {line}"[:_SUBJECT_CHARACTERS],
            Message=json.dumps({"kind": kind} | body, ensure_ascii=False),
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value or "unknown"} for name, value in attributes.items()
            },
        )


def _about(ref: ObjectRef, origin: Origin, dataset: str) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "object": ref.uri,
        "version_id": ref.version_id,
        "object_id": origin.object_id,
        "look": f"sluice runs {origin.object_id}",
    }


def _repair(kind: str, origin: Origin) -> str:
    if kind == "object.missing":
        return "upload the object again under the same key"
    return f"mend the cause, then sluice dlq redrive {origin.object_id}"


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
