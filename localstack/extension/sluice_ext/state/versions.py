"""What a saved state must agree with: a state is only loaded by an engine of the same versions."""

import importlib.metadata
import platform
import sys
from typing import Any

import sluice_ext
from localstack import constants

# To be raised with every change of what is saved: a class of the extension that a store holds, or a part.
SCHEMA = 2
_NAMES = {
    "schema": "the form of saved states",
    "localstack": "LocalStack",
    "moto": "moto",
    "extension": "the extension",
    "python": "Python",
    "architecture": "the architecture",
}


class Refused(RuntimeError):
    """A saved state cannot be loaded here. The message says why, and what to do."""


def here() -> dict[str, Any]:
    """The versions of this engine."""
    return {
        "schema": SCHEMA,
        "localstack": constants.VERSION,
        "moto": importlib.metadata.version("moto-ext"),
        "extension": sluice_ext.__version__,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "architecture": platform.machine(),
    }


def check(saved: dict[str, Any], folder: object) -> None:
    """Raises Refused, naming every version that differs."""
    mine = here()
    other = [
        f"{words} is {mine[name]}, the state's is {saved.get(name, 'unknown')}"
        for name, words in _NAMES.items()
        if saved.get(name) != mine[name]
    ]
    if other:
        raise Refused(f"the state in {folder} is of another engine: {'; '.join(other)}")
