"""What is measured in which order, and the figures that come of it with the targets they are held against."""

from __future__ import annotations

import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from botocore.exceptions import BotoCoreError, ClientError

from sluice.bench import (
    api,
    bulk,
    calibration,
    compaction,
    duck,
    figures,
    grown,
    hop_bare,
    hop_real,
    lake,
    load,
    peers,
    redshift,
    row_per_message,
    soak,
    stage,
    taxi,
    verbs,
    yaml_loop,
)
from sluice.bench.figures import Figure, Hop, Side, Target, at_least, at_most
from sluice.bench.stage import Memory, Stage
from sluice.console import SluiceError, human_bytes, note
from sluice.engine import DOCKER, EMBEDDED
from sluice.paths import ROOT

PARTS = ("setup", "hop", "bulk", "rows", "load", "api", "lake", "redshift", "taxi")
API_REQUESTS = 500
MB = 1e6
PEER_DEADLINE = 420.0
"""Seconds for a peer's objects: where a function's first start fails, its message is back after 180 s."""
_SPENT = "of the tool, Terraform and the provider; it hardly depends on what else runs"


@dataclass(frozen=True)
class Plan:
    """What to measure, and on how much."""

    parts: Sequence[str]
    objects: int
    bulk_mb: int


@dataclass
class Result:
    """Figures of ours and of the peers, and the machine they were taken on."""

    machine: dict[str, Any]
    settings: dict[str, Any]
    versions: dict[str, str]
    figures: list[Figure] = field(default_factory=list)
    ours: str = "Sluice"
    peers: list[Side] = field(default_factory=list)
    """What is measured beside it: other emulators, or our own engine in containers."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "machine": self.machine,
            "settings": self.settings,
            "versions": self.versions,
            "figures": [figure.to_dict() for figure in self.figures],
            "peers": [
                {"name": peer.name, "figures": [figure.to_dict() for figure in peer.figures]} for peer in self.peers
            ],
        }


Report = Callable[[str], None]


def run(plan: Plan, *, beside: Sequence[peers.Peer] = (), with_docker: bool = False, report: Report = note) -> Result:
    """Measures everything of the plan on an engine and a stack of its own, then the hop on each peer.

    with_docker: everything on the embedded engine, then on the Docker engine instead of the peers.
    One engine runs at a time, because two would share the processors. What cannot be measured becomes a figure without
    a value that says why. Raises SluiceError only when our own engine or stack cannot be had.
    """
    given = None
    if "bulk" in plan.parts:
        report(f"bench   input of {plan.bulk_mb} MB (made once, kept in .sluice/cache)")
        given = bulk.generate(plan.bulk_mb)
    settings = {"parts": list(plan.parts), "objects": plan.objects, "bulk_mb": plan.bulk_mb}
    result = Result(machine_facts(), settings, {})
    result.versions, result.figures = _own_figures(plan, given, EMBEDDED if with_docker else None, report)
    if with_docker:
        result.ours = EMBEDDED
        found = _guarded("setup", DOCKER, lambda: _own_figures(plan, given, DOCKER, report)[1])
        result.peers.append(Side(DOCKER, found))
    for peer in beside:
        found = _guarded("hop", "hop", lambda peer=peer: peer_figures(peer, plan.objects, report))  # type: ignore[misc]
        result.peers.append(Side(peer.title, found))
    return result


def _own_figures(
    plan: Plan, given: bulk.Input | None, kind: str | None, report: Report
) -> tuple[dict[str, str], list[Figure]]:
    """Versions and figures of our own engine of this kind (without one: the one that $ENGINE asks for)."""
    found: list[Figure] = []
    clock = Calibrated(report)
    with stage.own_engine(report, kind) as own:
        clock.beside = own
        info = own.instance.info()
        versions = dict(info.versions) if info else {}
        found += clock.around(lambda: start_figures(own))
        if "setup" in plan.parts:
            found += clock.around(lambda: _guarded("setup", "set-up", lambda: setup_figures(own, report)))
        if "hop" in plan.parts:
            found += hop_figures(own, plan.objects, report, clock)
        if "rows" in plan.parts:
            report(f"bench   row per message, {row_per_message.ROWS:,} rows")
            found += clock.around(lambda: _guarded("rows", "row per message", lambda: row_figures(own)))
        if "load" in plan.parts:
            report(f"bench   load, {load.ROWS_MB} MB of rows and {load.ENTITIES:,} entities twice")
            found += clock.around(lambda: _guarded("load", "load", lambda: load_figures(own)))
        if "api" in plan.parts:
            report(f"bench   analytics API, {API_REQUESTS} requests of a kind")
            found += clock.around(lambda: _guarded("api", "analytics API", lambda: api_figures(own)))
        if "lake" in plan.parts:
            report(f"bench   lake, {lake.ROWS:,} rows and {lake.CRAWLED:,} files")
            found += clock.around(lambda: _guarded("lake", "lake", lambda: lake_figures(own)))
        if "redshift" in plan.parts:
            report(f"bench   redshift, {redshift.ROWS:,} rows")
            found += clock.around(lambda: _guarded("redshift", "COPY", lambda: redshift_figures(own)))
        if "taxi" in plan.parts:
            report(f"bench   taxi, a month of {taxi.ROWS:,} trips")
            found += clock.around(lambda: _guarded("taxi", "taxi", lambda: taxi_figures(own)))
        if given is not None:
            report(f"bench   bulk, {human_bytes(given.size)}")
            files = given
            found += clock.around(lambda: _guarded("bulk", "bulk", lambda: bulk_figures(own, files)))
            found += clock.around(lambda: _guarded("bulk", "DuckDB", lambda: duck_figures(files, found)))
    return versions, found


class Calibrated:
    """Runs the calibration loop between measurements, so that each has one before and one after it."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._last = calibration.seconds()
        self.beside: Stage | None = None
        """An engine that must be idle before the loop runs, for its work is not the machine's slowness."""

    def around(self, measure: Callable[[], list[Figure]]) -> list[Figure]:
        """The figures, with the calibration of their time."""
        before, found = self._last, measure()
        if self.beside:
            self.beside.settle()
        self._last = calibration.seconds()
        self._report(f"bench   calibration {before:.2f} s before, {self._last:.2f} s after")
        return figures.calibrated(found, before, self._last, calibration.DRIFT)


def machine_facts() -> dict[str, Any]:
    """The machine, and how busy it was before we began: figures of a busy machine say little."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": stage.processor_name(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "processors": calibration.processors(),
        "memory_mb": round(psutil.virtual_memory().total / MB),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _guarded(group: str, name: str, measure: Callable[[], list[Figure]]) -> list[Figure]:
    """A measurement that fails is a figure that says why; the others go on."""
    try:
        return measure()
    except SluiceError as error:
        return [Figure(group, name, None, "", note=str(error))]
    except (BotoCoreError, ClientError, OSError, ArithmeticError, LookupError, ValueError) as error:
        # an engine may answer anything; what it did is the result
        return [Figure(group, name, None, "", note=f"{type(error).__name__}: {' '.join(str(error).split())}")]


# -- set-up ------------------------------------------------------------------------------------------------------------


def start_figures(where: Stage) -> list[Figure]:
    """What it took to get an engine and the stack, and what the engine then holds."""
    found = [
        Figure(
            "setup", "up", where.seconds["up"], "s", at_most(5), "`make up` with a new home: LocalStack, PostgreSQL"
        ),
        Figure("setup", "deploy", where.seconds.get("deploy"), "s", at_most(100), "dev.tfvars as it is"),
        Figure("setup", "down, with its save", where.seconds.get("down"), "s", None, "the deployed stack"),
        Figure("setup", "up to the first call", where.seconds.get("restore"), "s", at_most(5), "what down saved"),
    ]
    return [*found, *memory_figures(where)]


def memory_figures(where: Stage) -> list[Figure]:
    """What an engine holds now, and with the processes below it: its functions, where they run there."""
    engine, functions = stage.memory(where.root())
    below = Figure("setup", "with functions", (engine + functions) / MB, "MB", None, "and the processes below it")
    return [
        Figure("setup", "engine memory", engine / MB, "MB", at_most(500), "after the deployment"),
        *([below] if where.functions_below else []),
    ]


def setup_figures(own: Stage, report: Report) -> list[Figure]:
    report("bench   second set-up and no-change deployment")
    bootstrap = [sys.executable, "-I", "-S", str(ROOT / "sluice/setup/bootstrap.py")]
    stage.run(bootstrap)
    second = statistics.median(stage.timed(lambda: stage.run(bootstrap)) for _ in range(3))
    before = stage.processor_seconds()
    unchanged = stage.deploy(own, report)
    spent = stage.processor_seconds() - before
    return [
        Figure("setup", "second set-up", second, "s", at_most(2), "median of 3"),
        Figure("setup", "no-change deploy", unchanged, "s", at_most(8)),
        Figure("setup", "no-change deploy, processor time", spent, "s", None, _SPENT),
        *_guarded("setup", "YAML loop", lambda: yaml_figures(own, report)),
        *(
            Figure(
                "setup",
                f"sluice {' '.join(words)}",
                seconds,
                "s",
                at_most(0.4),
                "median of 5, start of Python included",
            )
            for words, seconds in verbs.measure(own.instance)
        ),
    ]


def yaml_figures(own: Stage, report: Report) -> list[Figure]:
    report("bench   YAML loop: one changed rule")
    loop = yaml_loop.measure(own, report)
    return [
        Figure("setup", "YAML loop", loop.seconds, "s", at_most(8), "a changed rule, built, deployed and in service"),
        Figure("setup", "YAML loop, processor time", loop.processor_seconds, "s", None, _SPENT),
    ]


# -- hop ---------------------------------------------------------------------------------------------------------------


def hop_figures(
    where: Stage, objects: int, report: Report, clock: Calibrated, *, deployed: bool = True, deadline: float = 120.0
) -> list[Figure]:
    """The bare hop, and the real one where the stack is deployed. deadline: seconds for each load's objects."""
    report(f"bench   hop on {where.name}: two bare functions, {objects} objects")
    found = clock.around(lambda: _guarded("hop", "bare hop", lambda: _bare(where, objects, deadline)))
    if deployed:
        report(f"bench   hop on {where.name}: ingest and transform, {objects} objects")
        found += clock.around(lambda: _guarded("hop", "real hop", lambda: _real(where, objects, deadline)))
    return found


def _bare(where: Stage, objects: int, deadline: float) -> list[Figure]:
    return list(_hop("bare", hop_bare.measure(where.stack, objects, deadline), at_least(60), at_most(0.10)))


def _real(where: Stage, objects: int, deadline: float) -> list[Figure]:
    usage: list[stage.Usage] = []
    with Memory(where.root()) as memory, stage.core_only(where) as branches:
        hops = hop_real.measure(where.stack, objects, deadline, lambda: usage.append(where.usage()))
    cost = usage[1].per(usage[0], objects)
    paced = f"{hops.paced.objects} objects put at that rate"
    alone = f"{hops.alone.objects} objects, one at a time"
    processor = "processor time, so it hardly depends on what else runs"
    return [
        *_hop("real", hops.burst, at_least(25), at_most(0.25)),
        Figure("hop", f"real, p50 at {hop_real.PACE} objects/s", hops.paced.p50_s, "s", at_most(0.25), paced),
        Figure("hop", f"real, p99 at {hop_real.PACE} objects/s", hops.paced.p99_s, "s"),
        Figure("hop", "real, p50 of a single object", hops.alone.p50_s, "s", None, alone),
        Figure("hop", "real, engine's work per object", cost.engine, "ms", None, processor),
        Figure("hop", "real, engine memory", memory.engine / MB, "MB", at_most(500), "highest"),
        *(_below(cost, memory, processor) if where.functions_below else []),
        *_with_branches(where, objects, branches),
    ]


def _below(cost: stage.Usage, memory: Memory, processor: str) -> list[Figure]:
    """Of functions that run below the engine's process."""
    return [
        Figure("hop", "real, functions' work per object", cost.functions, "ms", None, processor),
        Figure("hop", "real, with functions", (memory.engine + memory.functions) / MB, "MB", None, "highest"),
    ]


def _with_branches(where: Stage, objects: int, branches: int) -> list[Figure]:
    """The same hop while every branch that dev.tfvars turns on takes its share of each object, on the same machine."""
    if not branches:
        return []
    hops = hop_real.measure(where.stack, objects)
    what = f"to committed silver, beside {branches} branches that subscribe to each object"
    return [
        Figure("hop", "real beside the branches, throughput", hops.burst.objects_per_s, "objects/s", None, what),
        Figure("hop", f"real beside the branches, p50 at {hop_real.PACE} objects/s", hops.paced.p50_s, "s"),
        Figure("hop", "real beside the branches, p50 of a single object", hops.alone.p50_s, "s"),
    ]


def _hop(name: str, hop: Hop, rate: Target, middle: Target) -> Iterator[Figure]:
    warm = hop_bare.WARM_UP if name == "bare" else hop_real.WARM_UP
    text = f"{hop.objects} objects put one after the other, after a warm-up of {warm}"
    yield Figure("hop", f"{name}, throughput", hop.objects_per_s, "objects/s", rate, text)
    yield Figure("hop", f"{name}, p50", hop.p50_s, "s", middle)
    yield Figure("hop", f"{name}, p99", hop.p99_s, "s")


def peer_figures(peer: peers.Peer, objects: int, report: Report) -> list[Figure]:
    """The hop on a peer, of which only the core is deployed; one figure that says why where it cannot run functions."""
    if reason := peer.lacks():
        return [Figure("hop", "hop", None, "", note=reason)]
    clock = Calibrated(report)
    with peers.engine(peer, report) as other:
        clock.beside = other
        reason = peers.deploy(other, report)
        found = clock.around(lambda: peer_start_figures(other))
        found += hop_figures(other, objects, report, clock, deployed=reason is None, deadline=PEER_DEADLINE)
        if reason is not None:
            found.append(Figure("hop", "real hop", None, "", note=f"the Terraform cannot be applied: {reason}"))
        return found


def peer_start_figures(other: Stage) -> list[Figure]:
    """What it took to get a peer and the core's stack, and what its process then holds."""
    return [
        Figure("setup", "up", other.seconds["up"], "s", None, "its process alone"),
        Figure(
            "setup", "deploy, the core alone", other.seconds.get("deploy"), "s", None, "dev.tfvars, all branches off"
        ),
        *memory_figures(other),
    ]


# -- lake --------------------------------------------------------------------------------------------------------------


def lake_figures(own: Stage) -> list[Figure]:
    done = lake.measure(own.stack)
    scan = f"{lake.ROWS:,} rows of Parquet in {lake.FILES} files, median of {lake.SCANS}"
    small = f"{compaction.FILES:,} files of 100 KB, Spark's session included"
    compacted = [Figure("lake", "compaction", done.compaction_s, "s", at_most(30), small)] if done.compaction_s else []
    return [
        Figure("lake", "small query, p50", done.small_s * 1000, "ms", at_most(150), f"SELECT 1, {lake.SMALL} times"),
        Figure("lake", "scan through Athena", done.scan_s, "s", None, scan),
        Figure("lake", "scan by DuckDB alone", done.duckdb_s, "s", None, "the same files and rows"),
        Figure("lake", "Athena beside DuckDB", done.ratio, "times", at_most(1.5)),
        Figure("lake", "crawler", done.crawl_s, "s", at_most(5), f"{lake.CRAWLED:,} files in 20 partitions"),
        *compacted,
    ]


# -- redshift ----------------------------------------------------------------------------------------------------------


def redshift_figures(own: Stage) -> list[Figure]:
    files = f"{redshift.ROWS:,} rows of 11 columns in {redshift.FILES} Parquet files, by the statement's duration"
    return [Figure("redshift", "COPY", redshift.measure(own.stack), "rows/s", at_least(150_000), files)]


# -- taxi --------------------------------------------------------------------------------------------------------------


def taxi_figures(own: Stage) -> list[Figure]:
    done = taxi.measure(own)
    if done is None:
        return []
    steps = ", ".join(f"{job} {seconds:.0f} s" for job, seconds in done.steps.items())
    return [Figure("taxi", "a month of trips", done.month_s, "s", at_most(120), f"{taxi.ROWS:,} rows; {steps}")]


# -- bulk and rows -----------------------------------------------------------------------------------------------------


def bulk_figures(own: Stage, given: bulk.Input) -> list[Figure]:
    with Memory(own.root()) as memory, stage.core_only(own):
        bulk.warm_up(own.stack, given)
        before = own.usage()
        done = bulk.measure(own.stack, given)
    cost = own.usage().per(before, 1)
    what = f"{done.objects} objects, {done.rows:,} rows of {bulk.DATASET}, {bulk.DAYS} dates, all in silver"
    return [
        Figure("bulk", "throughput", done.mb_per_s, "MB/s", at_least(60), f"first put to last commit; {what}"),
        Figure("bulk", "after the last put", done.after_last_put_mb_per_s, "MB/s", None, "last put to last commit"),
        Figure("bulk", "upload alone", done.upload_mb_per_s, "MB/s", None, f"{bulk.UPLOADS} at a time"),
        Figure("bulk", "size", given.size / MB, "MB", None, f"{done.silver_files} silver files, {done.seconds:.1f} s"),
        Figure("bulk", "transform's peak memory", done.peak_memory_mb, "MB", at_most(512),
               f"Max Memory Used in {done.invocations} REPORT lines"),
        Figure("bulk", "engine's work", cost.engine / given.size * MB, "ms/MB", None, "processor time"),
        Figure("bulk", "functions' work", cost.functions / given.size * MB, "ms/MB", None, "processor time"),
        Figure("bulk", "engine memory", memory.engine / MB, "MB", at_most(500), "highest"),
    ]  # fmt: skip


def duck_figures(given: bulk.Input, ours: Sequence[Figure]) -> list[Figure]:
    """DuckDB on the same files, and our throughput as a share of it."""
    if not duck.installed():
        return [Figure("bulk", "DuckDB", None, "", note="duckdb is not installed")]
    rate = given.size / MB / duck.measure(given.files, sum(given.rows))
    what = "the same files to Parquet by date on this disk: no check, no ledger, no S3"
    found = [Figure("bulk", "DuckDB alone", rate, "MB/s", None, what)]
    throughput = next((one.value for one in ours if (one.group, one.name) == ("bulk", "throughput")), None)
    if throughput:
        found.append(Figure("bulk", "Sluice's share of DuckDB", throughput / rate * 100, "%", None, "throughput"))
    return found


def soak_figures(hours: float, record: Path, report: Report) -> tuple[list[Figure], soak.Growth]:
    """The memory of an engine of its own under load for so long."""
    clock = Calibrated(report)
    with stage.own_engine(report) as own:
        report(f"bench   soak, {hours:g} h; {record} records the memory")
        samples = soak.measure(own, hours, record)
        own.settle()
    found = soak.growth(samples)
    what = f"{found.objects:,} objects between the two, {samples[-1].objects:,} in all"
    environments = f"most at once: {max(one.environments for one in samples)} environments"
    return clock.around(lambda: [
        Figure("soak", "engine memory after the warm-up", found.first / MB, "MB", at_most(500), "median of a fifth"),
        Figure("soak", "engine memory at the end", found.last / MB, "MB", at_most(500), "median of the last fifth"),
        Figure("soak", "growth", (found.factor - 1) * 100, "%", at_most((soak.MAX_GROWTH - 1) * 100), what),
        Figure("soak", "growth per object", (found.last - found.first) / max(1, found.objects) / 1000, "kB"),
        Figure("soak", "functions, highest", max(s.functions for s in samples) / MB, "MB", None, environments),
        Figure("soak", "functions at the end", samples[-1].functions / MB, "MB"),
    ]), found  # fmt: skip


def scale_figures(sizes: grown.Sizes, report: Report) -> list[Figure]:
    """What grows with objects, messages and bytes, on an engine of its own."""
    clock = Calibrated(report)
    given = bulk.generate(sizes.verify_mb)
    with stage.own_engine(report) as own:
        clock.beside = own
        # The bytes first: verify of their dataset is then a part of what the full ledger is asked.
        parts: list[tuple[str, Callable[[], list[Figure]]]] = [
            ("verify", lambda: grown.verify_figures(own, sizes, given, report)),
            ("ledger", lambda: grown.ledger_figures(own, sizes, report)),
            ("queue", lambda: grown.queue_figures(own, sizes)),
        ]
        found: list[Figure] = []
        for name, part in parts:
            report(f"bench   scale, {name}")
            found += clock.around(lambda name=name, part=part: _guarded(grown.GROUP, name, part))  # type: ignore[misc]
        return found


def row_figures(own: Stage) -> list[Figure]:
    messages, chunks = row_per_message.measure(own.stack)
    rows = f"{row_per_message.ROWS:,} rows in one object"
    return [
        Figure("rows", "row per message", messages.rows_per_s, "rows/s", None, rows),
        Figure("rows", "row per message, files", messages.files, "files"),
        Figure("rows", "Sluice", chunks.rows_per_s, "rows/s", None, f"the same {rows}, checked and counted"),
        Figure("rows", "Sluice, files", chunks.files, "files"),
        Figure("rows", "times quicker", chunks.rows_per_s / messages.rows_per_s, "x"),
    ]


def load_figures(own: Stage) -> list[Figure]:
    done = load.measure(own)
    rows = f"{done.silver.rows:,} rows of one object, from its lock to its commit, reading silver included"
    return [
        Figure(
            "load", "rows into silver tables", done.silver.rows / done.silver.seconds, "rows/s", at_least(200_000), rows
        ),
        Figure("load", "rows, after the commit", done.silver.waited, "s", None, "until they are in the warehouse"),
        Figure("load", "10,000 new entities", done.entities_new.seconds, "s", at_most(1), "their rows included"),
        Figure(
            "load", "10,000 changed entities", done.entities_changed.seconds, "s", at_most(1), "one version more each"
        ),
    ]


# -- API ---------------------------------------------------------------------------------------------------------------


def api_figures(own: Stage) -> list[Figure]:
    """Latency of single requests, from the client's side."""
    found = []
    for one in api.measure(own, API_REQUESTS):
        what = f"{one.requests} requests, one after the other; {one.note}"
        target = at_most(5 if one.name == "cached" else 10)
        spent = f"functions {one.spent.functions:.1f} ms"
        found.append(Figure("api", f"{one.name}, p50", one.p50_s * 1000, "ms", target, what))
        found.append(Figure("api", f"{one.name}, p99", one.p99_s * 1000, "ms", at_most(250)))
        found.append(Figure("api", f"{one.name}, processor time of the engine", one.spent.engine, "ms", None, spent))
    return found
