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

    found = listing.objects(where.stack, which, prefixes(local_catalog()))
    counted = listing.totals(found)
    if where.json:
        console.print_json({"totals": [asdict(one) for one in counted], "objects": [asdict(one) for one in found]})
        return
    if which and found:
        rows = [(console.ago(one.modified), console.human_bytes(one.size), one.key) for one in found[:limit]]
        console.print_table(OBJECTS, rows)
        if len(found) > limit:
            console.note(f"... and {len(found) - limit:,} more; --limit shows them")
    elif found:
        totals = [
            (one.bucket, one.dataset or "(no prefix)", one.objects, console.human_bytes(one.size),
             console.ago(one.newest))
            for one in counted
        ]  # fmt: skip
        console.print_table(TOTALS, totals)
    note_unmanaged([one.key for one in found if not one.managed])
    size = console.human_bytes(sum(one.size for one in found))
    hint = "" if found else f"; put a file: sluice put FILE {which or 'DATASET'}"
    console.note(f"ls      {len(found):,} object{'' if len(found) == 1 else 's'}, {size}{hint}")
