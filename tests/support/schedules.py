"""Schedules of EventBridge Scheduler in an engine whose clock is moved."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.engine_harness import ROLE, Engine, Queue, call

OFF = {"Mode": "OFF"}


class Clock:
    """The engine's time for schedules."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def post(self, **body: Any) -> Any:
        """The answer to a request that must succeed."""
        status, answer = call(self._engine, "POST", "clock", body)
        assert status == 200, answer
        return answer

    def now(self) -> datetime:
        return datetime.fromisoformat(call(self._engine, "GET", "clock")[1]["now"])

    def move(self, **span: float) -> int:
        """Forwards by ``timedelta(**span)``; how many calls that were."""
        return int(self.post(move_seconds=timedelta(**span).total_seconds())["ran"])

    def to(self, moment: datetime) -> int:
        """Forwards to a time in UTC."""
        return int(self.post(at=moment.isoformat())["ran"])

    def to_a_quiet_minute(self) -> datetime:
        """Ten minutes past the next hour, when nothing that tests make is due; returns that hour."""
        hour = self.now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        self.to(hour + timedelta(minutes=10))
        return hour


class Schedules:
    """Makes schedules with random names, and removes them."""

    def __init__(self, engine: Engine, role: str = ROLE) -> None:
        self.engine, self.role = engine, role
        self.api, self.clock = engine.client("scheduler"), Clock(engine)
        self._made: list[tuple[str, str]] = []

    def target(self, arn: str, **more: Any) -> dict[str, Any]:
        return {"Arn": arn, "RoleArn": self.role} | more

    def make(self, expression: str, target: Any, **more: Any) -> str:
        """A schedule to a queue, or to a target of `target`; its name. ``Input`` is that of the target."""
        given = self.target(target.arn) if isinstance(target, Queue) else dict(target)
        if "Input" in more:
            given["Input"] = more.pop("Input")
        name: str = more.pop("Name", f"s-{uuid.uuid4().hex[:8]}")
        request = {"FlexibleTimeWindow": OFF, "ScheduleExpression": expression, "Target": given} | more
        self.api.create_schedule(Name=name, **request)
        self._made.append((more.get("GroupName", "default"), name))
        return name

    def clean(self) -> None:
        for group, name in self._made:
            try:
                self.api.delete_schedule(GroupName=group, Name=name)
            except self.api.exceptions.ResourceNotFoundException:
                continue

    def names(self) -> set[str]:
        return {one["Name"] for one in self.api.list_schedules()["Schedules"]}


def bodies(queue: Queue) -> list[str]:
    """What a queue got, in the order of its arrival."""
    found: list[str] = []
    while messages := queue.receive():
        found += [message["Body"] for message in messages]
    return found


def decoded(queue: Queue) -> list[Any]:
    return [json.loads(body) for body in bodies(queue)]


def stamp(moment: datetime) -> str:
    """As Scheduler writes times."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
