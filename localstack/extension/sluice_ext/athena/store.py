"""What Athena remembers: work groups, queries, named queries and prepared statements, by account and region."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from sluice_ext.athena.errors import invalid
from sluice_ext.regions import PerRegion

# AWS shows the queries of 45 days; this engine those it has room for.
_MAX_EXECUTIONS: Final = 10_000
PRIMARY: Final = "primary"
UNFINISHED: Final = ("QUEUED", "RUNNING")
SYSTEM, USER = 1, 2  # whose error it is


@dataclass
class Execution:
    """A query. ``shown`` is what GetQueryExecution returns; the rest serves GetQueryResults."""

    shown: dict[str, Any]
    access_key: str = ""
    columns: list[dict[str, Any]] = field(default_factory=list)
    update_count: int | None = None

    @property
    def id(self) -> str:
        return str(self.shown["QueryExecutionId"])

    @property
    def state(self) -> str:
        return str(self.shown["Status"]["State"])

    def end(self, state: str, reason: str = "", category: int = USER) -> None:
        """Give it its last state. https://docs.aws.amazon.com/athena/latest/ug/error-reference.html"""
        status = self.shown["Status"]
        status |= {"State": state, "CompletionDateTime": datetime.now(UTC)}
        if reason:
            status["StateChangeReason"] = reason
        if state == "FAILED":
            status["AthenaError"] = {
                "ErrorCategory": category,
                "ErrorType": 401 if category == SYSTEM else 1006,
                "Retryable": category == SYSTEM,
                "ErrorMessage": reason,
            }


@dataclass
class Store:
    """Of one account in one region."""

    workgroups: dict[str, dict[str, Any]] = field(default_factory=dict)
    executions: OrderedDict[str, Execution] = field(default_factory=OrderedDict)
    # ClientRequestToken -> (the request, what it made)
    tokens: OrderedDict[str, tuple[dict[str, Any], str]] = field(default_factory=OrderedDict)
    named: dict[str, dict[str, Any]] = field(default_factory=dict)
    prepared: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.workgroups.setdefault(
            PRIMARY,
            {
                "Name": PRIMARY,
                "State": "ENABLED",
                "Configuration": {
                    "ResultConfiguration": {},
                    "EnforceWorkGroupConfiguration": False,
                    "PublishCloudWatchMetricsEnabled": False,
                    "RequesterPaysEnabled": False,
                    "EngineVersion": ENGINE_VERSION,
                },
                "CreationTime": datetime.now(UTC),
            },
        )

    def made_by(self, request: Mapping[str, Any]) -> str | None:
        """What an earlier request with this ClientRequestToken made. Raises when that one asked for something else."""
        token = request.get("ClientRequestToken")
        if not token or token not in self.tokens:
            return None
        before, made = self.tokens[token]
        if before != dict(request):
            raise invalid("Idempotent parameters do not match")
        return made

    def remember(self, request: Mapping[str, Any], made: str) -> None:
        """Record what a request has made, by its token."""
        if token := request.get("ClientRequestToken"):
            self.tokens[token] = (dict(request), made)

    def add(self, execution: Execution) -> None:
        """Remember a query; the oldest that has ended is forgotten."""
        self.executions[execution.id] = execution
        while len(self.executions) > _MAX_EXECUTIONS:
            self.executions.popitem(last=False)


ENGINE_VERSION: Final = {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": "Athena engine version 3"}


class Stores(PerRegion[Store]):
    """The stores of all accounts and regions."""

    def load(self, saved: dict[tuple[str, str], Store]) -> None:
        """Restore what `dump` returned. A query that ran has failed: nothing knows how far it came."""
        super().load(saved)
        with self.lock:
            for store in saved.values():
                for one in store.executions.values():
                    if one.state in UNFINISHED:
                        reason = "INTERNAL_ERROR_QUERY_ENGINE: the engine was stopped while the query ran"
                        one.end("FAILED", reason, category=SYSTEM)


STORES = Stores(Store)
