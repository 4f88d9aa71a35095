"""Reading logs: the servers' files, and the functions' log groups in CloudWatch."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluice.console import fail, print_json

if TYPE_CHECKING:
    from sluice.containers import ContainerId
    from sluice.instance import Instance

POLL_SECONDS = 0.5


def show_file(path: Path, *, lines: int, follow: bool, as_json: bool) -> None:
    """Prints a log file's last lines, and with `follow` what comes after them."""
    if not path.exists():
        fail(f"there is no {path.name} yet: start the engine with `make up`", 1)
    with path.open(errors="replace") as log:
        last = log.read().splitlines()[-lines:] if lines else []
        if as_json:
            print_json({"log": path, "lines": last})
            return
        for line in last:
            print(line)
        while follow:
            more = log.read()
            sys.stdout.write(more)
            sys.stdout.flush()
            if not more:
                time.sleep(POLL_SECONDS)


def show_container(server: ContainerId, *, lines: int, follow: bool, as_json: bool) -> None:
    """Prints a container's last log lines, and with `follow` what comes after them."""
    from sluice.containers import docker

    if as_json:
        found = docker("logs", "--tail", str(lines), server.container, both=True).splitlines()
        print_json({"log": server.short, "lines": found})
    elif follow:
        subprocess.run(["docker", "logs", "--follow", "--tail", str(lines), server.container], check=False)
    else:
        print(docker("logs", "--tail", str(lines), server.container, both=True), end="")


def show_function(instance: Instance, name: str, *, lines: int, follow: bool, as_json: bool) -> None:
    """Prints a function's log events. `ingest` finds `sluice-dev-ingest`; an unknown name lists the known ones."""
    from sluice.stack import Stack

    client = Stack.load(instance).client("logs")
    group = _find_group(client, name)
    events = list(_events(client, group, 0))[-lines:] if lines else []
    if as_json:
        print_json({"log_group": group, "events": events})
        return
    seen = {event["eventId"] for event in events}
    for event in events:
        _print_event(event)
    newest = max((event["timestamp"] for event in events), default=0)
    while follow:
        time.sleep(POLL_SECONDS)
        for event in _events(client, group, newest):
            if event["eventId"] not in seen:
                seen.add(event["eventId"])
                newest = max(newest, event["timestamp"])
                _print_event(event)


def _find_group(client: Any, name: str) -> str:
    groups = [
        group["logGroupName"]
        for page in client.get_paginator("describe_log_groups").paginate(logGroupNamePrefix="/aws/lambda/")
        for group in page["logGroups"]
    ]
    matches = [group for group in groups if group.rsplit("/", 1)[1] == name] or [
        group for group in groups if group.endswith(f"-{name}")
    ]
    if len(matches) == 1:
        return str(matches[0])
    known = ", ".join(group.rsplit("/", 1)[1] for group in groups) or "none: nothing is deployed"
    fail(f"no log named {name!r}: use engine, postgres, or a function ({known})")


def _events(client: Any, group: str, start: int) -> Iterator[dict[str, Any]]:
    pages = client.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=start)
    events = [event for page in pages for event in page["events"]]
    yield from sorted(events, key=lambda event: event["timestamp"])


def _print_event(event: dict[str, Any]) -> None:
    when = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
    print(f"{when:%H:%M:%S.%f}"[:-3] + f" {event['message'].rstrip()}", flush=True)
