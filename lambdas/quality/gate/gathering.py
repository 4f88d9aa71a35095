"""Staged objects that come together are audited together: one execution of the workflow for each engine of a batch."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from sluice_pipeline.dynamo.retries import TransientError
from sluice_pipeline.events.committed import Committed, NotCommitted
from sluice_pipeline.ledger.items import ObjectItem, State
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.ledger.staged import StagedRuns
from sluice_pipeline.requests import digest

ARROW: Final = "pyarrow"
GREAT_EXPECTATIONS: Final = "great_expectations"
_TRANSIENT: Final = (NotCommitted, BotoCoreError, ClientError, TransientError)

type Member = tuple[str, int]
"""Object id and run."""


@dataclass(frozen=True, slots=True)
class Engines:
    """``chosen``: the engine of every object, or ``auto``: PyArrow up to ``arrow_max_rows`` rows."""

    chosen: str
    arrow_max_rows: int

    def of(self, rows: int) -> str:
        if self.chosen != "auto":
            return self.chosen
        return ARROW if rows <= self.arrow_max_rows else GREAT_EXPECTATIONS


class Gathering:
    """Starts audits. ``workflows``: a client of Step Functions; ``machine``: the workflow's ARN."""

    def __init__(self, ledger: Ledger, staged: StagedRuns, workflows: Any, machine: str, engines: Engines) -> None:
        self._ledger = ledger
        self._staged = staged
        self._workflows = workflows
        self._machine = machine
        self._engines = engines

    def start(self, events: Iterable[Committed]) -> dict[Member, Exception | None]:
        """Starts what these events call for; what did not succeed has its error, to be tried again by itself.

        An object that an execution has taken is in no second one, in whatever company its event comes again.
        """
        done: dict[Member, Exception | None] = {}
        by_engine: dict[str, dict[Member, str]] = defaultdict(dict)
        for member in sorted({(event.object_id, event.run) for event in events}):
            try:
                item = self._waiting(member)
            except _TRANSIENT as error:
                done[member] = error
            else:
                done[member] = None
                if item is not None:
                    taken = item["gate_execution"] if item.get("gate_run") == member[1] else ""
                    by_engine[self._engines.of(int(item["rows_silver"]))][member] = taken
        for engine, members in by_engine.items():
            done |= self._start(engine, members)
        return done

    def _waiting(self, member: Member) -> ObjectItem | None:
        """A staged run that no execution has; None when it has ended, or a newer one has begun.

        Raises:
            NotCommitted: the ledger is behind the event.
        """
        object_id, run = member
        item = self._ledger.object(object_id)
        if item is None or int(item["run"]) < run or (int(item["run"]) == run and item["state"] == State.COMMITTING):
            raise NotCommitted(f"the ledger does not say yet that run {run} of {object_id} is staged")
        if int(item["run"]) > run or item["state"] != State.STAGED:
            return None
        if item.get("gate_run") == run and self._exists(item["gate_execution"]):
            return None
        return item

    def _start(self, engine: str, members: Mapping[Member, str]) -> dict[Member, Exception | None]:
        """One execution for all of them, named after them: a batch that comes again starts no other.

        It is recorded first: one that is recorded and was never started is found by the next delivery. ``members``:
        each with such a one, or an empty name.
        """
        name = execution_name(engine, members)
        try:
            taken = [self._staged.take_for_audit(*member, name, dead) for member, dead in members.items()]
            if any(taken):
                self._execute(name, request_of(engine, members))
        except _TRANSIENT as error:
            return dict.fromkeys(members, error)
        return dict.fromkeys(members)

    def _execute(self, name: str, request: str) -> None:
        try:
            # One that runs already is answered with its execution, one that has ended with ExecutionAlreadyExists:
            # https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
            self._workflows.start_execution(stateMachineArn=self._machine, name=name, input=request)
        except self._workflows.exceptions.ExecutionAlreadyExists:
            return

    def _exists(self, name: str) -> bool:
        """Whether an execution was started, whatever became of it."""
        arn = f"{self._machine.replace(':stateMachine:', ':execution:', 1)}:{name}"
        try:
            self._workflows.describe_execution(executionArn=arn)
        except self._workflows.exceptions.ExecutionDoesNotExist:
            return False
        return True


def execution_name(engine: str, members: Iterable[Member]) -> str:
    """The same for the same objects and runs."""
    return f"quality-{digest(request_of(engine, members), 32)}"


def request_of(engine: str, members: Iterable[Member]) -> str:
    """The workflow's input."""
    objects = [{"object_id": object_id, "run": run} for object_id, run in sorted(members)]
    return json.dumps({"engine": engine, "objects": objects}, sort_keys=True, separators=(",", ":"))
