"""`sluice feedback`: what customers said, by customer or by date, and what was unusual in it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice import console
from sluice.options import Where, with_tables
from sluice.tables import layout

if TYPE_CHECKING:
    from sluice_pipeline.dynamo.pages import Page

PANEL, ORDER = "Branches", 70

ANOMALIES = layout("check", "found:number", "not notified yet", "last notice", "samples:text")


@with_tables
def feedback(
    customer: Annotated[str, typer.Option(help="Of this customer.")] = "",
    date: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="Of this UTC date; else today's.")] = "",
    anomalies: Annotated[bool, typer.Option("--anomalies", help="How often each check failed, instead.")] = False,
    dataset: Annotated[str, typer.Option(help="A dataset whose YAML has a section `feedback`.")] = "feedback",
    limit: Annotated[int | None, typer.Option("-n", "--limit", help="Rows of a page, at most 1000 (20).")] = None,
    cursor: Annotated[str, typer.Option(help="The page after the one that gave this cursor.")] = "",
    *,
    where: Where,
) -> None:
    """Show stored feedback, newest first. Exit code 1 when the branch is off, 2 when the question is wrong."""
    from sluice.branches.feedback import reader

    if sum(map(bool, (customer, date, anomalies))) > 1:
        console.fail("give --customer, --date or --anomalies, one of them")
    if anomalies and (limit is not None or cursor):
        console.fail("--anomalies shows all checks: leave out --limit and --cursor")
    checks = reader.checks_of(dataset)
    day = _day(date or f"{datetime.now(UTC):%Y-%m-%d}")
    if anomalies:
        _show_anomalies(reader.anomalies(where.stack, dataset, checks), where.json)
        return
    rows = 20 if limit is None else limit
    page = reader.page(where.stack, dataset, customer=customer, day=day, limit=rows, cursor=cursor)
    _show(page, where.json)


def _show(page: Page, json: bool) -> None:
    items = page.items
    if json:
        console.print_json({"items": items, "cursor": page.cursor})
        return
    if not items:
        console.note("no feedback")
        return
    columns = sorted({name for item in items for name in item if not name.startswith("_")})
    rows = [[*(console.item_text(item.get(name)) for name in columns), _joined(item)] for item in items]
    console.print_result([*columns, "anomalies"], rows)
    if page.cursor:
        console.note(f"more: --cursor {page.cursor}")


def _show_anomalies(lines: list[dict[str, Any]], json: bool) -> None:
    if json:
        console.print_json(lines)
        return
    rows = [
        (x["check"], x["found"], x["not_notified"], console.ago(x["last_notice"]), ", ".join(x["samples"]))
        for x in lines
    ]
    console.print_table(ANOMALIES, rows)


def _joined(item: dict[str, Any]) -> str:
    return ", ".join(item.get("_anomalies", []))


def _day(text: str) -> str:
    try:
        return f"{datetime.strptime(text, '%Y-%m-%d'):%Y-%m-%d}"
    except ValueError:
        console.fail(f"{text!r} is not a date such as 2026-03-01")
