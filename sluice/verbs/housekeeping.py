"""Verbs around the checkout: setup, clean."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice import console
from sluice.options import Json

PANEL = "Checkout"


def register(app: typer.Typer) -> None:
    """Adds the verbs of this module."""
    for verb in (setup, clean):
        app.command(rich_help_panel=PANEL)(verb)


def setup(json: Json = False) -> None:
    """Bring the environments under .sluice/ up to date (every make target does it first)."""
    from sluice import bootstrap
    from sluice.machine import SetupError
    from sluice.paths import ROOT

    try:
        changed = bootstrap.setup(ROOT)
    except SetupError as error:
        console.fail(str(error), 1)
    if json:
        console.print_json({"changed": changed})
    elif not changed:
        console.note("set-up is complete")


def clean(
    force: Annotated[bool, typer.Option("--force", help="Also forget resources deployed to an AWS account.")] = False,
    json: Json = False,
) -> None:
    """Stop the engine and remove everything that set-up, build, engine and tests made."""
    from sluice import cleaning

    removed = cleaning.clean(force=force)
    if json:
        console.print_json({"removed": [str(path) for path in removed]})
    else:
        # Not through rich: the environment that holds it is gone by now.
        typer.echo(f"clean   {len(removed)} folders and files removed", err=True)
