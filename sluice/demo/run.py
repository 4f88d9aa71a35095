"""`sluice demo`: the main job on real input, from nothing to verified rows, with everything counted."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sluice import console
from sluice.branches.warehouse.loads import wait_for_loads
from sluice.console import FAILED, OK, fail, human_bytes
from sluice.demo import api_check as demo_api
from sluice.demo import checks as demo_checks
from sluice.demo import inputs as demo_input
from sluice.demo import lake_check as demo_lake
from sluice.demo import quality_check as demo_quality
from sluice.demo.api_check import Revenue
from sluice.demo.checks import Check, Evidence
from sluice.demo.inputs import Input
from sluice.paths import shell_line
from sluice.pipeline import seed, sql_values, waiting
from sluice.pipeline.query import Result
from sluice.pipeline.seed import Uploaded
from sluice.tables import layout
from sluice_pipeline.ledger.items import State

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack

INPUTS = layout(
    "input", "objects:number", "size:number?2", "rows in:number", "silver rows:number", "quarantined:number",
    "dead-letter messages:number?1", "silver files:number?3",
)  # fmt: skip
REASONS = layout("reason", "bad lines sent:number", "in quarantine:number")
CHECKS = layout("check:fold", "expected:number", "found:number", "verdict")
DEADLINE = 180.0  # seconds for the pipeline to finish; it takes some fifteen on two cores


@dataclass
class Steps:
    """Prints a line for each finished step, with the seconds it took."""

    quiet: bool
    begun: float = field(default_factory=time.monotonic)
    last: float = field(default_factory=time.monotonic)

    def done(self, name: str, text: str) -> float:
        """Ends a step; returns its seconds."""
        now = time.monotonic()
        taken, self.last = now - self.last, now
        if not self.quiet:
            console.stderr().print(f"[green]✓[/green] {name:<10} {text} [dim]{taken:.1f} s[/dim]")
        return taken

    @contextmanager
    def working(self, text: str) -> Iterator[Callable[[str], None]]:
        """Shows what a long step reports: on one line of a terminal, else line by line, and nothing when quiet."""
        screen = console.stderr()
        if self.quiet or not screen.is_terminal:
            yield (lambda _: None) if self.quiet else console.note
            return
        with screen.status(text) as status:
            yield status.update

    @property
    def total(self) -> float:
        return time.monotonic() - self.begun


def demo(*, months: Sequence[int], rows: int, skip_deploy: bool, as_json: bool) -> int:
    """Runs the demo and prints what came of it; returns the exit code: 1 when any number is off."""
    steps = Steps(as_json)
    stack = _running() if skip_deploy else _prepare(steps)
    given = demo_input.make(datetime.now(UTC).strftime("%Y%m%d-%H%M%S"), months, rows)
    steps.done("input", f"run {given.run}: flights of {len(months)} months, {rows:,} shipping records")
    uploaded = _upload(stack, given)
    size = sum(item.size for item in uploaded)
    sent = sum(item.rows for item in given.uploads)
    seconds = steps.done("upload", f"{len(uploaded)} objects, {human_bytes(size)}, {sent:,} rows")
    duplicate = _deliver_again(stack, next(item for item in uploaded if item.key == given.flights[0].key))
    seconds += steps.done("duplicate", f"the event of {duplicate} delivered a second time")
    items = _wait(stack, uploaded)
    states = ", ".join(f"{sum(i['state'] == s for i in items.values())} {s}" for s in (State.COMMITTED, State.FAILED))
    seconds += steps.done("pipeline", f"{states}; {size / 1e6 / seconds:.1f} MB/s from the first upload on")
    evidence = demo_checks.gather(stack, given, uploaded)
    steps.done("verify", f"source, ledger, silver and quarantine of {len(evidence.report.objects)} objects")
    found = demo_checks.checks(given, evidence, duplicate)
    if demo_quality.deployed(stack):
        said, more = demo_quality.ask(stack, given, uploaded)
        found += more
        steps.done("quality", said)
    revenue = None
    if demo_api.deployed(stack):
        wait_for_loads(stack, uploaded)
        revenue, more = demo_api.ask(stack, given)
        found += more
        steps.done("warehouse", f"loaded; the API answered in {revenue.milliseconds:.0f} ms")
    if demo_lake.deployed(stack):
        more = demo_lake.ask(stack, given)
        found += more
        steps.done("lake", f"Athena answered {len(more)} questions about this run")
    if as_json:
        figures = {"run": given.run, "seconds": round(steps.total, 1), "mb_per_second": round(size / 1e6 / seconds, 1)}
        console.print_json(figures | demo_checks.to_dict(evidence, found))
    else:
        _show(given, uploaded, evidence, found)
        if revenue:
            _show_revenue(revenue)
        _verdict(given, found, steps.total)
        shell = "" if shutil.which("sluice") else f"{shell_line()}; "
        console.note(f"next    {shell}sluice status; sluice runs; sluice quarantine ls; make down")
    return OK if all(check.ok for check in found) else FAILED


def _prepare(steps: Steps) -> Stack:
    """Engine up, packages built, dev deployed."""
    from sluice import build, engine, terraform
    from sluice.engine.instance import Instance
    from sluice.paths import ENVS_DIR
    from sluice.pipeline.stack import Stack

    instance = Instance.default()
    with steps.working("starting the engine") as report:
        info = engine.up(instance, report=report)
    steps.done("engine", f"{info.kind}: LocalStack and PostgreSQL at {info.endpoint_url}")
    with steps.working("packaging functions and layers") as report:
        manifest = build.build(report=lambda artifact: report(f"build   {artifact.name}"))
    steps.done("build", f"{len(manifest.artifacts)} packages")
    with steps.working("deploying") as report:
        applied = terraform.apply(instance, ENVS_DIR / "dev.tfvars", report=report)
    stack = Stack.load(instance)
    changes = f"{applied.added} added, {applied.changed} changed, {applied.removed} removed"
    steps.done("deploy", f"infra/envs/dev.tfvars: {changes}")
    return stack


def _running() -> Stack:
    from sluice.pipeline.stack import Stack

    stack = Stack.load()
    stack["bronze_bucket"]
    return stack


def _upload(stack: Stack, given: Input) -> list[Uploaded]:
    with console.progress() as bar:
        task = bar.add_task("uploading", total=len(given.uploads))
        return seed.upload(stack, given.uploads, done=lambda _: bar.advance(task))


def _deliver_again(stack: Stack, item: Uploaded) -> str:
    """Hands ingest the S3 event of an object that S3 has announced already; returns the object's key."""
    from fixtures import aws_events

    event = aws_events.object_created(
        stack["bronze_bucket"],
        item.key,
        version_id=item.version_id or None,
        etag=item.etag,
        size=item.size,
        region=stack.region,
    )
    answer = stack.client("lambda", read_timeout=90).invoke(
        FunctionName=stack["ingest_function"], Payload=json.dumps(event).encode(), **stack.in_service
    )
    payload = answer["Payload"].read().decode(errors="replace")
    if answer.get("FunctionError") and "IdempotencyAlreadyInProgress" not in payload:
        # Two deliveries at once: the second is rejected while the first is in progress, as it should be.
        fail(f"ingest failed on the second delivery of {item.key}: {payload[:300]}", FAILED)
    return item.key


def _wait(stack: Stack, uploaded: Sequence[Uploaded]) -> dict[str, dict[str, Any]]:
    with console.progress() as bar:
        task = bar.add_task("objects", total=len(uploaded))

        def show(now: waiting.Progress) -> None:
            text = f"{now.chunks_done}/{now.chunks} chunks, {now.rows:,} rows, {now.queued} messages queued"
            bar.update(task, completed=now.finished, description=text)

        return waiting.wait_for(stack, [item.object_id for item in uploaded], deadline=DEADLINE, report=show)


def _show(given: Input, uploaded: Sequence[Uploaded], evidence: Evidence, found: Sequence[Check]) -> None:
    sizes = {item.key: item.size for item in uploaded}
    lines = [
        _line("flights, by month", [item.key for item in given.flights], evidence, sizes),
        _line("mixed shipping feed", [given.mixed.key], evidence, sizes),
        _line("poison: binary rubbish", [given.poison.key], evidence, sizes),
        _line("total", [item.key for item in given.uploads], evidence, sizes),
    ]
    console.print_table(INPUTS, lines, title="What went in, what came out")
    reasons = [check for check in found if check.what.startswith("rejected: ")]
    console.print_table(
        REASONS,
        [(check.what.removeprefix("rejected: "), check.expected, check.found) for check in reasons],
        title="Quarantined, by reason",
    )
    for answer in evidence.answers:
        same = answer.silver.rows == answer.source.rows
        _show_result(
            answer.silver,
            f"{answer.title} ({'the source says the same' if same else 'THE SOURCE DIFFERS'})",
        )
        if not same:
            _show_result(answer.source, "... and from the source")


def _show_result(found: Result, title: str) -> None:
    rows = [[sql_values.shown(value) for value in row] for row in found.rows]
    console.print_result(found.columns, rows, title, numeric=found.numeric)


def _show_revenue(revenue: Revenue) -> None:
    columns = list(revenue.rows[0]) if revenue.rows else ["no invoice lines"]
    lines = [[sql_values.shown(value) for value in row.values()] for row in revenue.rows]
    title = "Revenue by date, from the warehouse: sluice api call revenue_analysis -p group_by=date"
    console.print_result(columns, lines, title, numeric=range(1, len(columns)))


def _line(name: str, keys: Sequence[str], evidence: Evidence, sizes: dict[str, int]) -> list[Any]:
    entries = [evidence.entries[key] for key in keys if key in evidence.entries]

    def total(field: str) -> int:
        return sum(entry.number(field) for entry in entries)

    dead = sum(evidence.dead_letters.get(key, 0) for key in keys)
    numbers = [total("rows_in"), total("rows_silver"), total("rows_quarantined"), dead, total("silver_files")]
    return [name, len(keys), human_bytes(sum(sizes[key] for key in keys)), *numbers]


def _verdict(given: Input, found: Sequence[Check], seconds: float) -> None:
    wrong = [check for check in found if not check.ok]
    console.print_table(
        CHECKS,
        [(check.what, *_short(check), "ok" if check.ok else "WRONG") for check in found],
        title="Checks (expected numbers are counted in the input)",
    )
    screen = console.stderr()
    if wrong:
        screen.print(f"[red]✗ {len(wrong)} of {len(found)} checks failed[/red] (run {given.run}, {seconds:.0f} s)")
    else:
        screen.print(f"[green]✓ all {len(found)} checks passed[/green] (run {given.run}, {seconds:.0f} s)")


def _short(check: Check) -> tuple[Any, Any]:
    """Long values, such as a query's rows, as a word; numbers as they are."""
    if isinstance(check.expected, list):
        return f"{len(check.expected)} rows", "the same" if check.ok else "other rows"
    if isinstance(check.expected, dict):
        return sum(check.expected.values()), sum(check.found.values())
    return check.expected, check.found
