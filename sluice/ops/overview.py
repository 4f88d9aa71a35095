"""What `sluice status` shows of a deployed pipeline, collected from the ledger, the queues and quarantine."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pipeline.items import State
from sluice.data import queues, runs, storage
from sluice.data.ledger import Item, LedgerView
from sluice.data.verify import QUARANTINE
from sluice.ops.dead_letters import QUEUES, DeadLetters

if TYPE_CHECKING:
    from sluice.ops.letters import Letter
    from sluice.stack import Stack

OPEN = (State.PLANNED, State.COMMITTING)
SHOWN = 5  # of a list
RATE_MINUTES = 5
MOST_FILES = 1_000  # of quarantine, whose rows are read
MOST_LETTERS = 100  # of a dead-letter queue, that are looked at


@dataclass(frozen=True)
class Queue:
    """A queue's depth; ``oldest`` is the age in seconds of its oldest message, None when unknown."""

    name: str
    waiting: int
    in_flight: int
    delayed: int
    oldest: float | None


@dataclass(frozen=True)
class Overview:
    """A pipeline at one moment."""

    at: str
    objects: dict[str, int]
    unfinished: list[Item]
    queues: list[Queue]
    dead_letters: dict[str, int]
    """Letters by queue and reason."""
    quarantine: dict[str, int]
    """Rows by dataset and reason."""
    quarantine_files: int
    failures: list[Item]
    objects_per_minute: float
    rows_per_minute: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Collector:
    """Collects again and again: what costs much (letters, quarantined rows) only when it has changed."""

    stack: Stack
    _letters: dict[str, tuple[queues.Depth, list[Letter]]] = field(default_factory=dict)
    _rows: dict[str, tuple[str, Counter[str]]] = field(default_factory=dict)

    def collect(self, now: datetime | None = None) -> Overview:
        moment = now or datetime.now(UTC)
        ledger = LedgerView(self.stack.client("dynamodb"), self.stack["ledger_table"])
        unfinished = [item for state in OPEN for item in ledger.oldest(state, SHOWN)]
        depths = queues.depths(self.stack)
        letters = {name: self._look(name, depths[_SHOWN_AS[name]]) for name in queues.present(self.stack, QUEUES)}
        since = (moment - timedelta(minutes=RATE_MINUTES)).strftime("%Y-%m-%dT%H:%M:%S")
        done = list(ledger.recent(state=State.COMMITTED, since=since))
        quarantine = self._quarantine()
        return Overview(
            at=moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            objects={state: ledger.count(state) for state in State},
            unfinished=sorted(unfinished, key=lambda item: str(item["updated_at"]))[:SHOWN],
            queues=[
                Queue(name, depth.waiting, depth.in_flight, depth.delayed, self._oldest(name, depth, letters, moment))
                for name, depth in depths.items()
            ],
            dead_letters=dict(Counter(f"{x.queue}: {_code(x)}" for found in letters.values() for x in found)),
            quarantine=dict(quarantine.most_common()),
            quarantine_files=len(self._rows),
            failures=_last([*runs.recent(ledger, state=State.FAILED, limit=SHOWN),
                            *runs.recent(ledger, state=State.MISSING, limit=SHOWN)]),
            objects_per_minute=round(len(done) / RATE_MINUTES, 1),
            rows_per_minute=round(sum(int(item["rows_in"]) for item in done) / RATE_MINUTES, 1),
        )  # fmt: skip

    def _look(self, name: str, depth: queues.Depth) -> list[Letter]:
        known = self._letters.get(name)
        if known is None or known[0] != depth:
            dead = DeadLetters(self.stack)
            found = dead.with_reasons(dead.look(name, MOST_LETTERS)) if depth.waiting else []
            self._letters[name] = known = (depth, found)
        return known[1]

    def _oldest(self, name: str, depth: queues.Depth, letters: dict[str, list[Letter]], now: datetime) -> float | None:
        if not depth.total:
            return None
        for queue, shown in _SHOWN_AS.items():
            if shown == name and queue in letters:
                ages = [age for letter in letters[queue] if (age := letter.age(now)) is not None]
                return max(ages, default=None)
        # Looking into the queue itself would count as a receive and bring its messages nearer to their death.
        return self._age_metric(self.stack[queues.QUEUES[name]], now)

    def _age_metric(self, url: str, now: datetime) -> float | None:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html"""
        answer = self.stack.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SQS",
            MetricName="ApproximateAgeOfOldestMessage",
            Dimensions=[{"Name": "QueueName", "Value": url.rsplit("/", 1)[-1]}],
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=1),
            Period=60,
            Statistics=["Maximum"],
        )
        points = sorted(answer.get("Datapoints", []), key=lambda point: point["Timestamp"])
        return float(points[-1]["Maximum"]) if points else None

    def _quarantine(self) -> Counter[str]:
        """Rows by dataset and reason; a file is read again only when its content is another."""
        s3, bucket = self.stack.client("s3"), self.stack["quarantine_bucket"]
        entries = [
            entry
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=QUARANTINE)
            for entry in page.get("Contents", [])
        ]
        entries.sort(key=lambda entry: str(entry.get("LastModified", "")), reverse=True)
        tags = {entry["Key"]: str(entry.get("ETag", entry["Size"])) for entry in entries[:MOST_FILES]}
        self._rows = {key: known for key, known in self._rows.items() if tags.get(key) == known[0]}
        fresh = [key for key in tags if key not in self._rows]

        def read(key: str) -> Counter[str]:
            rows = storage.quarantine_rows(s3, bucket, key)
            return Counter(f"{key.split('/')[1]}: {row['reason']}" for row in rows)

        for key, counts in zip(fresh, storage.in_parallel(read, fresh), strict=True):
            self._rows[key] = (tags[key], counts)
        return sum((counts for _, counts in self._rows.values()), Counter())


_SHOWN_AS = {
    "chunks": "chunk dead letters",
    "ingest": "ingest dead letters",
    "loads": "load dead letters",
    "feedback": "feedback dead letters",
}
"""What the dead-letter queues are called beside the others."""


def _code(letter: Letter) -> str:
    return re.split("[:;]", letter.reason)[0]


def _last(items: list[Item]) -> list[Item]:
    return sorted(items, key=lambda item: str(item["updated_at"]), reverse=True)[:SHOWN]
