"""The log of the check-in workflow: what became of every state of every run, and of every day's submission.

Table: ``pk`` = ``run#<name>``, ``sk`` = ``<number>#<state>``; what the executor found for a day is
``day#<dataset>#<day>``, ``0#submit``. Index ``by_day`` (day, startedAt).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from checkins.request import Request, prefix_of
from sluice_pipeline.dynamo.keys import join_key
from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.dynamo.values import plain, typed
from sluice_pipeline.runtime.clock import now

SUBMIT: Final = "submit"  # the executor's own state
STATES: Final = (SUBMIT, "transform", "test", "load")
STARTED, SUCCEEDED, FAILED, MISSING = "started", "succeeded", "failed", "missing"
BY_DAY: Final = "by_day"  # index of the log
_ERROR_CHARACTERS: Final = 1000
_NOT_LATE: Final = "attribute_not_exists(endedAt) OR endedAt <= :at"


def state_sk(state: str) -> str:
    """Sorts as the states follow each other."""
    return join_key(STATES.index(state), state)


class Log:
    """What became of every state of every run. A state that is tried again counts its ``attempts``.

    A request that its function no longer waits for may still be carried out, so what began before a recorded end
    does not undo that end.
    """

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = Table(client, table)

    def start(self, name: str, state: str, request: Request, table: str) -> None:
        """``table`` is where the rows go."""
        self._table.update(
            run_pk(name),
            state_sk(state),
            "SET ingestedID = :object , ingestedTable = :table , #state = :state , #status = :status , #run = :run , "
            "#day = :day , #source = :source , startedAt = if_not_exists(startedAt, :at) "
            "REMOVE #error , endedAt ADD attempts :one",
            _NOT_LATE,
            {":object": request.object_id, ":table": table, ":state": state, ":status": STARTED, ":run": name}
            | {":day": request.day, ":source": request.key, ":at": now(), ":one": 1},
        )

    def end(self, name: str, state: str, counts: Mapping[str, Any], error: str = "") -> None:
        """``counts`` says how many rows, and of what kind; a state with an ``error`` has failed.

        A state whose run was aborted stays as that left it.
        """
        update = "SET #status = :status , #counts = :counts , endedAt = :at"
        values = {":status": FAILED if error else SUCCEEDED, ":counts": dict(counts), ":at": now(), ":open": STARTED}
        if error:
            update, values = f"{update} , #error = :error", values | {":error": error[:_ERROR_CHARACTERS]}
        self._table.update(run_pk(name), state_sk(state), update, "#status = :open", values)

    def close(self, name: str, error: str) -> list[str]:
        """Ends the open states of a run that was aborted or timed out; which they were."""
        open_ = [item["state"] for item in self.states(name) if item["status"] == STARTED]
        for state in open_:
            self.end(name, state, {}, error)
        return open_

    def was_submitted(self, name: str) -> bool:
        """Whether the executor has started this run."""
        return self._table.get(run_pk(name), state_sk(SUBMIT)) is not None

    def submit(self, request: Request) -> bool:
        """Records that a run was started; False when that was recorded before."""
        at = now()
        recorded = self._table.update(
            run_pk(request.name),
            state_sk(SUBMIT),
            "SET ingestedID = :object , #state = :state , #status = :status , #run = :run , #day = :day , "
            "#source = :source , startedAt = :at , endedAt = :at",
            "attribute_not_exists(pk)",
            {":object": request.object_id, ":state": SUBMIT, ":status": SUCCEEDED, ":run": request.name}
            | {":day": request.day, ":source": request.key, ":at": at},
        )
        return recorded is not None

    def day_status(self, dataset: str, day: str) -> str:
        """The status of a day's submission, '' before the first."""
        return str((self._table.get(_day_pk(dataset, day), state_sk(SUBMIT)) or {}).get("status", ""))

    def record_day(self, dataset: str, day: str, status: str, counts: Mapping[str, int]) -> None:
        """Records what the executor found for a day, and when."""
        self._table.update(
            _day_pk(dataset, day),
            state_sk(SUBMIT),
            "SET #state = :state , #status = :status , #day = :day , #source = :source , #counts = :counts , "
            "startedAt = if_not_exists(startedAt, :at) , endedAt = :at ADD attempts :one",
            _NOT_LATE,
            {":state": SUBMIT, ":status": status, ":day": day, ":source": prefix_of(dataset, day)}
            | {":counts": dict(counts), ":at": now(), ":one": 1},
        )

    def states(self, name: str) -> list[dict[str, Any]]:
        """The states of a run that have begun, in order."""
        return list(self._table.query(run_pk(name)))

    def of_day(self, day: str) -> Iterator[dict[str, Any]]:
        """The states of all runs for a day, as they started."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table.name,
            IndexName=BY_DAY,
            KeyConditionExpression="#day = :day",
            ExpressionAttributeNames={"#day": "day"},
            ExpressionAttributeValues=typed({":day": day}),
        )
        for page in pages:
            yield from map(plain, page["Items"])


def run_pk(name: str) -> str:
    return join_key("run", name)


def _day_pk(dataset: str, day: str) -> str:
    return join_key("day", dataset, day)
