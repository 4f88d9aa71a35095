"""Stands in for Lambda's aliases and CloudWatch's alarms, as the release commands use them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

PREFIX = "sluice-x"


class PreconditionFailedException(Exception):
    """As botocore names it."""


class ResourceNotFoundException(Exception):
    """As botocore names it."""


class Exceptions:
    """A client's `exceptions`."""

    PreconditionFailedException = PreconditionFailedException
    ResourceNotFoundException = ResourceNotFoundException


@dataclass
class Account:
    """Functions by key with their versions and aliases, and alarms. `calls`: of UpdateAlias, what was asked."""

    versions: dict[str, list[int]]
    aliases: dict[str, dict[str, Any]] = field(default_factory=dict)
    alarms: dict[str, str] = field(default_factory=dict)
    calls: list[dict[str, Any]] = field(default_factory=list)
    fail_at: int | None = None
    """The UpdateAlias that fails, counted from 0."""
    error: BaseException = field(default_factory=lambda: RuntimeError("no answer"))
    lost: bool = False
    """Whether the one that fails has its effect, and only the answer is lost: botocore sends it again."""
    alias: str | None = "live"
    region: str = "us-east-1"
    exceptions: Any = Exceptions
    others: dict[str, str] = field(default_factory=dict)
    """The version that a second alias of a function names, by key."""
    refused: dict[str, str] = field(default_factory=dict)
    """What DeleteFunction answers for a version ("ingest 1"): a code of an error."""
    dies_after: int | None = None
    """The DeleteFunction after which the process is gone, counted from 0."""
    deleted: int = 0
    _revisions: Any = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        for key, versions in self.versions.items():
            self.deploy(key, versions[-1], publish=False)
            self.alarms.setdefault(f"{PREFIX}-{key}-errors", "OK")
        self.alarms.setdefault(f"{PREFIX}-chunk-dead-letters", "OK")

    # The stack

    @property
    def outputs(self) -> dict[str, Any]:
        functions = {key: {"name": f"{PREFIX}-{key}", "log_group": "", "alarms": True} for key in self.versions}
        queue = {"name": "q", "url": "q", "dlq_name": "d", "dlq_url": "d", "label": "chunk"}
        core = {"functions": functions, "queues": {"chunks": queue}, "workflows": {}, "tables": {}, "notices": []}
        return {"branches": {"core": core}, "function_alias": self.alias, "ingest_function": f"{PREFIX}-ingest"}

    def __getitem__(self, name: str) -> str:
        return str(self.outputs[name])

    def client(self, service: str) -> Account:
        assert service in ("lambda", "cloudwatch")
        return self

    # What a deployment does

    def deploy(self, key: str, version: int, *, publish: bool = True, held: bool = False) -> None:
        """Publishes a version; unless it is held, Terraform points the alias at it and leaves the rest of it alone."""
        if publish:
            self.versions[key].append(version)
        if not held:
            kept = self.aliases.get(key, {"Description": "The version in service"})
            self.aliases[key] = kept | {"FunctionVersion": str(version), "RevisionId": self._revision()}

    def in_service(self, key: str) -> tuple[str, dict[str, float]]:
        """Version and weights."""
        alias = self.aliases[key]
        return alias["FunctionVersion"], alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})

    # The clients

    def _revision(self) -> str:
        return f"r{next(self._revisions)}"

    def get_alias(self, FunctionName: str, Name: str) -> dict[str, Any]:  # noqa: N803
        assert Name == self.alias
        return dict(self.aliases[FunctionName.removeprefix(f"{PREFIX}-")])

    def get_paginator(self, operation: str) -> Any:
        return SimpleNamespace(paginate=getattr(self, f"_{operation}"))

    def _list_versions_by_function(self, FunctionName: str) -> list[dict[str, Any]]:  # noqa: N803
        versions = self.versions[FunctionName.removeprefix(f"{PREFIX}-")]
        return [{"Versions": [{"Version": "$LATEST"}]}, {"Versions": [{"Version": str(one)} for one in versions]}]

    def _list_aliases(self, FunctionName: str) -> list[dict[str, Any]]:  # noqa: N803
        key = FunctionName.removeprefix(f"{PREFIX}-")
        others = [{"Name": "other", "FunctionVersion": self.others[key]}] if key in self.others else []
        return [{"Aliases": [self.aliases[key] | {"Name": self.alias}]}, {"Aliases": others}]

    def delete_function(self, FunctionName: str, Qualifier: str) -> None:  # noqa: N803
        """As Lambda: never a version that an alias names."""
        key = FunctionName.removeprefix(f"{PREFIX}-")
        if code := self.refused.get(f"{key} {Qualifier}"):
            raise ClientError({"Error": {"Code": code, "Message": code}}, "DeleteFunction")
        version, weights = self.in_service(key)
        if Qualifier in {version, *weights, self.others.get(key)}:
            raise AssertionError(f"{key} {Qualifier} is in service")
        self.versions[key].remove(int(Qualifier))
        self.deleted += 1
        if self.dies_after is not None and self.deleted > self.dies_after:
            raise KeyboardInterrupt

    def update_alias(self, FunctionName: str, Name: str, RevisionId: str, **changes: Any) -> dict[str, Any]:  # noqa: N803
        key, number = FunctionName.removeprefix(f"{PREFIX}-"), len(self.calls)
        self.calls.append({"key": key, **changes})
        if number == self.fail_at and not self.lost:
            raise self.error
        alias = self.aliases[key]
        if alias["RevisionId"] != RevisionId:
            raise PreconditionFailedException(key)
        wanted = [changes["FunctionVersion"], *changes["RoutingConfig"]["AdditionalVersionWeights"]]
        assert all(int(one) in self.versions[key] for one in wanted)
        assert len(wanted) == len(set(wanted)) <= 2
        self.aliases[key] = changes | {"RevisionId": self._revision()}
        if number == self.fail_at:
            raise PreconditionFailedException(key)  # what the second of the two calls is answered
        return dict(self.aliases[key])

    def describe_alarms(self, AlarmNames: list[str], MaxRecords: int) -> dict[str, Any]:  # noqa: N803
        assert len(AlarmNames) <= MaxRecords <= 100
        found = {name: self.alarms[name] for name in AlarmNames if name in self.alarms}
        return {"MetricAlarms": [{"AlarmName": name, "StateValue": state} for name, state in found.items()]}
