"""The core's stack in a checkout of its own, whose code and datasets may change, driven by the tool alone."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.checkouts import Checkout

# The core alone: a branch would only take time.
OFF = ("observability", "ops", "warehouse", "canonical", "api", "feedback", "checkin", "lake", "quality_gate")
STACK = [word for name in OFF for word in ("--var", f"{name}_enabled=false")]
ROW = {"event_time": "2026-03-01T10:00:00Z", "shipment_id": "s1", "origin": "A", "destination": "B", "weight_kg": 150}


@dataclass(frozen=True)
class CoreStack:
    checkout: Checkout

    @property
    def root(self) -> Path:
        return self.checkout.root

    def run(self, *words: str, code: int = 0) -> str:
        """Standard output, or what was said on standard error where a failure is expected."""
        done = self.checkout.sluice(*words)
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    def deploy(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("deploy", "--json", *words, *STACK))
        return found

    def no_change_is_planned(self) -> None:
        assert json.loads(self.run("plan", "--json", *STACK))["changes"] == []

    def put(self, file: Path, name: str, weight: float = 150) -> dict[str, Any]:
        """The ledger's item of a file with one row, once its run has ended."""
        row = ROW | {"shipment_id": f"{name}-{file.stem}", "weight_kg": weight}
        file.write_text(json.dumps(row) + "\n")
        self.checkout.sluice("put", str(file), "shipments", "--wait", "--json")
        found: dict[str, Any] = json.loads(self.run("runs", file.name, "--json"))["object"]
        return found


def new_file(folder: Path) -> Path:
    """A name that no other test gives: the stack is shared, and the ledger is asked by names."""
    return folder / f"{uuid.uuid4().hex}.jsonl"


def counts(item: dict[str, Any]) -> tuple[int, int]:
    return int(item["rows_silver"]), int(item["rows_quarantined"])


@contextmanager
def replaced(file: Path, old: str, new: str) -> Iterator[None]:
    """Saves a change, and the file as it was at the end."""
    before = file.read_text()
    assert before.count(old) == 1
    file.write_text(before.replace(old, new))
    try:
        yield
    finally:
        file.write_text(before)
