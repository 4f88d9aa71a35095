"""SNS notices to the operator and to other systems. A branch's own kinds of notices are in its notices.py."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sluice_pipeline.ledger.items import ObjectItem
from sluice_pipeline.objects.identity import ObjectRef, Origin

QUARANTINE_THRESHOLD: Final = "quarantine.threshold"
SCHEMA_DRIFT: Final = "schema.drift"
DEAD_LETTER: Final = "dead.letter"
TEXT_CHARACTERS: Final = 1000  # of an error or a message body that a notice quotes
MESSAGE_BYTES: Final = 240_000  # of the 256 KB of a message with its attributes
_ATTRIBUTE_CHARACTERS: Final = 256  # a dataset is named by a key, which may be anything
SUBJECT_CHARACTERS: Final = 100  # https://docs.aws.amazon.com/sns/latest/api/API_Publish.html


class Notices:
    """Publishes to one topic; subscribers filter by the attributes dataset, severity and kind."""

    def __init__(self, client: Any, topic_arn: str) -> None:
        self._client = client
        self._topic = topic_arn

    def object_trouble(self, kind: str, ref: ObjectRef, origin: Origin, dataset: str, reason: str, detail: str) -> None:
        """An object is not ingested: which one, why, and the command that repairs it."""
        body = _about(ref, origin, dataset) | {"reason": reason, "detail": detail, "repair": _repair(kind, origin)}
        self.publish(kind, dataset, "error", reason, body)

    def quarantine_over_threshold(self, item: ObjectItem, ratio: float) -> None:
        """More than ``ratio`` (0 to 1) of a committed object's rows are in quarantine."""
        rejected, rows = int(item["rows_quarantined"]), int(item["rows_in"])
        body = about_object(item) | {
            "run": int(item["run"]),
            "rows_in": rows,
            "rows_quarantined": rejected,
            "reason": f"{rejected} of {rows} rows rejected, more than {ratio:.0%}",
            "look": f"sluice quarantine show {item['object_id']}",
            "repair": f"fix the rule and `make deploy`, then sluice quarantine retry --object {item['object_id']}",
        }
        self.publish(QUARANTINE_THRESHOLD, item["dataset"], "warning", str(body["reason"]), body)

    def schema_drift(self, dataset: str, origin: Origin, sights: Sequence[Mapping[str, Any]], contract: str) -> None:
        """Columns or types that the YAML does not have were seen for the first time; ``contract``: that of columns."""
        columns = ", ".join(sorted({sight["column"] for sight in sights}))
        body = {
            "dataset": dataset,
            "object_id": origin.object_id,
            "source_key": origin.key,
            "contract": contract,
            "reason": f"the YAML of {dataset} does not have: {columns}",
            "sights": [
                {name: sight[name] for name in ("column", "type", "declared")} | {"offset": int(sight["offset"])}
                for sight in sights
            ],
            "look": f"sluice schema {dataset}",
            "repair": f"sluice schema diff {dataset} proposes the fields",
        }
        self.publish(SCHEMA_DRIFT, dataset, "warning", str(body["reason"]), body)

    def dead_letter(self, queue: str, message_id: str, reason: str, body: str) -> None:
        """A message moves to the dead-letter queue and names no object, so no notice is about its object."""
        about = {
            "dataset": "unknown",
            "queue": queue,
            "message_id": message_id,
            "reason": reason,
            "detail": body[:TEXT_CHARACTERS],
            "look": f"sluice dlq show {message_id}",
            "repair": f"find its sender, then sluice dlq purge {message_id}",
        }
        self.publish(DEAD_LETTER, "unknown", "error", reason, about)

    def branch_failed(self, branch: str, dataset: str, object_id: str, receives: int, error: Exception) -> None:
        """A branch has exhausted its retries of an object that is in silver; the kind is ``<branch>.failed``."""
        reason = f"{branch}: retries exhausted after {receives} tries, the last: {error!r}"
        body = {
            "dataset": dataset,
            "object_id": object_id,
            "reason": reason,
            "look": f"sluice runs {object_id}",
            "repair": f"fix the cause, then sluice dlq redrive {object_id}",
        }
        self.publish(f"{branch}.failed", dataset, "error", reason, body)

    def publish(self, kind: str, dataset: str, severity: str, subject: str, body: dict[str, Any]) -> None:
        """One notice; ``severity`` is info, warning or error, ``body`` becomes JSON."""
        body = fitting(body)
        attributes = {"dataset": dataset, "severity": severity, "kind": kind}
        self._client.publish(
            TopicArn=self._topic,
            Subject=subject_line(f"{kind}: {subject}"),
            Message=json.dumps({"kind": kind} | body, ensure_ascii=False),
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value[:_ATTRIBUTE_CHARACTERS] or "unknown"}
                for name, value in attributes.items()
            },
        )


def subject_line(text: str, limit: int = SUBJECT_CHARACTERS, ending: str = "") -> str:
    """The text as a subject: one line of printable ASCII that begins with no blank; a cut one has this ending."""
    clean = "".join(character if character.isprintable() and character.isascii() else " " for character in text)
    clean = clean.strip() or "notice"
    return clean if len(clean) <= limit else clean[: limit - len(ending)] + ending


def fitting(body: dict[str, Any]) -> dict[str, Any]:
    """The body with every text, at any depth, so short that the message fits; unchanged when it does anyway."""
    limit = MESSAGE_BYTES
    whole = body
    while limit > 1 and len(json.dumps(body, ensure_ascii=False).encode(errors="replace")) > MESSAGE_BYTES:
        limit //= 4
        body = _shortened(whole, limit)
    return body


def _shortened(value: Any, limit: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= limit else f"{value[:limit]}..."
    if isinstance(value, dict):
        return {name: _shortened(part, limit) for name, part in value.items()}
    return [_shortened(part, limit) for part in value] if isinstance(value, list) else value


def about_object(item: ObjectItem) -> dict[str, Any]:
    """What a notice says of an object of the ledger."""
    ref = ObjectRef.from_item(item)
    return _about(ref, Origin(**item["origin"]), item["dataset"])


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
    return f"fix the cause, then sluice dlq redrive {origin.object_id}"
