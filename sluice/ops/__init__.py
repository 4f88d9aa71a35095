"""Operations: replay, dead letters, quarantine, status. Each module has `register(app: typer.Typer)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluice.ops import dlq, quarantine, replay, status

if TYPE_CHECKING:
    import typer


def register(app: typer.Typer) -> None:
    """Adds the verbs of the modules, in this order."""
    for module in (replay, dlq, quarantine, status):
        module.register(app)
