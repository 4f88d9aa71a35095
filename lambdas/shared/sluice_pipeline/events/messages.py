"""The chunk message: a pointer to a byte range, never the rows themselves."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from sluice_pipeline.catalog.rules import RulesVersion
from sluice_pipeline.objects.chunks import Chunk
from sluice_pipeline.objects.identity import ObjectRef, Origin

SCHEMA: Final = "sluice.chunk/1"


class MalformedMessage(ValueError):
    """The body is not a chunk message; no retry can fix it, so it moves to the dead-letter queue."""


@dataclass(frozen=True, slots=True)
class ChunkMessage:
    """``run`` counts how often the object is ingested; a message of an older run than the ledger's has no work left.

    ``rules``: the version that the run is judged by; None in messages of earlier releases.
    """

    object: ObjectRef
    origin: Origin
    dataset: str
    chunk: Chunk
    run: int = 1
    rules: RulesVersion | None = None

    def to_json(self) -> str:
        return json.dumps({"schema": SCHEMA} | asdict(self), separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, body: str) -> Self:
        """Parses and checks a message body.

        Raises:
            MalformedMessage: not JSON, another schema, or a field missing, of a wrong type or out of range.
        """
        try:
            raw = json.loads(body)
        except ValueError as error:
            raise MalformedMessage(f"not JSON: {error}") from error
        if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
            raise MalformedMessage(f"schema is not {SCHEMA}")
        message = cls(
            object=ObjectRef(
                **_fields(raw, "object", {"bucket": str, "key": str, "version_id": str, "etag": str, "size": int}),
                since=str(raw["object"].get("since", "")),  # none in messages of earlier releases
            ),
            origin=Origin(**_fields(raw, "origin", {"bucket": str, "key": str, "etag": str, "version_id": str})),
            dataset=_typed(raw, "dataset", str),
            chunk=Chunk(**_fields(raw, "chunk", {"index": int, "start": int, "end": int, "count": int})),
            run=_typed(raw, "run", int),
            rules=_rules(raw.get("rules")),
        )
        chunk = message.chunk
        if not (
            message.run >= 1 and 0 <= chunk.index < chunk.count and 0 <= chunk.start <= chunk.end <= message.object.size
        ):
            raise MalformedMessage(f"chunk {chunk} is not in an object of {message.object.size} bytes")
        return message


def _rules(raw: Any) -> RulesVersion | None:
    try:
        return RulesVersion.from_dict(raw)
    except ValueError as error:
        raise MalformedMessage(f"rules: {error}") from error


def _typed(raw: dict[str, Any], name: str, kind: type) -> Any:
    value = raw.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise MalformedMessage(f"{name} is not {kind.__name__}")
    return value


def _fields(raw: dict[str, Any], name: str, kinds: dict[str, type]) -> dict[str, Any]:
    part = raw.get(name)
    if not isinstance(part, dict):
        raise MalformedMessage(f"{name} is missing")
    return {field: _typed(part, field, kind) for field, kind in kinds.items()}
