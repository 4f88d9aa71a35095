"""Figures of the branches, of bulk and rows, and of what grows: on our own engine and stack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from sluice.bench import api, bulk, compaction, duck, grown, lake, load, redshift, row_per_message, soak, stage, taxi
from sluice.bench.figures import Figure, at_least, at_most
from sluice.bench.measuring import MB, Calibrated, Report, guarded
from sluice.bench.stage import Memory, Stage

API_REQUESTS = 500


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


def redshift_figures(own: Stage) -> list[Figure]:
    files = f"{redshift.ROWS:,} rows of 11 columns in {redshift.FILES} Parquet files, by the statement's duration"
    return [Figure("redshift", "COPY", redshift.measure(own.stack), "rows/s", at_least(150_000), files)]


def taxi_figures(own: Stage) -> list[Figure]:
    done = taxi.measure(own)
    if done is None:
        return []
    steps = ", ".join(f"{job} {seconds:.0f} s" for job, seconds in done.steps.items())
    return [Figure("taxi", "a month of trips", done.month_s, "s", at_most(120), f"{taxi.ROWS:,} rows; {steps}")]


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
            found += clock.around(lambda name=name, part=part: guarded(grown.GROUP, name, part))  # type: ignore[misc]
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
