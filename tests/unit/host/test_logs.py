"""Why a function has failed, read from its log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sluice.pipeline.logs import last_error

SINCE = datetime(2026, 3, 1, tzinfo=UTC)


class Logs:
    """CloudWatch whose log group gets its next lines with each look."""

    def __init__(self, *looks: list[str]) -> None:
        self.looks = list(looks)
        self.asked: list[dict[str, Any]] = []

    def get_paginator(self, _: str) -> Logs:
        return self

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        self.asked.append(request)
        lines = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        yield {"events": [{"timestamp": number, "message": line} for number, line in enumerate(lines)]}


def entry(level: str, message: str) -> str:
    return json.dumps({"level": level, "message": message})


def test_the_last_error_since_the_deployment_began_is_its_cause() -> None:
    lines = [entry("ERROR", "an earlier\none"), entry("ERROR", "division\nby zero"), entry("INFO", "more"), "REPORT x"]
    logs = Logs([], lines)
    assert last_error(logs, "s-migrate", SINCE, seconds=60) == "division by zero"
    assert logs.asked[-1] == {"logGroupName": "/aws/lambda/s-migrate", "startTime": int(SINCE.timestamp() * 1000)}
    assert len(logs.asked) == 2


def test_a_log_without_an_error_says_nothing() -> None:
    lines = ["", "[1]", "null", "[ERROR] x", '{"level": "ERROR"}', entry("INFO", "fine"), '{"level": 1']
    assert last_error(Logs(lines), "s-migrate", SINCE, seconds=0) == ""
