"""`sluice schema`: columns and types that rows had and their dataset's YAML has not."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice import console
from sluice.options import Where, with_tables
from sluice.tables import layout

PANEL, ORDER = "Data", 32

SIGHTS = layout(
    "dataset", "column:text", "type", "field now?3", "contract?4", "state", "age:number?2", "first seen in:key?1"
)
DIFF = "diff"


@with_tables
def schema(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[diff] [DATASET]", help="diff proposes the fields as YAML; a dataset (else all)."),
    ] = None,
    *,
    where: Where,
) -> None:
    """List columns and types that rows had and the YAML has not; `schema diff` proposes the fields, typed as seen.

    The contract of the dataset says what became of the rows. Put the fields into the YAML, `make deploy`, then replay.
    """
    from dataclasses import asdict

    from sluice.pipeline import schema as schemas
    from sluice.pipeline.check import local_catalog, require_dataset

    names = list(words or [])
    diff = names[:1] == [DIFF]
    names = names[1:] if diff else names
    if len(names) > 1:
        console.fail("name one dataset, or none for all: sluice schema [diff] [DATASET]")
    catalog = local_catalog()
    for name in names:
        require_dataset(catalog, name)
    found = schemas.seen(where.stack, catalog, names or sorted(catalog.datasets))
    fields = schemas.proposed(found, catalog)
    if where.json:
        console.print_json([asdict(one) for one in (fields if diff else found)])
        return
    if diff:
        for line in schemas.as_yaml(fields):
            typer.echo(line)
        hint = "; add them, `make deploy`, then sluice replay fills them" if fields else ""
        console.note(f"schema  {len(fields)} field{'' if len(fields) == 1 else 's'} proposed{hint}")
        return
    if found:
        rows = [
            (one.dataset, one.column, one.type, one.declared or "(none)", one.contract, one.state,
             console.ago(one.seen_at), f"{one.source_key}+{one.offset}")
            for one in found
        ]  # fmt: skip
        console.print_table(SIGHTS, rows)
    for name in sorted({one.dataset for one in found}):
        if sum(one.dataset == name for one in found) >= schemas.LIMIT:
            console.note(f"{name} has {schemas.LIMIT}, the most that the ledger records; more were counted only")
    still = sum(one.state == schemas.OPEN for one in found)
    hint = "; sluice schema diff proposes the fields" if still else ""
    console.note(f"schema  {len(found)} seen, {still} open{hint}")
