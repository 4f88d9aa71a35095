"""The demo's look at the quality gate: the verdict on each month of flights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sluice.demo.checks import Check
from sluice.demo.inputs import Input
from sluice.pipeline import storage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sluice.pipeline.seed import Uploaded
    from sluice.pipeline.stack import Stack


def deployed(stack: Stack) -> bool:
    return stack.outputs.get("quality_bucket") is not None


def ask(stack: Stack, given: Input, uploaded: Sequence[Uploaded]) -> tuple[str, list[Check]]:
    """What the gate said in a line, and the checks: every month has passed, with every row audited."""
    keys = {item.key for item in given.flights}
    ids = [item.object_id for item in uploaded if item.key in keys]
    verdicts = [found for found in storage.in_parallel(lambda name: _verdict(stack, name), ids) if found]
    expectations = [one for found in verdicts for part in found["datasets"].values() for one in part["expectations"]]
    held = sum(one["passed"] for one in expectations)
    rows = sum(int(found["rows"]) for found in verdicts)
    return f"{len(verdicts)} verdicts, {held} of {len(expectations)} expectations held on {rows:,} rows", [
        Check("quality gate: objects that passed", len(ids), sum(found["passed"] for found in verdicts)),
        Check("quality gate: rows that were audited", given.flights_rows, rows),
    ]


def _verdict(stack: Stack, object_id: str) -> dict[str, Any] | None:
    """The last one on an object."""
    from quality.verdict import RESULTS

    s3, bucket = stack.client("s3"), stack["quality_bucket"]
    keys = sorted(storage.files(s3, bucket, f"{RESULTS}{object_id}/"))
    if not keys:
        return None
    found: dict[str, Any] = json.loads(s3.get_object(Bucket=bucket, Key=keys[-1])["Body"].read())
    return found
