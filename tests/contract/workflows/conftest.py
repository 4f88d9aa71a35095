"""Runs tiny workflows on the shared engine."""

import json
import uuid
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.engine_harness import ROLE, Engine, eventually


@dataclass
class Ended:
    """What an execution came to. ``types``: those of its events."""

    arn: str
    status: str
    output: Any
    error: str | None
    cause: str
    events: list[dict[str, Any]]

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]


class Runner:
    """Makes state machines of states, and runs them."""

    def __init__(self, engine: Engine) -> None:
        self.client = engine.client("stepfunctions")

    def machine(self, states: dict[str, Any], **definition: Any) -> str:
        """The ARN of a machine that begins with the first of its states."""
        whole = {"StartAt": next(iter(states)), "States": states} | definition
        made: str = self.client.create_state_machine(
            name=f"machine-{uuid.uuid4().hex[:8]}", roleArn=ROLE, definition=json.dumps(whole)
        )["stateMachineArn"]
        return made

    def start(self, machine: str, value: Any = None, **options: Any) -> str:
        text = json.dumps({} if value is None else value)
        arn: str = self.client.start_execution(stateMachineArn=machine, input=text, **options)["executionArn"]
        return arn

    def ended(self, arn: str, seconds: float = 30) -> Ended:
        def look() -> Any:
            found = self.client.describe_execution(executionArn=arn)
            return found if found["status"] != "RUNNING" else None

        found = eventually(look, seconds, "the end")
        return Ended(
            arn,
            found["status"],
            json.loads(found["output"]) if "output" in found else None,
            found.get("error"),
            found.get("cause", ""),
            self.history(arn),
        )

    def history(self, arn: str) -> list[dict[str, Any]]:
        pages = self.client.get_paginator("get_execution_history").paginate(executionArn=arn, maxResults=1000)
        return [event for page in pages for event in page["events"]]

    def __call__(self, states: dict[str, Any], value: Any = None, **definition: Any) -> Ended:
        """Run these states with an input, to the end."""
        return self.ended(self.start(self.machine(states, **definition), value))


@pytest.fixture
def run(engine: Engine) -> Runner:
    return Runner(engine)
