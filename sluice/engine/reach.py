"""Where a server of this machine listens so that an engine's functions and jobs reach it."""

from __future__ import annotations

from dataclasses import dataclass

from sluice.engine.containers import ContainerId, address_inside
from sluice.engine.instance import Instance

# As docker-compose.yml names this machine to the engine's container.
HOST_NAME = "host.docker.internal"


@dataclass(frozen=True)
class Place:
    """``bind``: an address of this machine. ``name``: what the engine calls it."""

    bind: str
    name: str


def place(instance: Instance | None = None) -> Place:
    """For an instance that runs (the default one when None): 127.0.0.1, unless it is in containers."""
    info = (instance or Instance.default()).info()
    if info is None or not isinstance(info.engine, ContainerId):
        return Place("127.0.0.1", "127.0.0.1")
    return Place(address_inside(info.engine.container, HOST_NAME), HOST_NAME)
