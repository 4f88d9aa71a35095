"""`sluice seed`: uploads input to bronze."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice import console
from sluice.options import Where, with_tables
from sluice.tables import layout

PANEL, ORDER = "Data", 31

UPLOADS = layout("key:key", "rows:number", "size:number", "object")

FEEDS = ("flights", "shipping", "all")


@with_tables
def seed(
    feed: Annotated[str, typer.Argument(help="flights, shipping or all.")],
    months: Annotated[str | None, typer.Option(help="Months of flights: 1-12 (all), 1-3, 1,4.")] = None,
    prefix: Annotated[str, typer.Option(help="Folder below bronze/<dataset>/.")] = "",
    seed_: Annotated[int | None, typer.Option("--seed", help="Seed of the generated feed (0).")] = None,
    rows: Annotated[
        int | None, typer.Option(min=0, help="Rows of each feed: of flights the first ones (all), shipping (20000).")
    ] = None,
    *,
    where: Where,
) -> None:
    """Upload input to bronze: a year of real flights, a generated shipping feed with bad lines, or both."""
    from dataclasses import asdict
    from itertools import chain

    from sluice.names import require
    from sluice.pipeline import seed as seeding

    require("feed", feed, FEEDS)
    if months is not None and feed == "shipping":
        console.fail("--months is for flights")
    if seed_ is not None and feed == "flights":
        console.fail("--seed is for the generated feed, shipping")
    chosen = seeding.parse_months("1-12" if months is None else months)
    stack = where.stack
    uploads = list(
        chain(
            seeding.flights(chosen, prefix, rows) if feed != "shipping" else (),
            seeding.shipping(seed_ or 0, 20_000 if rows is None else rows, prefix) if feed != "flights" else (),
        )
    )
    with console.progress() as bar:
        task = bar.add_task("uploading", total=len(uploads))
        done = seeding.upload(stack, uploads, done=lambda _: bar.advance(task))
    if where.json:
        console.print_json([asdict(item) for item in done])
        return
    rows_shown = [(item.key, item.rows, console.human_bytes(item.size), item.object_id[:12]) for item in done]
    console.print_table(UPLOADS, rows_shown, title=f"s3://{stack['bronze_bucket']}")
