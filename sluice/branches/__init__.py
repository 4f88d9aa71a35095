"""The branches of the pipeline that have verbs of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluice.branches import api, checkins, feedback

if TYPE_CHECKING:
    import typer


def register(app: typer.Typer) -> None:
    """Adds the verbs of the modules, in this order."""
    for module in (feedback, checkins, api):
        module.register(app)
