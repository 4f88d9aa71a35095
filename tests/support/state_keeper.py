"""An engine whose state is saved, and restored in new engines."""

import json
import signal
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.support.engine_harness import Engine, Function

OPTIONS = {
    "SLUICE_FAULTS": "1",
    "LAMBDA_RETRY_BASE_DELAY": "1",
    "SLUICE_METRIC_SECONDS": "1",
    "SLUICE_ALARM_SECONDS": "1",
}


class Keeper:
    """An engine whose state is saved and restored in new engines."""

    def __init__(self, home: Path, **options: str) -> None:
        self.home, self.folder = home, home / "states" / "one"
        self.engine = self.start(**options)

    def start(self, **options: str) -> Engine:
        """A fresh engine."""
        home = Path(f"{self.home}/engine-{time.monotonic_ns()}")
        home.mkdir(parents=True)
        return Engine(home, **(OPTIONS | options))

    def call(self, route: str, method: str = "POST", **body: Any) -> Any:
        """Answer of a route below /_sluice/state; raises HTTPError."""
        request = urllib.request.Request(
            f"{self.engine.url}/_sluice/state/{route}", json.dumps(body).encode() if body else None, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def save(self, **body: Any) -> Any:
        """Save the state."""
        return self.call("save", **({"folder": str(self.folder)} | body))

    def restart(self, **options: str) -> None:
        """Kill the engine and start a fresh one from the saved state."""
        self.engine.stop(signal.SIGKILL)
        self.engine = self.start(SLUICE_STATE=str(self.folder), **options)

    def again(self, **options: str) -> None:
        """Save, kill and restore."""
        self.save()
        self.restart(**options)

    def log(self, function: Function) -> str:
        """The log of a function in the present engine."""
        logs = self.client("logs")
        try:
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{function.name}")
            return "".join(event["message"] for page in pages for event in page["events"])
        except logs.exceptions.ResourceNotFoundException:
            return ""

    def client(self, service: str) -> Any:
        """boto3 client of the present engine."""
        return self.engine.client(service)
