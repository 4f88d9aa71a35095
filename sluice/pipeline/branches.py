"""What the deployed branches declare, from the stack's output ``branches``. No list of them is kept in the host tool.

A branch that is off is absent. ``core`` is always there and comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sluice.console import FAILED, fail

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack

CORE = "core"
OUTPUT = "branches"
MAILS = "digest"
"""Key of the queue whose messages are notices that wait for their mail: news of work that has ended, not work."""


@dataclass(frozen=True)
class Function:
    """A Lambda function. ``key`` is what the user types (``sluice logs <key>``)."""

    branch: str
    key: str
    name: str
    log_group: str
    alarms: bool


@dataclass(frozen=True)
class Queue:
    """A queue with its dead-letter queue. ``key`` is what the user types (``sluice dlq ls --queue <key>``)."""

    branch: str
    key: str
    name: str | None
    url: str | None
    """None where there is only a dead-letter queue: ``events``, which gets what EventBridge cannot deliver."""
    dlq_name: str
    dlq_url: str
    label: str
    """As in "chunk dead-letter queue"."""

    @property
    def dead_letters(self) -> str:
        """What the dead-letter queue is called beside the other queues."""
        return f"{self.label} dead-letter queue"


@dataclass(frozen=True)
class Workflow:
    """A state machine."""

    branch: str
    key: str
    arn: str
    name: str
    alarms: bool


@dataclass(frozen=True)
class Branches:
    """Functions, queues, workflows and tables of all branches, by key; notices by the branch that sends them."""

    functions: Mapping[str, Function]
    queues: Mapping[str, Queue]
    workflows: Mapping[str, Workflow]
    tables: Mapping[str, str]
    notices: Mapping[str, list[str]]

    @classmethod
    def of(cls, stack: Stack) -> Branches:
        """Raises SluiceError (code 1) when the stack is not deployed, or was deployed without this output."""
        found = stack.outputs.get(OUTPUT)
        if found is None:
            fail(f"the stack has no output {OUTPUT!r}: deploy it (`make deploy`)", FAILED)
        return cls.parse(found)

    @classmethod
    def parse(cls, output: Mapping[str, Any]) -> Branches:
        """``output``: branch => {functions, queues, workflows, tables, notices, outputs}, as Terraform has it."""
        names = sorted(output, key=lambda name: (name != CORE, name))
        return cls(
            functions=_typed(Function, "functions", output, names),
            queues=_typed(Queue, "queues", output, names),
            workflows=_typed(Workflow, "workflows", output, names),
            tables={key: str(table) for name in names for key, table in output[name]["tables"].items()},
            notices={name: list(output[name]["notices"]) for name in names},
        )

    @property
    def sources(self) -> dict[str, str]:
        """URLs of the queues whose messages are work on objects, by key; all are empty when the work has ended."""
        return {key: queue.url for key, queue in self.queues.items() if queue.url is not None and key != MAILS}


def _typed[T](kind: Callable[..., T], group: str, output: Mapping[str, Any], names: list[str]) -> dict[str, T]:
    return {key: kind(branch=name, key=key, **facts) for name in names for key, facts in output[name][group].items()}
