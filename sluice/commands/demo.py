"""`sluice demo`: the main job on real input."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice.options import Json

PANEL, ORDER = "Data", 30


def demo(
    skip_deploy: Annotated[bool, typer.Option("--skip-deploy", help="Use what is deployed as it is.")] = False,
    months: Annotated[str, typer.Option(help="Months of flights: 1-12, 1-3, 1,4.")] = "1-12",
    rows: Annotated[int, typer.Option(min=1, help="Lines of the shipping feed.")] = 20_000,
    json: Json = False,
) -> None:
    """Run the main job on real input, from nothing to verified rows; exit code 1 when a number is off."""
    from sluice.demo import run as show
    from sluice.pipeline.seed import parse_months

    raise typer.Exit(show.demo(months=parse_months(months), rows=rows, skip_deploy=skip_deploy, as_json=json))
