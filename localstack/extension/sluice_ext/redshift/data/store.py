"""What the Data API remembers: statements for 24 hours, and sessions while they are open."""

import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sluice_ext.redshift import errors
from sluice_ext.redshift.data.results import Result
from sluice_ext.redshift.store import now
from sluice_ext.regions import PerRegion

ENDED: Final = ("FINISHED", "FAILED", "ABORTED")
RETENTION: Final = timedelta(hours=24)
NO_ROWS: Final = -1
STOPPED: Final = "ERROR: the engine was stopped while the statement ran"


@dataclass(frozen=True)
class Target:
    """Where statements run, and as whom. ``workgroup`` is what the request named."""

    account: str
    region: str
    workgroup: str
    workgroup_arn: str
    namespace: str
    database: str
    user: str
    secret: str = ""


@dataclass
class Part:
    """One SQL statement: all of ExecuteStatement's, or one of a batch."""

    id: str
    sql: str
    status: str = "SUBMITTED"
    created: datetime = field(default_factory=now)
    updated: datetime = field(default_factory=now)
    error: str = ""
    nanoseconds: int = 0
    rows: int = NO_ROWS
    size: int = NO_ROWS
    query: int = 0
    result: Result | None = None

    def set(self, status: str, error: str = "") -> None:
        """Its next state."""
        self.status, self.updated = status, now()
        if error:
            self.error = error

    def shown(self) -> dict[str, Any]:
        """As DescribeStatement shows it."""
        found: dict[str, Any] = {
            "Id": self.id,
            "Status": self.status,
            "CreatedAt": self.created,
            "UpdatedAt": self.updated,
            "Duration": self.nanoseconds if self.status in ENDED else NO_ROWS,
            "QueryString": self.sql,
            "ResultRows": self.rows,
            "ResultSize": self.size,
            "RedshiftQueryId": self.query,
            "HasResultSet": self.result is not None,
        }
        return found | ({"Error": self.error} if self.error else {})


@dataclass
class Statement:
    """A statement or a batch. ``whole`` has its state; ``parts`` are the statements of a batch, else that one."""

    whole: Part
    parts: list[Part]
    target: Target
    owner: str
    session: str  # of the caller's role
    name: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    batch: bool = False
    commits_each: bool = False
    with_event: bool = False
    result_format: str = "JSON"
    session_id: str = ""
    pid: int = 0

    @property
    def id(self) -> str:
        return self.whole.id

    @property
    def status(self) -> str:
        return self.whole.status

    def end(self, status: str, error: str = "") -> None:
        """Its last state; what has not run is aborted."""
        for part in self.parts if self.batch else ():
            if part.status not in ENDED:
                part.set("ABORTED")
        self.whole.set(status, error)


@dataclass
class Session:
    """A connection that stays open between statements. It is not saved."""

    id: str
    target: Target
    owner: str
    keep_seconds: int
    connection: Any = None
    expires: datetime = field(default_factory=now)
    busy: bool = False
    created: datetime = field(default_factory=now)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"connection": None}


@dataclass
class Store:
    """Of one account in one region."""

    statements: OrderedDict[str, Statement] = field(default_factory=OrderedDict)
    # (owner, ClientToken) -> (the request, the answer)
    tokens: OrderedDict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=OrderedDict)

    def forget_old(self) -> None:
        """Drop what is older than 24 hours and has ended."""
        limit = now() - RETENTION
        for key, one in list(self.statements.items()):
            if one.whole.created > limit:
                break
            if one.status in ENDED:
                for part in one.parts:
                    if part.result:
                        part.result.delete()
                del self.statements[key]
        for token, (_, answer) in list(self.tokens.items()):
            if answer["CreatedAt"] > limit:
                break
            del self.tokens[token]

    def of(self, name: str, owner: str) -> Statement:
        """The statement, or the batch of a sub-statement, of this caller. Raises ResourceNotFoundException."""
        self.forget_old()
        found = self.statements.get(name.partition(":")[0])
        if found is None or found.owner != owner:
            raise errors.missing("Query does not exist.", name)
        self.part(found, name)
        return found

    @staticmethod
    def part(statement: Statement, name: str) -> Part:
        """What an id names: the whole, or one statement of the batch. Raises ResourceNotFoundException."""
        if name == statement.id:
            return statement.whole
        found = next((part for part in statement.parts if part.id == name), None)
        if found is None:
            raise errors.missing("Query does not exist.", name)
        return found

    def made_by(self, owner: str, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """The answer to an earlier request with this ClientToken. Raises when that one asked for something else."""
        known = self.tokens.get((owner, str(request.get("ClientToken") or "")))
        if known is None:
            return None
        if known[0] != dict(request):
            raise errors.invalid("The client token was used with other parameters before.")
        return known[1]

    def active(self, workgroup_arn: str) -> int:
        """How many statements of a work group have not ended."""
        found = self.statements.values()
        return sum(one.status not in ENDED and one.target.workgroup_arn == workgroup_arn for one in found)


class Stores(PerRegion[Store]):
    """Of all accounts and regions. ``changed`` is notified when a statement has ended."""

    def __init__(self) -> None:
        super().__init__(Store)
        self.changed = threading.Condition(self.lock)

    def all(self) -> Iterator[Statement]:
        for store in self.dump().values():
            yield from store.statements.values()

    def load(self, saved: dict[tuple[str, str], Store]) -> None:
        """Restore what `dump` returned. A statement that ran has failed, and sessions are closed."""
        super().load(saved)
        with self.lock:
            for one in self.all():
                if one.status not in ENDED:
                    one.end("FAILED", STOPPED)


STATEMENTS = Stores()


def new_id() -> str:
    return str(uuid.uuid4())
