"""`sluice promote`: whether what is built may go from one environment to the next."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice import console
from sluice.options import Json
from sluice.tables import layout

PANEL, ORDER = "Deployment", 25

DIFFERENCES = layout("artifact", "built", "in service")


def promote(
    source: Annotated[str, typer.Option("--from", help="Environment that has it in service.")] = "dev",
    to: Annotated[str, typer.Option("--to", help="Environment that is to get it.")] = "prod",
    untested: Annotated[
        bool, typer.Option("--untested", help="Also what the suites did not pass with (not to prod).")
    ] = False,
    json: Json = False,
) -> None:
    """Check that what is built was tested, and is in service in the environment before; it deploys nothing."""
    from dataclasses import asdict

    from sluice import build
    from sluice.build import tested
    from sluice.pipeline.stack import Stack
    from sluice.release import promotion

    manifest = build.build()
    tested.require(manifest, to, untested=untested)
    found = promotion.differences(Stack.load(env=source), manifest)
    if json:
        console.print_json({"source": asdict(manifest.source), "differences": [asdict(one) for one in found]})
    elif found:
        console.print_table(DIFFERENCES, [(one.artifact, one.built[:12] or "-", one.in_service[:12]) for one in found])
        console.note(f"promote {source} has other bytes in service: deploy these there first, and smoke")
    else:
        revision = manifest.source.commit[:12] or "no commit"
        changed = ", changed since" if manifest.source.dirty else ""
        console.note(f"promote {source} has all of it in service (source {revision}{changed})")
        console.note(f"next    make plan TARGET=aws ENV={to} ARGS=--gradual")
    raise typer.Exit(console.FAILED if found else console.OK)
