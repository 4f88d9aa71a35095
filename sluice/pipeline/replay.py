"""The replay workflow as the host plans, starts and follows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import batched
from typing import TYPE_CHECKING, Any

from sluice.console import FAILED, fail
from sluice.names import require, unknown
from sluice.pipeline.storage import in_parallel
from sluice.pipeline.unmanaged import is_of_no_dataset
from sluice.polling import poll
from sluice_pipeline.ledger.listing import ANY, LedgerList, Window
from sluice_pipeline.replays.request import ENTRY_FIELDS, Entry, Request, entry_of, finished
from sluice_pipeline.replays.store import RESULT, SUMMARY, ReplayStore, gone_part, plan_part
from sluice_pipeline.requests import InvalidRequest

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack
    from sluice_pipeline.ledger.items import ObjectItem

POLL_SECONDS = 0.5
SHOWN = 10  # objects of a plan that are left out
_READ = 100  # objects at a time
RUNNING, SUCCEEDED = "RUNNING", "SUCCEEDED"


def request(**fields: str) -> Request:
    """A checked request; an empty id becomes today's UTC date. Ends with code 2 when it is wrong."""
    fields["id"] = fields.get("id") or datetime.now(UTC).date().isoformat()
    try:
        return Request.parse(fields)
    except InvalidRequest as error:
        fail(str(error))


# -- the plan --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """Objects of one dataset in one state; bytes are those of their bronze objects."""

    dataset: str
    state: str
    objects: int
    rows: int
    bytes: int
    left_out: int


@dataclass
class Plan:
    """What a replay would take if it started now, counted: not each object, for there may be many."""

    request: Request
    left_out: list[Entry] = field(default_factory=list)
    """The first few."""
    _groups: dict[tuple[str, str], Group] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """Count an object."""
        place = entry["dataset"], entry["state"]
        known = self._groups.get(place) or Group(*place, 0, 0, 0, 0)
        self._groups[place] = Group(
            *place,
            known.objects + 1,
            known.rows + entry["rows_in"],
            known.bytes + entry["size"],
            known.left_out + bool(entry["reason"]),
        )
        if entry["reason"] and len(self.left_out) < SHOWN:
            self.left_out.append(entry)

    @property
    def groups(self) -> list[Group]:
        return [group for _, group in sorted(self._groups.items())]

    def to_dict(self) -> dict[str, Any]:
        from dataclasses import asdict

        groups = [asdict(group) for group in self.groups]
        totals = {name: sum(group[name] for group in groups) for name in ("objects", "rows", "bytes", "left_out")}
        return {"name": self.request.name, "request": asdict(self.request), **totals, "groups": groups}


def plan(stack: Stack, wanted: Request, progress: Callable[[int], None] | None = None) -> Plan:
    """The plan that the workflow would make now; it changes nothing. Ends with code 2 as ``require_objects`` does.

    ``progress`` gets the number of objects so far.
    """
    made = Plan(wanted)
    for number, entry in enumerate(entries(stack, wanted), 1):
        made.add(entry)
        if progress and number % _READ == 0:
            progress(number)
    return made


def entries(stack: Stack, wanted: Request) -> Iterator[Entry]:
    """The objects of such a plan, as they are read, some at a time. Ends with code 2 as ``require_objects`` does."""
    ledger = LedgerList(stack.client("dynamodb"), stack["ledger_table"])

    def read(names: tuple[str, ...]) -> list[ObjectItem]:
        return list(ledger.objects(names, ENTRY_FIELDS).values())

    none = True
    ids = (item["object_id"] for item in _taken(ledger, wanted))
    for items in in_parallel(read, batched(ids, _READ, strict=False)):
        none = False
        yield from map(entry_of, items)
    if none:
        require_objects(ledger, wanted)


def require_objects(ledger: LedgerList, wanted: Request) -> None:
    """Ends with code 2 when a dataset or a prefix names no object of the ledger; says what there is."""
    items = list(ledger.objects(item["object_id"] for item in ledger.received(ANY, Window())).values())
    names = {item["dataset"] for item in items if not is_of_no_dataset(dict(item))}
    if not wanted.prefix and wanted.dataset != ANY:
        require("object of dataset", wanted.dataset, names)
    keys = [item["origin"]["key"] for item in items]
    if wanted.prefix and not any(key.startswith(wanted.prefix) for key in keys):
        fail(unknown("object under", wanted.prefix, {key.rsplit("/", 1)[0] + "/" for key in keys}))


def _taken(ledger: LedgerList, wanted: Request) -> Iterator[ObjectItem]:
    window = wanted.window(datetime.now(UTC))
    return (item for item in ledger.received(wanted.dataset, window) if wanted.takes(item, window))


# -- the execution ---------------------------------------------------------------------------------------------------


@dataclass
class Execution:
    """``new`` is False when the same request had been started before, and nothing was started now."""

    name: str
    arn: str
    status: str
    started: datetime
    stopped: datetime | None
    new: bool
    result: dict[str, Any] | None = None
    cause: str = ""

    @property
    def ok(self) -> bool:
        return self.status == SUCCEEDED

    def to_dict(self) -> dict[str, Any]:
        from dataclasses import asdict

        return asdict(self)


class Replays:
    """The replay workflow of a deployed stack."""

    def __init__(self, stack: Stack) -> None:
        if not stack.outputs.get("replay_state_machine_arn"):
            fail("the stack has no replay workflow: set ops_enabled = true in its tfvars and deploy", FAILED)
        self._client = stack.client("stepfunctions")
        self._machine = stack["replay_state_machine_arn"]
        self._s3, self._bucket = stack.client("s3"), stack["artifacts_bucket"]
        self._ledger = LedgerList(stack.client("dynamodb"), stack["ledger_table"])

    def start(self, wanted: Request) -> Execution:
        """Starts a replay, or finds the one that the same request has started before.

        Ends with code 1 when there is nothing to replay, for its name would be taken until tomorrow; with code 2 when
        a filter names nothing.
        """
        before = self.find(wanted.name)
        if before is not None:
            return before
        if next(_taken(self._ledger, wanted), None) is None:
            require_objects(self._ledger, wanted)
            fail("there is nothing to replay: the ledger has no such object; see --dry-run with fewer filters", FAILED)
        try:
            # One that runs already is answered with its execution, one that has ended with ExecutionAlreadyExists:
            # https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
            self._client.start_execution(stateMachineArn=self._machine, name=wanted.name, input=wanted.canonical)
        except self._client.exceptions.ExecutionAlreadyExists:
            return self.get(wanted.name)
        started = self.get(wanted.name)
        started.new = True
        return started

    def find(self, name: str) -> Execution | None:
        """An execution by name with its reconciliation, None when there is none of this name."""
        arn = f"{self._machine.replace(':stateMachine:', ':execution:')}:{name}"
        try:
            found = self._client.describe_execution(executionArn=arn)
        except self._client.exceptions.ExecutionDoesNotExist:
            return None
        execution = Execution(name, arn, found["status"], found["startDate"], found.get("stopDate"), new=False)
        if execution.status != RUNNING:
            execution.result = self._store(name).find(RESULT)
            execution.cause = " ".join(str(found.get("cause") or "").split())
        return execution

    def get(self, name: str) -> Execution:
        """As ``find``; ends with one line when there is none."""
        found = self.find(name)
        if found is None:
            fail(f"there is no replay {name}", FAILED)
        return found

    def follow(self, started: Execution, report: Callable[[int, int], None]) -> Execution:
        """Waits for the end; ``report`` gets the number of objects that have ended, by the ledger, and of all."""
        watch = _Watch(self._store(started.name), self._ledger)

        def look() -> Execution:
            watch.look()
            report(watch.ended, watch.objects)
            return self.get(started.name)

        # The workflow's own time limit is the deadline.
        found, _ = poll(look, lambda now: now.status != RUNNING, seconds=None, interval=POLL_SECONDS)
        found.new = started.new
        return found

    def _store(self, name: str) -> ReplayStore:
        return ReplayStore(self._s3, self._bucket, name)


class _Watch:
    """Counts the objects of a plan that have ended; one that has is not looked at again."""

    def __init__(self, store: ReplayStore, ledger: LedgerList) -> None:
        self._store = store
        self._ledger = ledger
        self._open: dict[int, list[Entry]] | None = None
        self.objects = 0
        self.ended = 0

    def look(self) -> None:
        if self._open is None:
            summary = self._store.find(SUMMARY)
            if summary is None:
                return
            self.objects = summary["objects"]
            self._open = {batch: self._store.read(plan_part(batch)) for batch in range(summary["batches"])}
        for batch, entries in list(self._open.items()):
            gone = self._store.find(gone_part(batch)) or {}
            self._open[batch] = self._unended(entries, gone)
            if not self._open[batch]:
                del self._open[batch]
        self.ended = self.objects - sum(map(len, self._open.values()))

    def _unended(self, entries: Iterable[Entry], gone: dict[str, str]) -> list[Entry]:
        open_ = [entry for entry in entries if not entry["reason"] and entry["object_id"] not in gone]
        items = self._ledger.objects(entry["object_id"] for entry in open_)
        return [entry for entry in open_ if not finished(entry, items.get(entry["object_id"]))]
