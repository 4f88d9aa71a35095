"""What a load needs of AWS, and what it costs a month: arithmetic on measured call counts, sizes and speeds.

Nothing here measures or looks anything up. Amounts have units in their names or in `prices.Amount`. A month has
30 days. docs/capacity.md says where each figure comes from; the ledger's are those of `sluice.bench.scale`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sluice.bench import prices, scale
from sluice.bench.prices import GIB, Amount, Price
from sluice.bench.scale import EXECUTIONS, IN_FLIGHT, Load, Settings

DAYS, HOURS = 30, 720
"""Of a month."""
MB = 1e6
WAREHOUSE, LAKE = "warehouse", "lake"
BRANCHES = (WAREHOUSE, LAKE)
OTHERS = {
    "api": "requests", "checkins": "files of a day", "feedback": "rows of its datasets",
    "observability": "alarms", "quality": "objects of its datasets", "replay": "objects that are replayed",
    "taxi": "months of trips",
}  # fmt: skip
"""Branches that are not calculated, and what their cost follows from."""

# -- measured (2026-11-27, embedded engine, two shared processors; docs/capacity.md says how) ------------------------

TRANSFORM_MB_PER_S = 14.9
"""MB of bronze a second of one transform that has a processor: 64 MB in four chunks took 4.28 s."""
LOAD_MB_PER_S = 11.2
"""MB of bronze a second of one load, database included: 64 MB took 5.73 s."""
INGEST_MB_PER_S = 870.0
"""MB of bronze a second of one ingest that reads an object whole: 0.5 ms a MB in the client's get, 0.64 for SHA-256."""
HASHED_BYTES = 16 * 2**20
"""Up to which ingest reads an object whole: `sluice_pipeline.objects.storage`."""
SILVER_SHARE = 0.137
"""Bytes of silver for one of bronze: 8.78 MB of 64.0."""
WAL_SHARE = 1.82
"""Bytes of PostgreSQL's log for one of bronze: docs/scale.md, 4,000 rows of 0.73 MB, together."""
CALL_CPU_S = 0.0035
"""Processor seconds of a function for one call of AWS."""

# -- given -------------------------------------------------------------------------------------------------------------

CALL_WAIT_S = 0.010
"""How long a function waits for one call inside a region."""
FULL_PROCESSOR_MB = 1769
"""Memory at which a function has one whole processor: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"""
TABLE_SHARE = 1.0
"""Bytes of a warehouse table for one of bronze."""
ACU_OF_FULL_SPEED = 4.0
"""ACUs with which the warehouse loads `scale.Speeds.aurora_bytes_per_day`: those of prod, warehouse_max_capacity."""
LEAST_ACU = 0.5
WAL_BYTES = 4096
"""Of one write request: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.Overview.StorageReliability.html"""
ENDPOINTS, ZONES = 3, 2
"""Interface endpoints of the warehouse's network: secretsmanager, sqs, sns (infra/branches/warehouse)."""
COMPACTION_MB_PER_DPU_S = 10.0
"""MB of silver that one DPU reads and writes again in a second."""
GLUE_LEAST_S = 60
"""The shortest run that is billed: https://aws.amazon.com/glue/pricing/"""
READ_BYTES = 4096
"""Of one read unit: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/capacity-modes.html"""


@dataclass(frozen=True)
class Work:
    """What one function does for an object of a load: measured calls and log lines.

    ``calls``: of all services. ``reads``: consistent read units. ``megabytes_per_s``: with a whole processor; None
    when it reads no rows. ``invocations``: for an object (below 1: batches).
    """

    function: str
    memory_mb: int
    invocations: float
    calls: float
    s3_gets: float
    s3_puts: float
    sqs_requests: float
    reads: float
    log_bytes: float
    megabytes_per_s: float | None = None

    def seconds(self, object_bytes: float) -> float:
        """For one object: waiting for calls, and the processor at its share for this memory."""
        share = min(1.0, self.memory_mb / FULL_PROCESSOR_MB)
        busy = self.calls * CALL_CPU_S
        if self.megabytes_per_s:
            busy += object_bytes / MB / self.megabytes_per_s
        return self.calls * CALL_WAIT_S + busy / share


@dataclass(frozen=True)
class Stack:
    """What Terraform sets: megabytes of each function, the most executions at a time, and the warehouse's readers."""

    ingest_memory_mb: int
    ingest_maximum_concurrency: int
    transform_memory_mb: int
    load_memory_mb: int
    lake_maximum_concurrency: int
    lake_compaction_workers: int
    lake_compaction_timeout_minutes: int
    warehouse_max_capacity: int
    warehouse_readers: int

    @classmethod
    def of(cls, settings: str) -> Stack:
        """From what `with_defaults` made. Raises ValueError when it lacks one."""
        return cls(*(setting(name, settings) for name in cls.__dataclass_fields__))


LAKE_MEMORY_MB = 256
"""Of the function lake: infra/stack/branch_lake.tf."""


def with_defaults(tfvars: str, variables: str) -> str:
    """The text of a tfvars file, and a line for each whole number that is the default of a variable it does not set.

    Raises ValueError for a text that sets nothing.
    """
    given = set(re.findall(r"^(\w+)\s*=", tfvars, re.MULTILINE))
    if not given:
        raise ValueError("it sets nothing")
    blocks = re.findall(r'^variable "(\w+)" {\n((?:(?!}).*\n)*)}', variables, re.MULTILINE)
    defaults = ((name, re.search(r"^  default\s*= (\d+)$", block, re.MULTILINE)) for name, block in blocks)
    return tfvars + "".join(f"\n{name} = {found[1]}" for name, found in defaults if found and name not in given)


def setting(name: str, settings: str) -> int:
    """A whole number that Terraform uses, of a text that `with_defaults` made. Raises ValueError when it has none."""
    found = re.search(rf"^{name}\s*=\s*(\d+)\b", settings, re.MULTILINE)
    if found is None:
        raise ValueError(f"{name} is neither set nor has a default")
    return int(found[1])


def works(load: Load, settings: Settings, stack: Stack, branches: Iterable[str]) -> list[Work]:
    """The functions' work for one object, in the order in which it passes them."""
    chunks = scale.chunk_count(load, settings)
    many = chunks > 1
    sent = math.ceil(chunks / 10)  # a batch of SQS has ten
    # A transaction has a hundred items: more than 98 chunks have their own, after a GetItem that asks for the content.
    split = chunks > 98
    planned = 1 + split * (1 + math.ceil(chunks / 100))
    queries = math.ceil((scale.LOADED + chunks * scale.CHUNK_DONE) / READ_BYTES)
    branches = set(branches)
    ingest, transform = 0.37, 0.46  # invocations: batches of three objects, of two chunks
    large = load.object_bytes > HASHED_BYTES
    found = [
        # The rules and the object, the idempotency record twice, the plan, the messages; of a large object its
        # checksum. An invocation asks for the rules once: each object is counted as if it were alone.
        Work(
            "ingest", stack.ingest_memory_mb, ingest, 4 + sent + planned + large, 2 + large, 0, 1 + 2 * ingest,
            int(split), 1132, None if large else INGEST_MB_PER_S,
        ),
        # Of a chunk: item, rows, file, completion; of many also a second get and a claim. Of an object: event, commit.
        Work(
            "transform", stack.transform_memory_mb, transform * chunks,
            (6 if many else 4) * chunks + (3 if many else 2), (2 if many else 1) * chunks, chunks,
            sent + 2 * transform * chunks, chunks + (queries if many else 0), 1298 * chunks, TRANSFORM_MB_PER_S,
        ),
    ]  # fmt: skip
    if WAREHOUSE in branches and load.warehouse_part:
        part = load.warehouse_part
        batches = 1 / min(settings.load_batch_size, 3)  # as ingest's, which waits for no full batch either
        found.append(
            # The object, its chunks, the load's end; a get, and one of each file.
            Work("load", stack.load_memory_mb, batches * part, (4 + chunks) * part, (1 + chunks) * part, 0,
                 (1 + 2 * batches) * part, (1 + queries) * part, 1395 * part, LOAD_MB_PER_S / part)
        )  # fmt: skip
    if LAKE in branches:
        lake = 0.19
        found.append(Work("lake", LAKE_MEMORY_MB, lake, 10, 1, 1, 1 + 2 * lake, 4 + 2 * queries, 586))
    return found


# -- what it needs -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Need:
    """One thing that a load needs: how much, of which quota or setting (None: of none), and why."""

    what: str
    value: float
    unit: str
    limit: float | None = None
    why: str = ""
    page: str = ""

    @property
    def holds(self) -> bool | None:
        return None if self.limit is None else self.value <= self.limit

    def to_dict(self) -> dict[str, Any]:
        return {
            "what": self.what, "value": self.value, "unit": self.unit, "limit": self.limit, "holds": self.holds,
            "why": self.why, "page": self.page,
        }  # fmt: skip


_TFVARS = "infra/envs/prod.tfvars"


def concurrency(work: Work, load: Load) -> float:
    """Executions at a time at the day's mean: arrivals a second x seconds each (Little's law)."""
    return load.objects_per_s * work.seconds(load.object_bytes)


def needs(load: Load, settings: Settings, stack: Stack, branches: Iterable[str]) -> list[Need]:
    """What the load needs at the day's mean."""
    branches = set(branches)
    done = works(load, settings, stack, branches)
    limits = {
        "ingest": stack.ingest_maximum_concurrency, "transform": settings.transform_maximum_concurrency,
        "load": settings.load_maximum_concurrency, "lake": stack.lake_maximum_concurrency,
    }  # fmt: skip
    chunks = scale.chunk_count(load, settings)
    found = [
        Need(f"{work.function}: executions", concurrency(work, load), "at a time", limits[work.function],
             f"{work.seconds(load.object_bytes):,.3f} s an object with {work.memory_mb:,} MB",
             _TFVARS)
        for work in done
    ]  # fmt: skip
    found.append(Need("all functions: executions", sum(one.value for one in found), "at a time", EXECUTIONS.value,
                      "the account's quota", EXECUTIONS.page))  # fmt: skip
    written = scale.write_units(load, settings) * load.objects_per_s
    read = sum(work.reads for work in done) * load.objects_per_s
    found += [
        Need("DynamoDB: writes", written, "units a second", scale.TABLE_UNITS.value, "ledger, indexes, idempotency",
             scale.TABLE_UNITS.page),
        Need("DynamoDB: reads", read, "units a second", scale.TABLE_UNITS.value, "consistent ones",
             scale.TABLE_UNITS.page),
        _backlog(load, settings, done, chunks),
    ]  # fmt: skip
    if WAREHOUSE in branches:
        bytes_a_day = load.bytes_per_day * load.warehouse_part
        found += [
            Need("Aurora: bytes", bytes_a_day / 1e12, "TB a day", scale.Speeds().aurora_bytes_per_day / 1e12,
                 f"{load.warehouse_part:.0%} of all; a review's figure", "docs/scale.md"),
            Need("Aurora: capacity", acus(load), "ACU", stack.warehouse_max_capacity, "of the writer", _TFVARS),
        ]  # fmt: skip
    size = silver_bytes(load) / load.objects_per_day / chunks
    found.append(Need("silver: files", load.objects_per_day * chunks, "a day", None,
                      f"{size / MB:,.2f} MB each, one date a chunk"))  # fmt: skip
    if LAKE in branches:
        run, minutes = stack.lake_compaction_workers, stack.lake_compaction_timeout_minutes
        found.append(Need("Glue: compaction", compaction_dpu_hours(load, run), "DPU hours a day", run * minutes / 60,
                          f"a run a day of {run} workers, {minutes} minutes at most", _TFVARS))  # fmt: skip
    return found


def _backlog(load: Load, settings: Settings, done: Iterable[Work], chunks: int) -> Need:
    """The chunk queue after an hour without transform, and how long the set concurrency takes to work it off."""
    each = next(work for work in done if work.function == "transform").seconds(load.object_bytes)
    most, rate = settings.transform_maximum_concurrency / each, load.objects_per_s
    spare = most - rate
    why = f"worked off in {max(1, 60 * rate / spare):,.0f} minutes" if spare > 0 else "never worked off"
    return Need("chunk queue: after an hour's stop", 3600 * rate * chunks, "messages", None,
                f"{why}; {IN_FLIGHT.value:,.0f} may be in flight", IN_FLIGHT.page)  # fmt: skip


def acus(load: Load) -> float:
    """ACUs of the writer at the day's mean."""
    share = load.bytes_per_day * load.warehouse_part / scale.Speeds().aurora_bytes_per_day
    return max(LEAST_ACU, share * ACU_OF_FULL_SPEED)


def silver_bytes(load: Load) -> float:
    """A day's."""
    return load.bytes_per_day * SILVER_SHARE


def compaction_dpu_hours(load: Load, workers: int) -> float:
    """A day's: one run over the day's silver. A worker (G.1X) is a DPU, and is billed for a minute at least."""
    seconds = max(silver_bytes(load) / MB / (COMPACTION_MB_PER_DPU_S * workers), GLUE_LEAST_S)
    return seconds * workers / 3600


# -- what it costs -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """One line of a month's bill."""

    part: str
    amount: Amount
    price: Price

    @property
    def dollars(self) -> float:
        return self.price.of(self.amount)

    def to_dict(self) -> dict[str, Any]:
        return {
            "part": self.part, "item": self.price.name, "amount": self.amount.value, "unit": self.amount.unit,
            "dollars": self.dollars, "price": self.price.text, "page": self.price.page,
        }  # fmt: skip


def costs(load: Load, settings: Settings, stack: Stack, branches: Iterable[str], storage_days: float) -> list[Cost]:
    """A month's bill by item. Storage: of the data of the last ``storage_days`` days, once as many have passed."""
    branches = set(branches)
    month = load.objects_per_day * DAYS
    done = works(load, settings, stack, branches)
    ledger_bytes = scale.LOADED + scale.chunk_count(load, settings) * scale.CHUNK_DONE
    found = []
    for work in done:
        used = Amount(month * work.seconds(load.object_bytes) * work.memory_mb / 1024, "GB-seconds")
        found += [
            Cost(work.function, Amount(month * work.invocations, "requests"), prices.LAMBDA_REQUESTS),
            Cost(work.function, used, prices.LAMBDA_COMPUTE),
            Cost(work.function, Amount(month * work.log_bytes / GIB, "GB"), prices.LOGS),
        ]

    def total(name: str) -> float:
        return float(sum(getattr(work, name) for work in done)) * month

    def stored(bytes_a_day: float) -> Amount:
        return Amount(bytes_a_day * storage_days / GIB, "GB-months")

    found += [
        Cost("bronze", Amount(month, "requests"), prices.S3_PUTS),
        Cost("bronze", stored(load.bytes_per_day), prices.S3_STORAGE),
        Cost("silver, lake", Amount(total("s3_puts"), "requests"), prices.S3_PUTS),
        Cost("silver", stored(silver_bytes(load)), prices.S3_STORAGE),
        Cost("functions", Amount(total("s3_gets"), "requests"), prices.S3_GETS),
        Cost("queues", Amount(total("sqs_requests"), "requests"), prices.SQS_REQUESTS),
        Cost("object.committed", Amount(month, "events"), prices.EVENTS),
        Cost("ledger", Amount(month * scale.write_units(load, settings), "write units"), prices.WRITE_UNITS),
        Cost("ledger", Amount(total("reads"), "read units"), prices.READ_UNITS),
        Cost("ledger", stored(load.objects_per_day * ledger_bytes), prices.TABLE_STORAGE),
    ]
    if WAREHOUSE in branches:
        found += _warehouse(load, storage_days, stack.warehouse_readers)
    if LAKE in branches:
        found += [
            Cost(LAKE, Amount(2 * month, "requests"), prices.CATALOG_REQUESTS),
            Cost(
                "compaction",
                Amount(compaction_dpu_hours(load, stack.lake_compaction_workers) * DAYS, "DPU-hours"),
                prices.GLUE_JOBS,
            ),
            Cost("compaction", stored(silver_bytes(load)), prices.S3_STORAGE),
        ]
    return found


def _warehouse(load: Load, storage_days: float, readers: int) -> list[Cost]:
    loaded = load.bytes_per_day * load.warehouse_part
    return [
        Cost(WAREHOUSE, Amount(acus(load) * (1 + readers) * HOURS, "ACU-hours"), prices.AURORA_CAPACITY),
        Cost(WAREHOUSE, Amount(loaded * WAL_SHARE / WAL_BYTES * DAYS, "requests"), prices.AURORA_IO),
        Cost(WAREHOUSE, Amount(loaded * TABLE_SHARE * storage_days / GIB, "GB-months"), prices.AURORA_STORAGE),
        Cost(WAREHOUSE, Amount(ENDPOINTS * ZONES * HOURS, "endpoint-hours"), prices.ENDPOINTS),
    ]


def by_part(found: Iterable[Cost]) -> Mapping[str, float]:
    """Dollars a month by part, in the order of the first of each."""
    parts: dict[str, float] = {}
    for one in found:
        parts[one.part] = parts.get(one.part, 0.0) + one.dollars
    return parts


# -- what may be asked -------------------------------------------------------------------------------------------------

MAXIMUM_A_DAY = {"objects": 1e11, "bytes": 1e17}
LARGEST_OBJECT = 5e12
"""Bytes, https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html before it was raised."""


def check(objects_per_day: float, bytes_per_day: float, storage_days: float) -> None:
    """Raises ValueError, in one line, for a load that is none."""
    for name, value in (("objects", objects_per_day), ("bytes", bytes_per_day)):
        if not value >= 1:
            raise ValueError(f"--{name}-per-day {value:g}: at least 1")
        if value > MAXIMUM_A_DAY[name]:
            raise ValueError(f"--{name}-per-day {value:g}: at most {MAXIMUM_A_DAY[name]:g}")
    if bytes_per_day < objects_per_day:
        raise ValueError(
            f"{objects_per_day:g} objects of {bytes_per_day:g} bytes in all: an object has a byte at least"
        )
    if bytes_per_day / objects_per_day > LARGEST_OBJECT:
        raise ValueError(f"objects of {bytes_per_day / objects_per_day:g} bytes each: S3 takes {LARGEST_OBJECT:g}")
    if not 0 <= storage_days <= 36_500:
        raise ValueError(f"--storage-days {storage_days:g}: from 0 to 36,500")


def parse_branches(text: str) -> tuple[str, ...]:
    """The branches of a list with commas, each once. Raises ValueError, in one line, for another than `BRANCHES`."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name in OTHERS:
            raise ValueError(f"branch {name} is not calculated: its cost follows from {OTHERS[name]}")
        if name not in BRANCHES:
            raise ValueError(f"branch {name!r} is not known: use {', '.join(BRANCHES)}")
    return names
