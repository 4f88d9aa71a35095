"""A run of the check-in workflow: what it is asked for, its name, and the log of its states.

Log table: ``pk`` = ``run#<name>``, ``sk`` = ``<number>#<state>``; what the executor found for a day is
``day#<dataset>#<day>``, ``0#submit``. Index ``by_day`` (day, startedAt).
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from typing import Any, Final, Self

from pipeline.clock import now
from pipeline.table import Table, plain, typed

SUBMIT: Final = "submit"  # the executor's own state
STATES: Final = (SUBMIT, "transform", "test", "load")
STARTED, SUCCEEDED, FAILED, MISSING = "started", "succeeded", "failed", "missing"
BY_DAY: Final = "by_day"  # index of the log
FAILED_ROWS: Final = "checks/"  # not below quarantine/, where the ledger knows every file
_OBJECT_ID: Final = re.compile(r"[0-9a-f]{32}")
_ERROR_CHARACTERS: Final = 1000


class InvalidRequest(ValueError):
    """The request is wrong, so no retry can help: says which field, and why."""


@dataclass(frozen=True, slots=True)
class Request:
    """One file of one day. ``hard_testing``: 'true' makes every test hard, 'false' every one soft, '' leaves each as
    it is. ``id`` tells apart runs of one file.
    """

    day: str
    dataset: str
    key: str
    object_id: str
    hard_testing: str = ""
    id: str = ""

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Self:
        """Checks the input of an execution.

        Raises:
            InvalidRequest: a field is unknown, missing or of a wrong form.
        """
        known = {field.name for field in fields(cls)}
        for name, value in raw.items():
            if name not in known:
                raise InvalidRequest(f"{name} is unknown; known are {', '.join(sorted(known))}")
            if not isinstance(value, str):
                raise InvalidRequest(f"{name} is not a string")
        given = {name: str(value) for name, value in raw.items()}
        for name in ("day", "dataset", "key", "object_id"):
            if not given.get(name):
                raise InvalidRequest(f"{name} is missing")
        if not _OBJECT_ID.fullmatch(given["object_id"]):
            raise InvalidRequest(f"object_id {given['object_id']!r} is not 32 hexadecimal digits")
        hard_of(given.get("hard_testing", ""))
        return cls(**given | {"day": day_of(given["day"])})

    @property
    def canonical(self) -> str:
        """The same text for the same request: the input of its execution."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @property
    def name(self) -> str:
        """The execution's name, at most 80 characters: the same file of the same day runs once.

        https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
        """
        other = f"-{hashlib.sha256(self.id.encode()).hexdigest()[:12]}" if self.id else ""
        return f"checkin-{self.day}-{self.object_id}{other}"


def day_of(text: str) -> str:
    """A date in the one form YYYY-MM-DD; raises InvalidRequest."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise InvalidRequest(f"day {text!r} is no date such as 2026-03-01") from error


def hard_of(text: str) -> bool | None:
    """``HARD_TESTING``: whether all tests are hard or soft, None when each says for itself; raises InvalidRequest."""
    if text not in ("", "true", "false"):
        raise InvalidRequest(f"hard_testing {text!r} is neither true, false nor empty")
    return text == "true" if text else None


def prefix_of(dataset: str, day: str) -> str:
    """Where a dataset's files of a day lie in bronze."""
    return f"bronze/{dataset}/dt={day}/"


def failed_rows_key(name: str) -> str:
    """A run's rows that failed a test, as JSON lines in the quarantine bucket."""
    return f"{FAILED_ROWS}{name}.jsonl"


def state_sk(state: str) -> str:
    """Sorts as the states follow each other."""
    return f"{STATES.index(state)}#{state}"


class Log:
    """What became of every state of every run. A state that is tried again counts its ``attempts``."""

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
            "",
            {":object": request.object_id, ":table": table, ":state": state, ":status": STARTED, ":run": name}
            | {":day": request.day, ":source": request.key, ":at": now(), ":one": 1},
        )

    def end(self, name: str, state: str, counts: Mapping[str, Any], error: str = "") -> None:
        """``counts`` says how many rows, and of what kind; a state with an ``error`` has failed.

        A state whose run was cut short stays as that left it.
        """
        update = "SET #status = :status , #counts = :counts , endedAt = :at"
        values = {":status": FAILED if error else SUCCEEDED, ":counts": dict(counts), ":at": now(), ":open": STARTED}
        if error:
            update, values = f"{update} , #error = :error", values | {":error": error[:_ERROR_CHARACTERS]}
        self._table.update(run_pk(name), state_sk(state), update, "#status = :open", values)

    def close(self, name: str, error: str) -> list[str]:
        """Ends the states of a run that nobody will end any more; which they were."""
        open_ = [item["state"] for item in self.states(name) if item["status"] == STARTED]
        for state in open_:
            self.end(name, state, {}, error)
        return open_

    def was_submitted(self, name: str) -> bool:
        """Whether the executor has started this run."""
        return self._table.get(run_pk(name), state_sk(SUBMIT)) is not None

    def submit(self, request: Request) -> bool:
        """Notes that a run was started; False when that was noted before."""
        at = now()
        noted = self._table.update(
            run_pk(request.name),
            state_sk(SUBMIT),
            "SET ingestedID = :object , #state = :state , #status = :status , #run = :run , #day = :day , "
            "#source = :source , startedAt = :at , endedAt = :at",
            "attribute_not_exists(pk)",
            {":object": request.object_id, ":state": SUBMIT, ":status": SUCCEEDED, ":run": request.name}
            | {":day": request.day, ":source": request.key, ":at": at},
        )
        return noted is not None

    def day_status(self, dataset: str, day: str) -> str:
        """The status of a day's submission, '' before the first."""
        return str((self._table.get(_day_pk(dataset, day), state_sk(SUBMIT)) or {}).get("status", ""))

    def note_day(self, dataset: str, day: str, status: str, counts: Mapping[str, int]) -> None:
        """Notes what the executor found for a day, and when."""
        self._table.update(
            _day_pk(dataset, day),
            state_sk(SUBMIT),
            "SET #state = :state , #status = :status , #day = :day , #source = :source , #counts = :counts , "
            "startedAt = if_not_exists(startedAt, :at) , endedAt = :at ADD attempts :one",
            "",
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
    return f"run#{name}"


def _day_pk(dataset: str, day: str) -> str:
    return f"day#{dataset}#{day}"
