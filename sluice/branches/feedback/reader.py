"""What is stored of customers' feedback, as the host reads it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from feedback.rows import FeedbackRows
from feedback.schema import FEEDBACK
from sluice.console import fail
from sluice.names import unknown
from sluice.paths import DATASETS_DIR
from sluice_pipeline.catalog.compiler import compile_catalog
from sluice_pipeline.catalog.datasets import parse_catalog
from sluice_pipeline.dynamo.pages import InvalidQuery

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack
    from sluice_pipeline.catalog.checks import Check
    from sluice_pipeline.dynamo.pages import Page


def checks_of(dataset: str) -> Sequence[Check]:
    """The checks of a dataset's section ``feedback``. Ends with code 2 when it has none."""
    sections = FEEDBACK.all(parse_catalog(compile_catalog(DATASETS_DIR)))
    if dataset not in sections:
        fail(unknown("dataset with a section `feedback`", dataset, sections))
    return sections[dataset].checks


def page(stack: Stack, dataset: str, *, customer: str = "", day: str = "", limit: int = 20, cursor: str = "") -> Page:
    """A page of one customer's feedback, or of a day's (YYYY-MM-DD). Ends with code 2 when the question is wrong."""
    rows = _rows(stack, dataset)
    try:
        if customer:
            return rows.of_customer(customer, limit=limit, cursor=cursor)
        return rows.of_day(day, limit=limit, cursor=cursor)
    except InvalidQuery as error:
        fail(str(error))


def anomalies(stack: Stack, dataset: str, checks: Sequence[Check]) -> list[dict[str, Any]]:
    """For each check: how often it failed, how many of these no notice has named yet, the last notice, and samples."""
    names = [check.name for check in checks]
    stored = _rows(stack, dataset).alerts(names)
    lines = []
    for name in names:
        item = stored.get(name, {})
        notified = datetime.fromtimestamp(int(item["told_at"]), UTC) if "told_at" in item else None
        pending = int(item.get("pending", 0))
        lines.append({
            "check": name,
            "found": int(item.get("counted_total", 0)),
            "not_notified": pending,
            "not_told": pending,  # its name before 0.2
            "last_notice": f"{notified:%Y-%m-%dT%H:%M:%SZ}" if notified else None,
            "samples": list(item.get("samples", [])),
        })  # fmt: skip
    return lines


def _rows(stack: Stack, dataset: str) -> FeedbackRows:
    return FeedbackRows(stack.client("dynamodb"), stack["feedback_table"], dataset)
