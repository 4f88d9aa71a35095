"""`sluice requeue`: reprocesses one object."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice import console
from sluice.options import Where, on_stack

PANEL, ORDER = "Data", 35


@on_stack
def requeue(
    name: Annotated[
        str, typer.Argument(metavar="OBJECT", help="Object id, or the bronze key of an object missing from the ledger.")
    ],
    *,
    where: Where,
) -> None:
    """Reprocess one object; its silver and quarantine files are rewritten under the same names."""
    from dataclasses import asdict

    from sluice.pipeline import requeue as requeueing

    done = requeueing.requeue(where.stack, name)
    if where.json:
        console.print_json(asdict(done))
    else:
        console.note(f"requeue {done.origin.key} by {done.how}; see `sluice runs {done.object_id}`")
