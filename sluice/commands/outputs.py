"""`sluice outputs`: prints what the stack says about itself."""

from __future__ import annotations

import typer

from sluice import console
from sluice.commands._deployment import show_outputs
from sluice.options import Env, Json, Target, environment

PANEL, ORDER = "Deployment", 24


def outputs(target: Target = "local", env: Env = None, json: Json = False) -> None:
    """Print the outputs of what is deployed, with endpoint_url and region."""
    from sluice.pipeline.stack import choose

    described = choose(target, environment(target, env)).describe()
    if json:
        console.print_json(described)
    else:
        show_outputs(described)
    if len(described) <= 2:
        console.note("nothing is deployed: run `make deploy`")
        raise typer.Exit(console.FAILED)
