"""Operations: replay, dead letters, quarantine, status. Each module has `register(app: typer.Typer)`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

MODULES = ("replay", "dlq", "quarantine", "status")


def register(app: typer.Typer) -> None:
    """Adds the verbs of the modules that are there."""
    for name in MODULES:
        full = f"{__name__}.{name}"
        try:
            module = importlib.import_module(full)
        except ModuleNotFoundError as error:
            if error.name != full:
                raise
            continue
        module.register(app)
