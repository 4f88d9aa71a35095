"""The logs of the servers (files or containers) and of the functions (CloudWatch), as lines to print."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sluice.console import fail
from sluice.names import unknown
from sluice.polling import every, poll

if TYPE_CHECKING:
    from sluice.engine.containers import ContainerId
    from sluice.engine.instance import Instance
    from sluice.pipeline.stack import Stack

SERVERS = ("engine", "postgres")
POLL_SECONDS = 0.5


class Log(Protocol):
    """A log that is there."""

    def to_dict(self, lines: int) -> dict[str, Any]:
        """Where it is, and its last lines or events."""

    def read(self, lines: int, *, follow: bool) -> Iterator[str]:
        """Its last lines, and with ``follow`` what is added to them, without an end."""


def find(instance: Instance, what: str) -> Log:
    """The log of ``engine``, ``postgres`` or a function. Raises SluiceError (code 2) when there is none of this name,
    code 1 when the server has never run."""
    if what not in SERVERS:
        from sluice.pipeline.stack import Stack

        return FunctionLog.of(Stack.load(instance), what)
    info = instance.info()
    if info is not None and info.kind == "docker":
        return ContainerLog(getattr(info, what))
    return FileLog(instance.logs_dir / f"{what}.log")


class FileLog:
    """A server's log file."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            fail(f"there is no {path.name} yet: start the engine with `make up`", 1)
        self._path = path

    def to_dict(self, lines: int) -> dict[str, Any]:
        return {"log": self._path, "lines": list(self.read(lines, follow=False))}

    def read(self, lines: int, *, follow: bool) -> Iterator[str]:
        with self._path.open(errors="replace") as log:
            yield from log.read().splitlines()[-lines:] if lines else []
            if not follow:
                return
            unfinished = ""
            for _ in every(POLL_SECONDS):
                *whole, unfinished = (unfinished + log.read()).split("\n")
                yield from whole


class ContainerLog:
    """What a server in a container has written."""

    def __init__(self, server: ContainerId) -> None:
        self._server = server

    def to_dict(self, lines: int) -> dict[str, Any]:
        return {"log": self._server.short, "lines": list(self.read(lines, follow=False))}

    def read(self, lines: int, *, follow: bool) -> Iterator[str]:
        from sluice.engine.containers import docker

        arguments = ["logs", "--tail", str(lines), self._server.container]
        if not follow:
            yield from docker(*arguments, both=True).splitlines()
            return
        command = ["docker", *arguments[:1], "--follow", *arguments[1:]]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                yield line.rstrip("\n")


class FunctionLog:
    """A function's log group in CloudWatch."""

    def __init__(self, client: Any, group: str) -> None:
        self._client = client
        self._group = group

    @classmethod
    def of(cls, stack: Stack, name: str) -> FunctionLog:
        """``name``: a function's key (``ingest``) or its whole name (``sluice-dev-ingest``)."""
        from sluice.pipeline.branches import OUTPUT, Branches

        functions = Branches.parse(stack.outputs[OUTPUT]).functions if stack.outputs.get(OUTPUT) else {}
        for function in functions.values():
            if name in (function.key, function.name):
                return cls(stack.client("logs"), function.log_group)
        fail(
            unknown("log", name, [*SERVERS, *functions]) + ("" if functions else " (no function: nothing is deployed)")
        )

    def to_dict(self, lines: int) -> dict[str, Any]:
        return {"log_group": self._group, "events": self._last(lines)}

    def read(self, lines: int, *, follow: bool) -> Iterator[str]:
        events = self._last(lines)
        yield from map(_line, events)
        if not follow:
            return
        seen = {event["eventId"] for event in events}
        newest = max((event["timestamp"] for event in events), default=0)
        for _ in every(POLL_SECONDS):
            for event in self._events(newest):
                if event["eventId"] not in seen:
                    seen.add(event["eventId"])
                    newest = max(newest, event["timestamp"])
                    yield _line(event)

    def _last(self, lines: int) -> list[dict[str, Any]]:
        return self._events(0)[-lines:] if lines else []

    def _events(self, start: int) -> list[dict[str, Any]]:
        """Events since a time (ms since the epoch), oldest first."""
        pages = self._client.get_paginator("filter_log_events").paginate(logGroupName=self._group, startTime=start)
        return sorted((event for page in pages for event in page["events"]), key=lambda event: int(event["timestamp"]))


def last_error(client: Any, function: str, since: datetime, seconds: float = 5) -> str:
    """What a function logged last as an error since a moment, in one line; empty when there is nothing after a wait.

    An error's line comes to CloudWatch a moment after the function's answer.
    """
    log = FunctionLog(client, f"/aws/lambda/{function}")

    def look() -> str:
        return next(filter(None, map(_error_in, reversed(log._events(int(since.timestamp() * 1000))))), "")

    return poll(look, seconds=seconds, interval=POLL_SECONDS).value


def _error_in(event: dict[str, Any]) -> str:
    """The message of an error that Powertools' logger wrote; empty for every other line."""
    try:
        entry = json.loads(event["message"])
        return " ".join(str(entry["message"]).split()) if entry["level"] == "ERROR" else ""
    except (ValueError, TypeError, KeyError):
        return ""


def _line(event: dict[str, Any]) -> str:
    when = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
    return f"{when:%H:%M:%S.%f}"[:-3] + f" {event['message'].rstrip()}"
