"""What `sluice status` shows of a deployed pipeline, collected from the ledger, the queues and quarantine."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from sluice.pipeline import queues, runs, storage
from sluice.pipeline.branches import Branches
from sluice.pipeline.dead_letters import DeadLetters
from sluice.pipeline.duplicates import Remembered, remembered
from sluice.pipeline.ledger import Item, LedgerView
from sluice.pipeline.unmanaged import is_of_no_dataset, unmanaged
from sluice_pipeline.ledger.items import State
from sluice_pipeline.objects.keys import QUARANTINE

if TYPE_CHECKING:
    from sluice.pipeline.message_formats import DeadLetterMessage
    from sluice.pipeline.stack import Stack

OPEN = (State.PLANNED, State.COMMITTING, State.STAGED)
SHOWN = 5  # of a list
RATE_MINUTES = 5
MAX_FILES = 1_000  # of quarantine, whose rows are read
MAX_FAILED = 5_000  # objects, the last that failed, among which unmanaged ones are looked for
MAX_MESSAGES = 100  # of a dead-letter queue, that are looked at


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
    """Messages by queue and reason."""
    quarantine: dict[str, int]
    """Rows by dataset and reason."""
    quarantine_files: int
    failures: list[Item]
    passed_over: int
    """Objects that were not ingested in the last day, because they are no data."""
    objects_per_minute: float
    rows_per_minute: float
    duplicates: Remembered | None = None
    """Rows whose key occurs more than once, as `verify` counted them; None when it has not since the last commit."""
    unmanaged: list[str] = field(default_factory=list)
    """Keys of bronze that are not ingested."""
    unconfirmed: list[str] = field(default_factory=list)
    """Addresses that notices are to go to and that have not agreed to it: they get none."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Collector:
    """Collects again and again: what costs much (dead-letter messages, quarantined rows) only when it has changed."""

    stack: Stack
    _messages: dict[str, tuple[queues.Depth, list[DeadLetterMessage]]] = field(default_factory=dict)
    _rows: dict[str, tuple[str, Counter[str]]] = field(default_factory=dict)

    def collect(self, now: datetime | None = None) -> Overview:
        moment = now or datetime.now(UTC)
        ledger = LedgerView.of(self.stack)
        objects = dict(zip(map(str, State), storage.in_parallel(ledger.count, State), strict=True))
        # A state that no object is in is not asked for its objects.
        unfinished = [item for state in OPEN if objects[state] for item in ledger.oldest(state, SHOWN)]
        failed = _needed(ledger) if objects[State.FAILED] else []
        others = [
            item
            for state in (State.MISSING, State.WITHHELD)
            if objects[state]
            for item in runs.recent(ledger, state=state, limit=SHOWN)
        ]
        depths = queues.depths(self.stack)
        own = Branches.of(self.stack).queues
        dead = {queue.dead_letters: self._look(key, depths[queue.dead_letters]) for key, queue in own.items()}
        names = {key: queue.name for key, queue in own.items() if queue.name}
        since = (moment - timedelta(minutes=RATE_MINUTES)).strftime("%Y-%m-%dT%H:%M:%S")
        done, rows = _counted(ledger.changed(State.COMMITTED, since) if objects[State.COMMITTED] else ())
        quarantine = self._quarantine()
        return Overview(
            at=moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            objects=objects,
            unfinished=sorted(unfinished, key=lambda item: str(item["updated_at"]))[:SHOWN],
            queues=[
                Queue(name, depth.waiting, depth.in_flight, depth.delayed,
                      _oldest(dead[name], moment) if name in dead else self._age_metric(names[name], depth, moment))
                for name, depth in depths.items()
            ],
            dead_letters=dict(Counter(f"{x.queue}: {_code(x)}" for found in dead.values() for x in found)),
            quarantine=dict(quarantine.most_common()),
            quarantine_files=len(self._rows),
            failures=_last([*failed[:SHOWN], *others]),
            passed_over=self._passed_over(moment),
            objects_per_minute=round(done / RATE_MINUTES, 1),
            rows_per_minute=round(rows / RATE_MINUTES, 1),
            duplicates=remembered(self.stack, objects[State.COMMITTED]),
            unmanaged=unmanaged(self.stack.client("s3"), self.stack["bronze_bucket"], failed),
            unconfirmed=self._unconfirmed(),
        )  # fmt: skip

    def _look(self, name: str, depth: queues.Depth) -> list[DeadLetterMessage]:
        known = self._messages.get(name)
        if known is None or known[0] != depth:
            dead = DeadLetters(self.stack)
            found = dead.with_reasons(dead.look(name, MAX_MESSAGES)) if depth.waiting else []
            self._messages[name] = known = (depth, found)
        return known[1]

    def _age_metric(self, queue: str, depth: queues.Depth, now: datetime) -> float | None:
        """The age of a queue's oldest message, by its metric: receiving messages would count against their retries.

        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
        """
        if not depth.total:
            return None
        answer = self.stack.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SQS",
            MetricName="ApproximateAgeOfOldestMessage",
            Dimensions=[{"Name": "QueueName", "Value": queue}],
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=1),
            Period=60,
            Statistics=["Maximum"],
        )
        points = sorted(answer.get("Datapoints", []), key=lambda point: point["Timestamp"])
        return float(points[-1]["Maximum"]) if points else None

    def _passed_over(self, now: datetime) -> int:
        """Counted by a metric of ingest; 0 for a stack of an earlier version."""
        namespace = self.stack.outputs.get("metrics_namespace")
        if namespace is None:
            return 0
        answer = self.stack.client("cloudwatch").get_metric_statistics(
            Namespace=namespace,
            MetricName="ObjectsPassedOver",
            Dimensions=[{"Name": "service", "Value": "ingest"}],
            StartTime=now - timedelta(days=1),
            EndTime=now + timedelta(minutes=1),
            Period=3600,
            Statistics=["Sum"],
        )
        return int(sum(point["Sum"] for point in answer.get("Datapoints", [])))

    def _unconfirmed(self) -> list[str]:
        """Subscriptions whose link in the first mail was not followed; AWS forgets them after two days.

        Of the topic that mail addresses subscribe to: that of mails where notices are gathered, else that of notices.
        https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html
        """
        topic = self.stack.outputs.get("mail_topic_arn") or self.stack.outputs.get("notifications_topic_arn")
        if topic is None:
            return []
        pages = self.stack.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
        found = [one for page in pages for one in page["Subscriptions"]]
        return sorted(str(one["Endpoint"]) for one in found if one["SubscriptionArn"] == "PendingConfirmation")

    def _quarantine(self) -> Counter[str]:
        """Rows by dataset and reason; a file is read again only when its content is another."""
        s3, bucket = self.stack.client("s3"), self.stack["quarantine_bucket"]
        entries = [
            entry
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=QUARANTINE)
            for entry in page.get("Contents", [])
        ]
        entries.sort(key=lambda entry: str(entry.get("LastModified", "")), reverse=True)
        tags = {entry["Key"]: str(entry.get("ETag", entry["Size"])) for entry in entries[:MAX_FILES]}
        self._rows = {key: known for key, known in self._rows.items() if tags.get(key) == known[0]}
        fresh = [key for key in tags if key not in self._rows]

        def read(key: str) -> Counter[str]:
            rows = storage.quarantine_rows(s3, bucket, key)
            return Counter(f"{key.split('/')[1]}: {row['reason']}" for row in rows)

        for key, counts in zip(fresh, storage.in_parallel(read, fresh), strict=True):
            self._rows[key] = (tags[key], counts)
        return sum((counts for _, counts in self._rows.values()), Counter())


def _oldest(messages: list[DeadLetterMessage], now: datetime) -> float | None:
    return max((age for message in messages if (age := message.age(now)) is not None), default=None)


def _counted(items: Iterable[Item]) -> tuple[int, int]:
    """How many there are, and their rows."""
    done = rows = 0
    for item in items:
        done, rows = done + 1, rows + int(item["rows_in"])
    return done, rows


def _needed(ledger: LedgerView) -> list[Item]:
    """Of the failed objects the last ones, which are shown, and those that are unmanaged: one read for both."""
    last = islice(ledger.changed(State.FAILED), MAX_FAILED)
    failed = enumerate(item | {"state": State.FAILED} for item in last)
    chosen = [str(item["object_id"]) for place, item in failed if place < SHOWN or is_of_no_dataset(item)]
    items = ledger.objects(chosen)
    return [items[name] for name in chosen if name in items and items[name]["state"] == State.FAILED]


def _code(message: DeadLetterMessage) -> str:
    return re.split("[:;]", message.reason)[0]


def _last(items: list[Item]) -> list[Item]:
    return sorted(items, key=lambda item: str(item["updated_at"]), reverse=True)[:SHOWN]
