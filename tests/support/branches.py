"""What the stack says of its branches: the output ``branches``. No suite has a list of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sluice.pipeline.stack import Stack


def _parts(stack: Stack, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for branch in stack.outputs["branches"].values():
        yield from branch[kind].items()


def functions(stack: Stack) -> dict[str, dict[str, Any]]:
    """All functions by key (``checkin-executor``): name, log_group, alarms."""
    return dict(_parts(stack, "functions"))


def queues(stack: Stack) -> dict[str, dict[str, Any]]:
    """All queues by key (``loads``): name, url, dlq_name, dlq_url, label; no name or url where there is only a DLQ."""
    return dict(_parts(stack, "queues"))


def workflows(stack: Stack) -> dict[str, dict[str, Any]]:
    """All workflows by key (``replay``): arn, name, alarms."""
    return dict(_parts(stack, "workflows"))


def tables(stack: Stack) -> dict[str, str]:
    """Names of all tables by key (``ledger``)."""
    return {key: str(name) for key, name in _parts(stack, "tables")}


def notices(stack: Stack) -> set[str]:
    """The kinds of all notices."""
    return {kind for branch in stack.outputs["branches"].values() for kind in branch["notices"]}
