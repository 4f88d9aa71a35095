"""`sluice down`: stops the engine."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice import console
from sluice.options import Json, persists_state

PANEL, ORDER = "Engine", 11


def down(
    discard: Annotated[
        bool, typer.Option("--discard", help="Save nothing: the next `sluice up` begins empty, PostgreSQL too.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing when nothing runs.")] = False,
    json: Json = False,
) -> None:
    """Save what the engine holds, stop LocalStack and PostgreSQL, and leave no process behind.

    The next `sluice up` restores it. PERSISTENCE=0 in the environment is the same as --discard.
    """
    from sluice import engine
    from sluice.engine.instance import Instance

    keep = persists_state() and not discard
    report = console.silent if json else console.note
    stopped = engine.down(Instance.default(), keep=keep, empty=not keep, report=report)
    if json:
        console.print_json({"stopped": stopped})
    elif stopped:
        console.note("engine  stopped")
    elif not quiet:
        console.note("engine  nothing runs")
