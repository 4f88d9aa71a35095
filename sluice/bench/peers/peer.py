"""What one has to know of an emulator to measure it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


def nothing(*_: object) -> None:
    """Of a peer that needs nothing but its own process."""


@dataclass(frozen=True)
class Peer:
    """An emulator: what is installed, how it is started, and when it is up.

    All settings but those of ``settings`` are the peer's own, as it is shipped.
    """

    name: str
    version: str
    requirements: tuple[str, ...]
    """What pip installs into its environment, versions included."""
    command: Callable[[int], tuple[str, ...]]
    """The command in its environment, by the port that it has to listen on."""
    settings: Callable[[Path, int], dict[str, str]]
    """Its environment variables, by its folder and its port: addresses, folders, what must not be its default."""
    health: str
    """The path that is answered once it is up."""
    lacks: Callable[[], str | None] = nothing
    """Says why it cannot run functions on this machine; None where it can."""
    clean: Callable[[Path], None] = nothing
    """Removes what it left outside of its process and its folder."""
    stop_seconds: float = 5.0
    """How long it may take to end by itself."""
    functions_below: bool = True
    """Whether functions run below its process, so that their memory and work can be seen there."""

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}"
