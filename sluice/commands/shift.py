"""`sluice shift`: puts new versions of functions into service by and by."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice import console
from sluice.options import Where, on_stack

PANEL, ORDER = "Deployment", 26


@on_stack
def shift(
    function: Annotated[
        list[str] | None, typer.Option("--function", metavar="NAME", help="Only this function; repeatable.")
    ] = None,
    steps: Annotated[str, typer.Option(help="Per cents of the invocations, rising to 100.")] = "10,50,100",
    minutes: Annotated[float, typer.Option(min=0, help="Minutes for which alarms are watched after each step.")] = 5,
    unwatched: Annotated[bool, typer.Option("--unwatched", help="Go on where no alarm watches the functions.")] = False,
    *,
    where: Where,
) -> None:
    """Shift functions to their newest versions in steps; an alarm puts all of them back (exit code 1)."""
    from dataclasses import asdict

    from sluice.release import shift as shifting

    shares = shifting.steps_of(steps)
    moved = shifting.shift(
        where.stack, function or (), shares, minutes, unwatched=unwatched, report=console.note
    )  # fmt: skip
    if where.json:
        console.print_json({"moved": [asdict(one) for one in moved]})
    elif moved:
        console.note(f"shift   done: {', '.join(f'{one.function} {one.after}' for one in moved)}")
    else:
        console.note("shift   nothing to do")
