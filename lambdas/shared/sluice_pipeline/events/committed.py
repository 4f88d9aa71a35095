"""``object.committed`` as its consumers read it: an EventBridge event in an SQS message, and the silver it is about.

The event is sent at least once and may be late, so the ledger decides: a consumer that finds a newer run
there leaves the work to that run's own event.
"""

import json
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from sluice_pipeline.events.announcements import COMMITTED, EVENT_SOURCE
from sluice_pipeline.events.messages import MalformedMessage
from sluice_pipeline.ledger.items import ChunkState, ObjectItem, Output
from sluice_pipeline.ledger.ledger import Ledger


class NotCommitted(RuntimeError):
    """The ledger knows less than the event; delivered again, it will know more."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A run of an object that has ended.

    ``datasets``: those in which the object has silver rows; None when there were too many partitions to list.
    """

    object_id: str
    run: int
    dataset: str
    source_key: str
    datasets: frozenset[str] | None

    @classmethod
    def from_json(cls, body: str, kind: str = COMMITTED) -> Self:
        """Parses and checks a message body, of ``object.committed`` or of another event of the same form.

        Raises:
            MalformedMessage: not JSON, another event, or a field missing or of a wrong type.
        """
        try:
            event = json.loads(body)
            if event["source"] != EVENT_SOURCE or event["detail-type"] != kind:
                raise MalformedMessage(f"is no {kind} of {EVENT_SOURCE}")
            detail = event["detail"]
            named = frozenset(str(partition["dataset"]) for partition in detail["partitions"])
            whole = len(detail["partitions"]) == detail["partition_count"]
            object_id, run, dataset = detail["object_id"], detail["run"], detail["dataset"]
            source_key = detail["origin"]["key"]
            UUID(object_id)
        except MalformedMessage:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise MalformedMessage(f"not an {kind} event, {error!r} is missing or wrong") from error
        if not (isinstance(dataset, str) and isinstance(source_key, str) and type(run) is int and run > 0):
            raise MalformedMessage(f"run, dataset or origin.key is of a wrong type in {str(detail)[:300]}")
        return cls(object_id, run, dataset, source_key, named if whole else None)


@dataclass(frozen=True, slots=True)
class SilverOfRun:
    """What the ledger says of a run that is still the newest: its object and the files of the datasets asked for."""

    item: ObjectItem
    outputs: list[Output]
    staged: bool = False
    """Whether they were staged first: silver has them when the object is committed."""


def silver_of(ledger: Ledger, event: Committed, datasets: frozenset[str] | None = None) -> SilverOfRun | None:
    """The run's silver files in order, of the datasets asked for or of all; None when a newer run has begun.

    Raises:
        NotCommitted: the ledger does not know the object, or the run is not done there.
    """
    object_id, run = event.object_id, event.run
    item = ledger.object(object_id)
    if item is None or int(item["run"]) < run:
        raise NotCommitted(f"the ledger does not know run {run} of {object_id}")
    if int(item["run"]) > run:
        return None
    outputs: list[Output] = []
    staged = False
    for chunk in ledger.chunks(object_id):
        if int(chunk["run"]) > run:
            return None
        if int(chunk["run"]) < run or chunk["chunk_state"] != ChunkState.DONE:
            raise NotCommitted(f"chunk {chunk['sk']} of {object_id} is not done in run {run}")
        staged |= bool(chunk.get("staged"))
        outputs += [output for output in chunk["outputs"] if datasets is None or output["dataset"] in datasets]
    return SilverOfRun(item, outputs, staged)


def event_of(object_id: str, run: int, dataset: str, kind: str = COMMITTED) -> dict[str, Any]:
    """The least that an event must hold, for tests and for an operator who sends one by hand."""
    detail = {
        "object_id": object_id,
        "run": run,
        "dataset": dataset,
        "origin": {"key": f"bronze/{dataset}/by-hand"},
        "partitions": [],
        "partition_count": -1,
    }
    return {"source": EVENT_SOURCE, "detail-type": kind, "detail": detail}
