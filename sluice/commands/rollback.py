"""`sluice rollback`: puts the former versions of functions back into service."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice import console
from sluice.options import Where, on_stack

PANEL, ORDER = "Deployment", 27


@on_stack
def rollback(
    function: Annotated[
        list[str] | None,
        typer.Option("--function", metavar="NAME", help="This function; repeatable. Without it: the last release."),
    ] = None,
    *,
    where: Where,
) -> None:
    """Put functions back at the version before, at once; a shift that was broken off ends where it began."""
    from dataclasses import asdict

    from sluice.release import rollback as going

    moved = going.rollback(where.stack, function or ())
    if where.json:
        console.print_json({"moved": [asdict(one) for one in moved]})
    elif moved:
        for one in moved:
            console.note(f"rollback {one.function}: back at version {one.after}, not {one.before}")
    else:
        console.note("rollback nothing to do: the last release is back already")
