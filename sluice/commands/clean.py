"""`sluice clean`: removes everything that was made in the checkout."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice import console
from sluice.options import Json

PANEL, ORDER = "Checkout", 61


def clean(
    force: Annotated[bool, typer.Option("--force", help="Also forget resources deployed to an AWS account.")] = False,
    json: Json = False,
) -> None:
    """Stop the engine and remove everything that set-up, build, engine and tests made."""
    from sluice.engine import cleaning

    removed = cleaning.clean(force=force)
    if json:
        console.print_json({"removed": [str(path) for path in removed]})
    else:
        # Not through rich: the environment that holds it is gone by now.
        typer.echo(f"clean   {len(removed)} folders and files removed", err=True)
