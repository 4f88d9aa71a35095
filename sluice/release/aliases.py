"""The aliases of the deployed functions: the version in service, a shift's weights, and the version before.

An alias names one version, or two with weights: https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html
Its description records what the last release did with it: the next command reads it after a shift that was killed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sluice.console import FAILED, fail
from sluice.names import unknown
from sluice.pipeline.branches import Branches

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack

OUTPUT = "function_alias"
LIVE = "live"  # as infra/modules/function calls it
_RECORD = re.compile(r"(\d+) (to|after|back from) (\d+) \(release ([0-9TZ:.-]+)\)")


class Move(StrEnum):
    """What a release did: shifts `to` another version, is in service `after` another, is `back from` another."""

    TO = "to"
    AFTER = "after"
    BACK = "back from"


@dataclass(frozen=True)
class Record:
    """`version` is the one that the alias names, `other` the one that it is shifted to, followed, or went back from.
    `release` is the time at which the release began, in UTC."""

    version: str
    move: Move
    other: str
    release: str

    def __str__(self) -> str:
        return f"{self.version} {self.move} {self.other} (release {self.release})"


@dataclass(frozen=True)
class Live:
    """One function. `weights`: share of the invocations (0 to 1) of a second version. `versions`: oldest first."""

    key: str
    branch: str
    function: str
    alias: str
    version: str
    weights: Mapping[str, float]
    versions: tuple[str, ...]
    revision: str
    record: Record | None = None

    @property
    def newest(self) -> str:
        """The version that was published last."""
        return self.versions[-1]

    @property
    def before(self) -> str | None:
        """The version that was in service before: by the last release's record, else the one published before."""
        if self.record is not None and self.record.move is Move.AFTER:
            return self.record.other
        lower = [version for version in self.versions if int(version) < int(self.version)]
        return lower[-1] if lower else None

    @property
    def settled(self) -> bool:
        """Whether the newest version alone is in service."""
        return not self.weights and self.version == self.newest

    @property
    def refused(self) -> bool:
        """Whether the newest version was in service and was put back."""
        record = self.record
        return record is not None and record.move is Move.BACK and record.other == self.newest


class ChangedMeanwhile(Exception):
    """Another shift, a rollback or a deployment has changed the alias."""


def read(stack: Stack, keys: Collection[str] = ()) -> list[Live]:
    """The functions that have an alias, by key; only these `keys`, when there are any.

    Raises SluiceError: code 1 when functions have no versions, 2 for the name of none.
    """
    functions = Branches.of(stack).functions
    for key in keys:
        if key not in functions:
            fail(unknown("function", key, functions))
    alias = stack.outputs.get(OUTPUT)
    if not alias:
        fail("functions have no versions here: deploy with versioned_functions = true", FAILED)
    client = stack.client("lambda")
    wanted = [one for one in functions.values() if not keys or one.key in keys]
    found = [live for one in wanted if (live := _read(client, one, str(alias))) is not None]
    for key in sorted(set(keys) - {one.key for one in found}):
        fail(f"{key} has no versions: a deployment itself invokes it", FAILED)
    return sorted(found, key=lambda one: one.key)


def held(stack: Stack) -> dict[str, str]:
    """The version in service of each function by its whole name: with them as held_versions, a deployment publishes
    new versions and leaves them to a shift. Empty where functions have no versions."""
    return {one.function: one.version for one in read(stack)} if stack.outputs.get(OUTPUT) else {}


def point(client: Any, live: Live, version: str, weights: Mapping[str, float], record: Record) -> Live:
    """Points the alias at a version, with weights for others; returns it as it is then.

    Raises ChangedMeanwhile when the alias is not as `live` has it any more.
    """
    routing = {"AdditionalVersionWeights": dict(weights)}
    try:
        answer = client.update_alias(
            FunctionName=live.function, Name=live.alias, FunctionVersion=version, Description=str(record),
            RoutingConfig=routing, RevisionId=live.revision,
        )  # fmt: skip
    except client.exceptions.PreconditionFailedException as error:
        # The call may have been sent twice, its first answer lost.
        answer = client.get_alias(FunctionName=live.function, Name=live.alias)
        found = answer["FunctionVersion"], _weights(answer), answer.get("Description")
        if found != (version, dict(weights), str(record)):
            raise ChangedMeanwhile(live.key) from error
    return replace(live, version=version, weights=dict(weights), revision=str(answer["RevisionId"]), record=record)


def recorded(client: Any, function: str) -> Record | None:
    """What the last release did with a function, by its whole name; None when nothing says so."""
    from botocore.exceptions import ClientError

    from sluice_pipeline.runtime.errors import code_of

    try:
        found = client.get_alias(FunctionName=function, Name=LIVE)
    except ClientError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise
        return None
    return record_of(found.get("Description") or "", str(found["FunctionVersion"]))


def record_of(description: str, version: str) -> Record | None:
    """What an alias's description records; None when it is no record, or one of another version: Terraform has moved
    the alias since."""
    found = _RECORD.fullmatch(description)
    if found is None or found[1] != version:
        return None
    return Record(found[1], Move(found[2]), found[3], found[4])


def _read(client: Any, function: Any, alias: str) -> Live | None:
    try:
        found = client.get_alias(FunctionName=function.name, Name=alias)
    except client.exceptions.ResourceNotFoundException:
        return None
    pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=function.name)
    versions = sorted(
        (str(one["Version"]) for page in pages for one in page["Versions"] if one["Version"] != "$LATEST"), key=int
    )
    version = str(found["FunctionVersion"])
    return Live(
        function.key, function.branch, function.name, alias, version, _weights(found), tuple(versions),
        str(found["RevisionId"]), record_of(found.get("Description") or "", version),
    )  # fmt: skip


def _weights(alias: Mapping[str, Any]) -> dict[str, float]:
    return dict((alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {})
