"""What the verbs and the engine do where there is much: objects in the ledger, messages in a queue, bytes to verify.

Each figure is of a run on an engine and a stack of its own. A verb runs on a terminal, as people see it: what counts
is when it says something, how much memory it takes, and how both grow from the smaller to the larger size.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sluice.bench import bulk, grown_ledger, grown_queue, grown_verbs
from sluice.bench.bulk import Input
from sluice.bench.figures import Figure, at_most
from sluice.bench.stage import Stage
from sluice.console import fail
from sluice.pipeline.stack import Stack
from sluice.pipeline.storage import in_parallel

MB = 1e6
GROUP = "scale"
LISTED = 10  # one object of silver for so many of the ledger
FIRST_LINE, GROWTH, COST = 1.0, 1.10, 1.3


@dataclass(frozen=True)
class Sizes:
    """Objects of the ledger at first and in the end, messages, and megabytes to verify at first and in the end."""

    objects: int = 100_000
    messages: int = 1_000_000
    verify_mb: int = 1_000

    @property
    def small_objects(self) -> int:
        return max(1, self.objects // 100)

    @property
    def small_mb(self) -> int:
        """A fifth, in whole objects of the bulk input."""
        return max(1, self.verify_mb // 5)


def verbs(run: str) -> list[tuple[str, ...]]:
    """What an operator asks a full ledger. ``run`` is a part of the keys of all objects."""
    return [
        ("status",),
        ("runs",),
        ("runs", "--dataset", grown_ledger.DATASET),
        ("runs", f"{run}/part-0000007"),
        ("ls",),
        ("ls", f"silver/{grown_ledger.DATASET}/"),
        ("replay", "--dry-run", "--dataset", grown_ledger.DATASET),
        ("verify", "--dataset", bulk.DATASET),
    ]


def ledger_figures(own: Stage, sizes: Sizes, report: Callable[[str], None]) -> list[Figure]:
    """The cost of an object and each verb, with few objects and with many."""
    run = uuid.uuid4().hex[:8]
    filler = grown_ledger.Filler(own, run)
    found: list[tuple[float, list[grown_verbs.Run]]] = []
    listed = 0
    for objects in (sizes.small_objects, sizes.objects):
        report(f"bench   scale, a ledger of {objects:,} objects")
        filler.up_to(objects)
        wanted = max(1, objects // LISTED)
        _list(own.stack, run, range(listed, wanted))
        listed = wanted
        cost = filler.cost()
        found.append((cost, [_checked(own, words) for words in verbs(run)]))
    (few, few_runs), (many, many_runs) = found
    sizes_of = f"{sizes.small_objects:,} and {sizes.objects:,} objects"
    figures = [
        Figure(GROUP, "an object's changes in the ledger", few, "ms", None, f"engine, {sizes.small_objects:,} objects"),
        Figure(GROUP, "the same, many objects", many, "ms", None, f"engine, {sizes.objects:,} objects"),
        Figure(GROUP, "growth of an object's cost", many / few, "x", at_most(COST), sizes_of),
    ]
    for words, small, large in zip(verbs(run), few_runs, many_runs, strict=True):
        figures += _verb_figures(" ".join(words).replace(run, "RUN"), small, large)
    return figures


def _verb_figures(name: str, small: grown_verbs.Run, large: grown_verbs.Run) -> list[Figure]:
    took = f"to the end {large.seconds:.1f} s; processor: verb {large.verb_s:.1f} s, engine {large.engine_s:.1f} s"
    before = f"few objects: {small.first_s:.2f} s and {small.seconds:.1f} s, {small.peak / MB:.0f} MB"
    return [
        Figure(GROUP, f"{name}: first line", large.first_s, "s", at_most(FIRST_LINE), f"{took}; {before}"),
        Figure(GROUP, f"{name}: memory", large.peak / MB, "MB"),
    ]


def verify_figures(own: Stage, sizes: Sizes, given: Input, report: Callable[[str], None]) -> list[Figure]:
    """The memory of verify over some bytes, and over five times as many. ``given``: the input of all of them."""
    few = max(1, round(len(given.files) * sizes.small_mb / sizes.verify_mb))
    runs = []
    parts = Input(given.files[:few], given.rows[:few]), Input(given.files[few:], given.rows[few:])
    for part in parts:
        if part.files:
            report(f"bench   scale, verify after {part.size / MB:,.0f} MB more")
            bulk.measure(own.stack, part, deadline=7200.0)
        runs.append(_checked(own, ("verify", "--dataset", bulk.DATASET)))
    small, large = runs
    total = f"{parts[0].size / MB:,.0f} and {given.size / MB:,.0f} MB, peak of the process"
    took = f"{large.seconds:.1f} s, {given.size / MB / large.seconds:,.0f} MB/s; processor: verb {large.verb_s:.1f} s"
    return [
        Figure(GROUP, "verify, memory", large.peak / MB, "MB", None, took),
        Figure(GROUP, "verify, growth of memory", large.peak / small.peak, "x", at_most(GROWTH), total),
        Figure(GROUP, "verify, first line", large.first_s, "s", at_most(FIRST_LINE)),
    ]


def queue_figures(own: Stage, sizes: Sizes) -> list[Figure]:
    """All messages through one queue."""
    done = grown_queue.measure(own, sizes.messages)
    what = f"{sizes.messages:,} messages wait at once"
    parts = "the last tenth of the messages beside the first"
    return [
        Figure(GROUP, "messages sent", done.sent_per_s, "messages/s", None, what),
        Figure(GROUP, "messages received and deleted", done.drained_per_s, "messages/s", None, "by a mapping"),
        Figure(GROUP, "engine, a message sent", done.send_ms, "ms", None, "processor time"),
        Figure(GROUP, "engine, a message received and deleted", done.last_ms, "ms", None, "processor time"),
        Figure(GROUP, "growth of a message's cost", done.first_ms / done.last_ms, "x", at_most(COST), parts),
        Figure(GROUP, "engine memory of the messages", done.grown / sizes.messages / 1000, "kB", None, "each"),
    ]


def _checked(own: Stage, words: Sequence[str]) -> grown_verbs.Run:
    own.settle()
    done = grown_verbs.run(own.instance, own.root(), words)
    if done.code:
        fail(f"`sluice {' '.join(words)}` ended with {done.code}", 1)
    return done


def _list(stack: Stack, run: str, numbers: range) -> None:
    """Small objects in silver, for what lists buckets."""
    s3, bucket = stack.client("s3"), stack["silver_bucket"]

    def put(number: int) -> None:
        key = f"silver/{grown_ledger.DATASET}/dt=2026-11-27/bench-{run}/{number:07d}-00000.parquet"
        s3.put_object(Bucket=bucket, Key=key, Body=b"PAR1")

    for _ in in_parallel(put, numbers):
        pass
