"""`sluice build`: packages the functions and layers."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice import console
from sluice.commands._deployment import show_artifact
from sluice.options import Json

PANEL, ORDER = "Deployment", 20


def build(
    json: Json = False,
    force: Annotated[bool, typer.Option("--force", help="Build everything, changed or not.")] = False,
) -> None:
    """Package the functions and layers as reproducible zips; only what changed is built."""
    from dataclasses import asdict

    from sluice import build as builder

    manifest = builder.build(report=None if json else show_artifact, force=force)
    if json:
        artifacts = {name: asdict(artifact) for name, artifact in manifest.artifacts.items()}
        console.print_json({"folder": manifest.folder, "artifacts": artifacts})
