"""`sluice smoke`: after a deployment, a few objects go through the pipeline, are verified, and are taken out again.

One smoke test at a time: it begins by taking out what an earlier one has left.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sluice.branches.warehouse.loads import wait_for_loads
from sluice.console import FAILED, fail
from sluice.demo import smoke_input
from sluice.demo.checks import Check
from sluice.names import unknown
from sluice.pipeline import seed, storage, verify, withdrawal
from sluice.pipeline.ledger import LedgerView
from sluice.pipeline.seed import Uploaded
from sluice.pipeline.withdrawal import Candidate
from sluice.polling import SYSTEM, Clock, poll
from sluice_pipeline.ledger.items import FINAL

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack

Report = Callable[[str], None]


@dataclass(frozen=True)
class Smoke:
    """What came of it. `left`: what could not be taken out, empty when nothing is left."""

    run: str
    dataset: str
    checks: Sequence[Check]
    left: str
    seconds: float

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)


def smoke(
    stack: Stack, dataset: str | None, *, seconds: float, keep: bool, report: Report, clock: Clock = SYSTEM
) -> Smoke:
    """Runs it. seconds: for which each wait goes on. keep: leave the objects there, for a look.

    Raises SluiceError: code 2 for a dataset that is not deployed; 1 when the pipeline does not end in time.
    """
    began = clock.now()
    datasets = deployed_datasets(stack)
    name = dataset or smoke_input.DEFAULT
    if name not in datasets:
        fail(unknown("dataset", name, datasets))
    prefixes = [smoke_input.prefix_of(one) for one in sorted(datasets)]
    if before := withdrawal.find(stack, prefixes):
        report(f"smoke   {len(before)} objects of an earlier smoke test are taken out")
        _take_out(stack, before, seconds, clock)
    run = f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
    objects = smoke_input.make(name, datasets[name], run)
    uploaded = seed.upload(stack, [one.upload for one in objects])
    report(f"smoke   {len(uploaded)} objects uploaded to {smoke_input.prefix_of(name)}{run}/")
    _wait(stack, [one.object_id for one in uploaded], seconds, clock)
    if stack.outputs.get("load_function") is not None:
        wait_for_loads(stack, uploaded)
    compared = [field for field, spec in datasets[name]["fields"].items() if spec["type"] in ("string", "int64")]
    checks = _checks(stack, name, objects, uploaded, compared)
    left = ""
    if keep:
        left = f"{len(uploaded)} objects, as --keep asks for"
    else:
        left = _left(stack, prefixes, seconds, clock)
    return Smoke(run, name, checks, left, clock.now() - began)


def deployed_datasets(stack: Stack) -> Mapping[str, Any]:
    """The datasets, as functions read them."""
    place = {"Bucket": stack["artifacts_bucket"], "Key": stack["datasets_key"]}
    found: Mapping[str, Any] = json.loads(stack.client("s3").get_object(**place)["Body"].read())["datasets"]
    return found


def _wait(stack: Stack, ids: Sequence[str], seconds: float, clock: Clock) -> None:
    """Until each run has ended. Other objects of the pipeline do not matter, so its queues are not asked."""
    ledger = LedgerView.of(stack)

    def open_() -> list[str]:
        items = ledger.objects(ids)
        return [name for name in ids if name not in items or items[name]["state"] not in FINAL]

    found, done = poll(open_, lambda left: not left, seconds=seconds, interval=0.5, clock=clock)
    if not done:
        fail(f"{len(found)} of {len(ids)} objects are not finished after {seconds:.0f} s: see `sluice status`", FAILED)


def _checks(
    stack: Stack,
    name: str,
    objects: Sequence[smoke_input.Object],
    uploaded: Sequence[Uploaded],
    compared: Collection[str],
) -> list[Check]:
    """Every row by its texts and whole numbers (times and fractions have a form of their own in Parquet), and every
    object by verify's own count."""
    ids = {one.object_id for one in uploaded}
    fields = [field for field in objects[0].good[0] if field in compared]
    sent = Counter(tuple(row[field] for field in fields) for one in objects for row in one.good)
    found = Counter(tuple(row[field] for field in fields) for row in _silver(stack, ids, fields))
    report = verify.verify(stack, dataset=name, prefixes=[one.upload.key for one in objects])
    quarantined = sum(row.quarantine for row in report.objects)
    return [
        Check("rows in silver", sent.total(), found.total()),
        Check("rows in silver that were sent so", sent.total(), (sent & found).total()),
        Check("rows in quarantine", sum(one.bad for one in objects), quarantined),
        Check("objects that verify finds right", len(objects), sum(1 for row in report.objects if row.ok)),
        Check("differences found by verify", 0, len(report.differences)),
    ]


def _silver(stack: Stack, ids: Collection[str], fields: Sequence[str]) -> Iterator[dict[str, Any]]:
    """These fields of every row in the silver files of the objects."""
    ledger, s3, bucket = LedgerView.of(stack), stack.client("s3"), stack["silver_bucket"]
    for entry in filter(None, map(ledger.one, sorted(ids))):
        for key in entry.files("outputs"):
            yield from storage.silver_content(s3, bucket, key, fields).columns.to_pylist()


def _take_out(stack: Stack, candidates: Sequence[Candidate], seconds: float, clock: Clock) -> None:
    """What was uploaded and is not in the ledger is waited for first: its event may be on the way."""
    ids = [one.object_id for one in candidates]
    ledger = LedgerView.of(stack)
    poll(
        lambda: ledger.objects(ids),
        lambda items: len(items) == len(set(ids)) and all(one["state"] in FINAL for one in items.values()),
        seconds=min(seconds, 60.0), interval=0.5, clock=clock,
    )  # fmt: skip
    again = withdrawal.find(stack, sorted({one.version.key for one in candidates}))
    withdrawal.withdraw(stack, again, seconds=seconds, clock=clock)


def _left(stack: Stack, prefixes: Sequence[str], seconds: float, clock: Clock) -> str:
    """Takes the objects out; what hinders that is said, and is no verdict on the pipeline."""
    from sluice.console import SluiceError

    try:
        withdrawal.withdraw(stack, withdrawal.find(stack, prefixes), seconds=seconds, clock=clock)
    except SluiceError as error:
        return str(error)
    return ""
