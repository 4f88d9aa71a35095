"""sluice feedback: what customers said, by customer or by date, and what was unusual in it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice import console
from sluice.options import Env, Json, Target

if TYPE_CHECKING:
    from pipeline.catalog import Dataset
    from pipeline.row_pages import Page

_SHOWN = 60  # characters of a text in the table


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(rich_help_panel="Branches")(feedback)


def feedback(
    customer: Annotated[str, typer.Option(help="Of this customer.")] = "",
    date: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="Of this UTC date; else today's.")] = "",
    anomalies: Annotated[bool, typer.Option("--anomalies", help="How often each check was broken, instead.")] = False,
    dataset: Annotated[str, typer.Option(help="A dataset whose YAML has a section `feedback`.")] = "feedback",
    limit: Annotated[int, typer.Option("-n", "--limit", help="Rows of a page, at most 1000.")] = 20,
    cursor: Annotated[str, typer.Option(help="The page after the one that gave this cursor.")] = "",
    target: Target = "local",
    env: Env = "dev",
    json: Json = False,
) -> None:
    """Show stored feedback, newest first. Exit code 1 when the branch is off, 2 when the question is wrong."""
    from pipeline.feedback import FeedbackRows
    from pipeline.row_pages import InvalidQuery
    from sluice.stack import choose

    if sum(map(bool, (customer, date, anomalies))) > 1:
        console.fail("give --customer, --date or --anomalies, one of them")
    known = _dataset(dataset)
    day = _day(date or f"{datetime.now(UTC):%Y-%m-%d}")
    stack = choose(target, env)
    rows = FeedbackRows(stack.client("dynamodb"), stack["feedback_table"], dataset)
    if anomalies:
        _show_anomalies(known, rows.alerts(check.name for check in _checks(known)), json)
        return
    try:
        options: dict[str, Any] = {"limit": limit, "cursor": cursor}
        page = rows.of_customer(customer, **options) if customer else rows.of_day(day, **options)
    except InvalidQuery as error:
        console.fail(str(error))
    _show(page, json)


def _show(page: Page, json: bool) -> None:
    items = page.items
    if json:
        console.print_json({"items": items, "cursor": page.cursor})
        return
    columns = sorted({name for item in items for name in item if not name.startswith("_")})
    rows = [(*(str(item.get(name, ""))[:_SHOWN] for name in columns), _joined(item)) for item in items]
    console.print_table((*columns, "anomalies"), rows)
    if page.cursor:
        console.note(f"more: --cursor {page.cursor}")


def _show_anomalies(dataset: Dataset, found: dict[str, dict[str, Any]], json: bool) -> None:
    lines = []
    for check in _checks(dataset):
        item = found.get(check.name, {})
        told = f"{datetime.fromtimestamp(int(item['told_at']), UTC):%Y-%m-%dT%H:%M:%SZ}" if "told_at" in item else None
        total, pending = int(item.get("counted_total", 0)), int(item.get("pending", 0))
        lines.append({"check": check.name, "found": total, "not_told": pending, "last_notice": told,
                      "samples": list(item.get("samples", []))})  # fmt: skip
    if json:
        console.print_json(lines)
        return
    rows = [(x["check"], x["found"], x["not_told"], x["last_notice"], ", ".join(x["samples"])) for x in lines]
    console.print_table(("check", "found", "not told yet", "last notice", "samples"), rows, right=("found",))


def _joined(item: dict[str, Any]) -> str:
    return ", ".join(item.get("_anomalies", []))


def _dataset(name: str) -> Dataset:
    from pipeline.catalog import compile_catalog, parse_catalog
    from sluice.paths import DATASETS_DIR

    datasets = parse_catalog(compile_catalog(DATASETS_DIR)).datasets
    if name not in datasets or datasets[name].feedback is None:
        have = ", ".join(sorted(n for n, dataset in datasets.items() if dataset.feedback)) or "none"
        console.fail(f"no dataset {name!r} has a section `feedback`; there is {have}")
    return datasets[name]


def _checks(dataset: Dataset) -> tuple[Any, ...]:
    return dataset.feedback.checks if dataset.feedback else ()


def _day(text: str) -> str:
    try:
        return f"{datetime.strptime(text, '%Y-%m-%d'):%Y-%m-%d}"
    except ValueError:
        console.fail(f"{text!r} is no date such as 2026-03-01")
