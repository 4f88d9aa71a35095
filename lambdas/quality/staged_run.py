"""A run that waits for the gate: what audit and publish ask of it alike."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sluice_pipeline.ledger.items import ObjectItem, Output, State
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.requests import InvalidRequest, object_id_of


class NotStaged(RuntimeError):
    """The ledger does not know this run, or does not say yet that it is staged; tried again, it will."""


def requested(event: Mapping[str, Any]) -> tuple[str, int]:
    """Object id and run of ``{"object_id", "run"}``. Raises InvalidRequest."""
    object_id, run = object_id_of(str(event.get("object_id"))), event.get("run")
    if type(run) is not int or run < 1:
        raise InvalidRequest(f"run {run!r} is not a run's number")
    return object_id, run


def item_of(ledger: Ledger, object_id: str, run: int, before: Collection[State]) -> ObjectItem:
    """The object, in this run or a newer one. ``before``: states in which a run is not yet staged.

    Raises:
        NotStaged: tried again, it may be there.
    """
    item = ledger.object(object_id)
    if item is None or int(item["run"]) < run or (int(item["run"]) == run and item["state"] in before):
        raise NotStaged(f"the ledger does not say yet that run {run} of {object_id} is staged")
    return item


def outputs_of(ledger: Ledger, item: ObjectItem) -> Iterator[tuple[Output, bool]]:
    """The files of the object's run, and whether each was staged.

    Raises:
        NotStaged: a newer run has begun meanwhile; tried again, this one is left alone.
    """
    for chunk in ledger.chunks(item["object_id"]):
        if int(chunk["run"]) != int(item["run"]):
            raise NotStaged(f"chunk {chunk['sk']} of {item['object_id']} is in another run than {item['run']}")
        staged = bool(chunk.get("staged"))
        for output in chunk["outputs"]:
            yield output, staged
