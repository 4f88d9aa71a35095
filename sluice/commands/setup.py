"""`sluice setup`: brings the environments up to date."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice import console
from sluice.options import Json

PANEL, ORDER = "Checkout", 60


Spark = Annotated[bool, typer.Option("--spark", help="Also make the environments of Glue's jobs: Spark, Python shell.")]


def setup(spark: Spark = False, json: Json = False) -> None:
    """Bring the environments under .sluice/ up to date (every make target does it first)."""
    from sluice.paths import ROOT
    from sluice.setup import bootstrap
    from sluice.setup.machine import SetupError

    try:
        changed = bootstrap.setup(ROOT)
        if spark:
            changed |= bootstrap.setup(ROOT, [bootstrap.GLUE_SHELL, bootstrap.GLUE_SPARK])
    except SetupError as error:
        console.fail(str(error), 1)
    if json:
        console.print_json({"changed": changed})
    elif not changed:
        console.note("set-up is complete")
