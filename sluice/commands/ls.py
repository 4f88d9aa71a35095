"""`sluice ls`: the objects of bronze, silver and quarantine."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice import console
from sluice.commands._unmanaged import note_unmanaged
from sluice.options import Where, with_tables
from sluice.tables import layout

PANEL, ORDER = "Data", 30

OBJECTS = layout("age:number", "size:number", "key:key")
TOTALS = layout("bucket", "dataset", "objects:number", "size:number", "newest:number")


@with_tables
def ls(
    which: Annotated[
        str,
        typer.Argument(metavar="[DATASET|PREFIX]", help="A dataset, bronze, silver, quarantine, or a prefix of keys."),
    ] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many objects.")] = 50,
    *,
    where: Where,
) -> None:
    """List objects with sizes and ages: the totals of all, or the objects of a dataset or under a prefix."""
    from dataclasses import asdict

    from sluice.pipeline import listing
    from sluice.pipeline.check import local_catalog, prefixes

    known = prefixes(local_catalog())
    if where.json:
        found = listing.objects(where.stack, which, known)
        counted = listing.Summary(limit)
        for one in found:
            counted.add(one)
        objects = [asdict(one) for one in found]
        console.print_json({"totals": [asdict(one) for one in counted.totals], "objects": objects})
        return
    with console.progress() as bar:
        task = bar.add_task("listing", total=None)
        seen = listing.summary(where.stack, which, known, limit, lambda done: bar.update(task, completed=done))
    if which and seen.objects:
        rows = [(console.ago(one.modified), console.human_bytes(one.size), one.key) for one in seen.newest]
        console.print_table(OBJECTS, rows)
        if seen.objects > limit:
            console.note(f"... and {seen.objects - limit:,} more; --limit shows them")
    elif seen.objects:
        totals = [
            (one.bucket, one.dataset or "(no prefix)", one.objects, console.human_bytes(one.size),
             console.ago(one.newest))
            for one in seen.totals
        ]  # fmt: skip
        console.print_table(TOTALS, totals)
    note_unmanaged(seen.unmanaged)
    hint = "" if seen.objects else f"; put a file: sluice put FILE {which or 'DATASET'}"
    number = f"{seen.objects:,} object{'' if seen.objects == 1 else 's'}"
    console.note(f"ls      {number}, {console.human_bytes(seen.size)}{hint}")
