"""Where the pipeline breaks when its load grows: arithmetic on item sizes, call counts, settings and AWS's quotas.

Nothing here measures. `tests/contract/core/test_ledger_cost.py` holds the sizes to the items that the ledger writes.
A stage whose speed no run of the bench has measured has no limit here, and a note says so.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sluice.bench.figures import Figure
from sluice_pipeline.dynamo.table import TRANSACTION_LIMIT
from sluice_pipeline.ledger.items import State

DAY = 86_400
UNIT_BYTES = 1024
"""Of one write unit: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/capacity-modes.html"""
DOLLARS_PER_UNIT = 0.625 / 1e6
"""Of a write on demand in us-east-1: https://aws.amazon.com/dynamodb/pricing/on-demand/"""


@dataclass(frozen=True)
class Quota:
    """A number of AWS's, and the page that has it."""

    value: float
    page: str


S3_PUTS = Quota(3_500, "https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html")
TABLE_UNITS = Quota(40_000, "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html")
PARTITION_UNITS = Quota(
    1_000, "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html"
)
IN_FLIGHT = Quota(
    120_000, "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html"
)
EXECUTIONS = Quota(1_000, "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html")
INVOCATIONS = Quota(750, "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html")
"""A second, in the smallest regions; us-east-1 has 18,750."""

# -- what an object costs ----------------------------------------------------------------------------------------------

PLANNED, COUNTED, COMMITTED, LOADED = 837, 865, 894, 1000
"""Bytes of an object's item after each of its writes, with names as long as those of an ordinary deployment."""
CONTENT = 92
"""Bytes of the item that names the object of a content; it is in the plan's transaction."""
CHUNK_PLANNED, CHUNK_DONE = 130, 350
"""Bytes of a chunk's item; done: it wrote one file."""
RECORD_BYTES = (145, 258)
"""Bytes of an event's idempotency record, in progress and completed."""
HEADS = 2
"""Items that an object's plan writes in one transaction beside its chunks: the object's and its content's."""


@dataclass(frozen=True)
class Write:
    """One write of an object's item: bytes and state before (0 and None: there was no item) and after.

    ``moved``: it changes ``updated_at``, the sort key of the index of its state. ``times``: how often it happens.
    """

    before: int
    after: int
    former: State | None
    state: State
    transactional: bool = False
    moved: bool = True
    times: int = 1


@dataclass(frozen=True)
class Units:
    """Write units of one object: of the table, of each index, and of each state's partition of open_objects.

    An item of an index has a third of the table's, so it costs one unit.
    """

    table: int
    received: int
    committed: int
    open: dict[State, int]

    @property
    def total(self) -> int:
        return self.table + self.received + self.committed + sum(self.open.values())


def units(*sizes: int) -> int:
    """Of writing an item, by the larger of its sizes (bytes) before and after."""
    return max(1, math.ceil(max(sizes) / UNIT_BYTES))


def writes(chunks: int) -> list[Write]:
    """What the ledger writes to the item of an object of so many chunks, from its plan to its load."""
    planned, committing, committed = State.PLANNED, State.COMMITTING, State.COMMITTED
    if chunks == 1:  # the only chunk's completion claims the commit along
        counted = [Write(PLANNED, COUNTED, planned, committing, transactional=True)]
    else:
        each = Write(PLANNED, COUNTED, planned, planned, transactional=True, times=chunks)
        counted = [each, Write(COUNTED, COUNTED, planned, committing)]
    return [
        Write(0, PLANNED, None, planned, transactional=True),
        *counted,
        Write(COUNTED, COMMITTED, committing, committed),
        Write(COMMITTED, LOADED, committed, committed, moved=False),
    ]


def ledger_units(steps: Iterable[Write]) -> Units:
    """The units of these writes of an object's item.

    A write in a transaction costs the table twice as much, and a change of an index's key costs the index two writes,
    of which one is that of the partition that the item leaves:
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html,
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html. An index is written once for a write in a
    transaction, and not at all when nothing changes that it includes.
    """
    table = received = committed = 0
    open_: Counter[State] = Counter()
    for step in steps:
        table += units(step.before, step.after) * (2 if step.transactional else 1) * step.times
        received += step.former is None  # the plan's: of what the index includes, nothing changes afterwards
        if not step.moved:
            continue  # nor of what the other two include
        for state in (step.former, step.state):
            if state == State.COMMITTED:
                committed += step.times
            elif state is not None:
                open_[state] += step.times
    return Units(table, received, committed, dict(open_))


PLAN_UNITS = 2 * units(CONTENT)
"""Of the item that names the object of a content."""


def chunk_units(chunks: int) -> int:
    """The units of the items of an object's chunks. A plan that one transaction cannot hold is written without one."""
    plan = units(CHUNK_PLANNED) * (2 if chunks <= TRANSACTION_LIMIT - HEADS else 1)
    return chunks * (plan + 2 * units(CHUNK_PLANNED, CHUNK_DONE))


# -- the stages --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Load:
    """What arrives. ``datasets``: among how many it is spread evenly.

    ``warehouse_part``: of the objects, those that the warehouse takes; warehouse_left_out names the other datasets.
    """

    objects_per_day: float
    bytes_per_day: float
    datasets: int = 1
    warehouse_part: float = 1.0

    @property
    def objects_per_s(self) -> float:
        return self.objects_per_day / DAY

    @property
    def object_bytes(self) -> float:
        return self.bytes_per_day / self.objects_per_day


@dataclass(frozen=True)
class Settings:
    """What the simulation needs of a tfvars file."""

    chunk_bytes: int
    ledger_shards: int
    ingest_batch_size: int
    ingest_maximum_concurrency: int
    transform_batch_size: int
    transform_maximum_concurrency: int
    load_maximum_concurrency: int
    load_batch_size: int

    @classmethod
    def of(cls, tfvars: str) -> Settings:
        """From the text of a file. Raises ValueError when it does not set one of them."""
        found = {}
        for name in cls.__dataclass_fields__:
            setting = re.search(rf"^{name}\s*=\s*(\d+)\b", tfvars, re.MULTILINE)
            if setting is None:
                raise ValueError(f"the file does not set {name}")
            found[name] = int(setting[1])
        return cls(**found)


@dataclass(frozen=True)
class Speeds:
    """What was measured or given; None: it was not.

    ``transform_mb_per_s``: MB a second of one worker. The two of load are those of a review of prod's eight workers,
    which no run of the bench has measured: objects a second of one worker, and bytes a day into Aurora.
    """

    transform_mb_per_s: float | None = None
    load_objects_per_s: float = 67 / 8
    aurora_bytes_per_day: float = 0.9e12

    @classmethod
    def of(cls, runs: Sequence[tuple[Sequence[Figure], int]]) -> Speeds:
        """From the figures and processors of runs, the newest last: bulk's throughput by a processor."""
        for figures, processors in reversed(runs):
            for one in figures:
                if (one.group, one.name) == ("bulk", "throughput") and one.value and processors:
                    return cls(one.value / processors)
        return cls()


TOGETHER = ((20e3, 3.0), (0.75e6, 1.2))
"""How many times as many objects a worker loads when ten share a transaction: largest size in bytes, and the factor.

docs/scale.md has the measurement. Of larger objects, and of smaller batches, nothing was measured, and nothing gained.
"""
TOGETHER_BATCH = 10

SUBSCRIBERS = 3
"""Queues that get each object.committed in prod: warehouse, lake, feedback."""


@dataclass(frozen=True)
class Limit:
    """How many objects a second a stage takes; None when that cannot be said. ``why``: how it comes about."""

    stage: str
    objects_per_s: float | None
    why: str
    page: str = ""

    def holds(self, load: Load) -> bool | None:
        """Whether the load's mean is below it; None when there is no limit to compare with."""
        return None if self.objects_per_s is None else self.objects_per_s > load.objects_per_s

    def to_dict(self, load: Load) -> dict[str, Any]:
        rate = self.objects_per_s
        return {
            "stage": self.stage,
            "objects_per_s": rate,
            "objects_per_day": None if rate is None else rate * DAY,
            "bytes_per_day": None if rate is None else rate * DAY * load.object_bytes,
            "holds": self.holds(load),
            "why": self.why,
            "page": self.page,
        }


def chunk_count(load: Load, settings: Settings) -> int:
    """Chunks of an object of the load's mean size."""
    return max(1, math.ceil(load.object_bytes / settings.chunk_bytes))


def limits(load: Load, settings: Settings, speeds: Speeds) -> list[Limit]:
    """Each stage's limit, in the order in which an object passes them."""
    chunks = chunk_count(load, settings)
    item = ledger_units(writes(chunks))
    record = sum(units(size) for size in RECORD_BYTES)
    total = item.total + PLAN_UNITS + chunk_units(chunks)
    state, hottest = max(item.open.items(), key=lambda one: one[1])
    shard, shards = PARTITION_UNITS.value * settings.ledger_shards, f"{settings.ledger_shards} shards"
    at_once = settings.ingest_maximum_concurrency * settings.ingest_batch_size
    waiting = settings.transform_maximum_concurrency * settings.transform_batch_size
    return [
        Limit("bronze: puts", S3_PUTS.value * load.datasets, "3,500 a second of a prefix, one a dataset", S3_PUTS.page),
        Limit("ingest: executions", None, f"{at_once:,} objects at once, {settings.ingest_batch_size} an execution: "
              f"one may take {at_once / load.objects_per_s:,.1f} s; its time is not measured", EXECUTIONS.page),
        Limit("idempotency: table", TABLE_UNITS.value / record, f"{record} units an object", TABLE_UNITS.page),
        Limit("ledger: table and indexes", TABLE_UNITS.value / total, f"{total} units an object", TABLE_UNITS.page),
        Limit("ledger: received_objects", shard * load.datasets / item.received,
              f"{item.received} units an object in one of its dataset's {shards}", PARTITION_UNITS.page),
        Limit("ledger: open_objects", shard / hottest,
              f"{hottest} units an object in one of the {shards} of {state}", PARTITION_UNITS.page),
        Limit("ledger: committed_objects", shard / item.committed,
              f"{item.committed} units an object in one of {shards}", PARTITION_UNITS.page),
        Limit("chunk queue: in flight", None, f"{waiting:,} messages at most, of {IN_FLIGHT.value:,.0f}",
              IN_FLIGHT.page),
        _transform(load, settings, speeds),
        Limit("silver: puts", S3_PUTS.value * load.datasets / chunks, f"{chunks} files an object, one a chunk",
              S3_PUTS.page),
        Limit("events: invocations", INVOCATIONS.value / SUBSCRIBERS,
              f"{INVOCATIONS.value:,.0f} a second in the smallest regions, {SUBSCRIBERS} an object", INVOCATIONS.page),
        *_load(load, settings, speeds),
    ]  # fmt: skip


def _load(load: Load, settings: Settings, speeds: Speeds) -> list[Limit]:
    """The warehouse's two limits, for all objects of which it takes its part; none when it takes nothing."""
    if not load.warehouse_part:
        return []
    workers, batch, part = settings.load_maximum_concurrency, settings.load_batch_size, load.warehouse_part
    factor = next((factor for size, factor in TOGETHER if load.object_bytes <= size), 1.0)
    rate = speeds.load_objects_per_s * (factor if batch >= TOGETHER_BATCH else 1.0)
    of = f", of {part:.0%} of the objects" if part < 1 else ""
    return [
        Limit("load: transactions", rate * workers / part,
              f"{workers} workers, up to {batch} objects a transaction{of}; one object's time is given, not measured"),
        Limit("load: bytes into Aurora", speeds.aurora_bytes_per_day / load.object_bytes / DAY / part,
              f"{speeds.aurora_bytes_per_day / 1e12:.1f} TB a day{of}; given, not measured"),
    ]  # fmt: skip


def _transform(load: Load, settings: Settings, speeds: Speeds) -> Limit:
    name, workers = "transform: workers", settings.transform_maximum_concurrency
    if speeds.transform_mb_per_s is None:
        return Limit(name, None, f"{workers} workers; their speed is not measured: `sluice bench bulk`")
    rate = workers * speeds.transform_mb_per_s * 1e6 / load.object_bytes
    return Limit(name, rate, f"{workers} workers, {speeds.transform_mb_per_s:,.1f} MB/s each (bulk, a processor)")


def first_to_break(found: Iterable[Limit]) -> Limit:
    """The lowest limit. Raises ValueError when there is none."""
    return min((one for one in found if one.objects_per_s is not None), key=lambda one: one.objects_per_s or 0.0)


def write_units(load: Load, settings: Settings) -> int:
    """All write units of an object: ledger, its indexes, and the idempotency table."""
    chunks = chunk_count(load, settings)
    ledger = ledger_units(writes(chunks)).total + PLAN_UNITS + chunk_units(chunks)
    return ledger + sum(units(size) for size in RECORD_BYTES)
