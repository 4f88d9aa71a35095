"""Soak: the pipeline under a steady load for hours, and what the engine's memory does meanwhile.

One small object a second, and one of 20,000 rows each minute, pass all branches that dev.tfvars turns on. Every five
seconds the memory is recorded, one line of JSON each, so a soak that was ended early has its record, too.
"""

from __future__ import annotations

import json
import statistics
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fixtures import formats, shipping
from sluice.bench import hop_real, stage
from sluice.bench.hop_real import Sent, finished
from sluice.bench.stage import Stage, Watcher
from sluice.console import fail
from sluice.pipeline import verify
from sluice.pipeline.ledger import LedgerView
from sluice.processes import family

RATE = 1  # small objects a second: 3,600 in an hour, beside 1.2 million rows in large ones
LARGE_ROWS, LARGE_SECONDS = 20_000, 60.0
SAMPLE_SECONDS = 5.0
MAX_GROWTH = 1.10
"""Memory of the engine at the end, as a factor of that after the warm-up."""
WARM_UP_SHARE, WINDOW_SHARE = 0.2, 0.2


@dataclass(frozen=True)
class Sample:
    """Seconds since the beginning, objects that were put, resident bytes, and how many function processes there are."""

    seconds: float
    objects: int
    engine: int
    functions: int
    environments: int


@dataclass(frozen=True)
class Growth:
    """Medians of the engine's memory (bytes) after the warm-up and at the end, and the objects put in between."""

    first: float
    last: float
    objects: int

    @property
    def factor(self) -> float:
        return self.last / self.first

    @property
    def accepted(self) -> bool:
        return self.factor <= MAX_GROWTH


def growth(samples: Sequence[Sample]) -> Growth:
    """Compares the fifth of the time that follows the first fifth (warm-up) with the last fifth.

    Raises ValueError with fewer than ten samples.
    """
    if len(samples) < 10:
        raise ValueError(f"{len(samples)} samples say nothing about growth")
    window = max(1, int(len(samples) * WINDOW_SHARE))
    skipped = int(len(samples) * WARM_UP_SHARE)
    first, last = samples[skipped : skipped + window], samples[-window:]
    return Growth(
        statistics.median(one.engine for one in first),
        statistics.median(one.engine for one in last),
        round(statistics.median(one.objects for one in last) - statistics.median(one.objects for one in first)),
    )


def measure(own: Stage, hours: float, record: Path) -> list[Sample]:
    """Loads the stack for so long; the samples are also in the file ``record``.

    Raises SluiceError when an object is not committed in the end, or lost a row.
    """
    run = uuid.uuid4().hex[:8]
    put = hop_real.putter(own.stack, f"soak-{run}")
    small: list[Sent] = []
    large: list[Sent] = []
    begin = time.monotonic()
    with Recorder(own, record, lambda: len(small) + len(large)) as recorder:
        while (now := time.monotonic() - begin) < hours * 3600:
            if now >= len(large) * LARGE_SECONDS:
                large.append(_put_large(own, run, len(large)))
            small.append(put(f"{len(small):07d}"))
            time.sleep(max(0.0, begin + len(small) / RATE - time.monotonic()))
    ledger = LedgerView.of(own.stack)
    finished(ledger, small, 600.0, hop_real.ROWS)
    finished(ledger, large, 600.0, LARGE_ROWS)
    return recorder.samples


def _put_large(own: Stage, run: str, number: int) -> Sent:
    body = formats.jsonl(shipping.records(shipping.SHIPMENTS, number, LARGE_ROWS))
    bucket, key = own.stack["bronze_bucket"], f"bronze/{shipping.SHIPMENTS}/soak-{run}/large-{number:05d}.jsonl"
    answer: Any = own.stack.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
    return Sent(verify.object_id(bucket, key, answer["ETag"].strip('"')), time.time())


class Recorder(Watcher):
    """Takes a sample every five seconds while a block runs."""

    def __init__(self, own: Stage, record: Path, objects: Callable[[], int]) -> None:
        super().__init__("soak-memory")
        self.samples: list[Sample] = []
        self._root, self._record, self._objects = own.root(), record, objects
        self._begin = time.monotonic()
        record.parent.mkdir(parents=True, exist_ok=True)
        record.unlink(missing_ok=True)

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            engine, functions = stage.memory(self._root)
            if not engine:
                return  # it is gone; the next put says so
            seconds = round(time.monotonic() - self._begin, 1)
            sample = Sample(seconds, self._objects(), engine, functions, len(family(self._root)) - 1)
            self.samples.append(sample)
            with self._record.open("a") as file:
                file.write(json.dumps(asdict(sample)) + "\n")


def check(found: Growth) -> None:
    """Raises SluiceError (1) when the memory grew by more than is accepted."""
    if not found.accepted:
        grown, accepted = (round((factor - 1) * 100) for factor in (found.factor, MAX_GROWTH))
        fail(f"the engine's memory grew by {grown} % under load, and {accepted} % are accepted", 1)
