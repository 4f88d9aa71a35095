"""Verbs around what is deployed: build, plan, deploy, destroy, outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sluice import console

if TYPE_CHECKING:
    from sluice.build import BuiltArtifact

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def register(app: typer.Typer) -> None:
    """Adds the verbs of this module."""
    app.command(rich_help_panel="Deployment")(build)


def build(
    json: Json = False,
    force: Annotated[bool, typer.Option("--force", help="Build everything, changed or not.")] = False,
) -> None:
    """Package the functions and layers as reproducible zips; only what changed is built."""
    from dataclasses import asdict

    from sluice import build as builder

    manifest = builder.build(report=None if json else show_artifact, force=force)
    if json:
        console.print_json({"folder": manifest.folder, "artifacts": {n: asdict(a) for n, a in manifest.artifacts.items()}})


def show_artifact(artifact: BuiltArtifact) -> None:
    """One line for an artifact: name, size, rebuilt or unchanged, seconds."""
    state = "rebuilt" if artifact.rebuilt else "unchanged"
    size = f"{console.human_bytes(artifact.zipped)} ({console.human_bytes(artifact.unzipped)} unzipped)"
    console.note(f"build   {artifact.name:<12} {size:<32} {state:<9} {artifact.seconds:5.1f} s")
