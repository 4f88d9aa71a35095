"""`sluice logs`: the log of a server or of a function."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice import console
from sluice.options import Json

PANEL, ORDER = "Engine", 12


def logs(
    what: Annotated[str, typer.Argument(help="engine, postgres, or the name of a function.")] = "engine",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until interrupted.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many lines to begin with.")] = 100,
    json: Json = False,
) -> None:
    """Show the logs of the engine, of PostgreSQL, or of a function (CloudWatch)."""
    from sluice.engine.instance import Instance
    from sluice.pipeline.logs import find

    if json and follow:
        console.fail("--follow is for people: leave out --json, or read the log again and again")

    log = find(Instance.default(), what)
    if json:
        console.print_json(log.to_dict(lines))
        return
    for line in log.read(lines, follow=follow):
        print(line, flush=follow)
