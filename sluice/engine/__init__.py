"""The engine: LocalStack with Sluice's extension, and PostgreSQL, as processes (embedded) or as containers (docker)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sluice.console import fail, note
from sluice.engine.choice import DOCKER, EMBEDDED, choose
from sluice.engine.facts import EngineStatus
from sluice.engine.instance import EngineInfo, Instance

if TYPE_CHECKING:
    from sluice.engine import starting

__all__ = ["DOCKER", "EMBEDDED", "EngineStatus", "choose", "down", "status", "up"]


def up(
    instance: Instance,
    *,
    kind: str | None = None,
    faults: bool = False,
    port: int | None = None,
    postgres_port: int | None = None,
    env: Mapping[str, str] | None = None,
    empty: bool = False,
    report: Callable[[str], None] = note,
) -> EngineInfo:
    """Starts what does not run yet, waits until both servers answer, and returns what runs.

    kind: embedded or docker; without one $ENGINE decides (see `choose`). port, postgres_port: wanted ports; without
    them the default instance prefers 4566 and 5432 and others take any. faults: allow fault control (tests).
    env: more settings of LocalStack. empty: begins without the saved state, which is removed, and without PostgreSQL's
    data.
    Raises SluiceError (code 1) when a server does not start, or the other kind of engine runs.
    """
    from sluice.engine import starting

    kind = kind or choose(instance, report)
    info = instance.info()
    if info is not None and info.kind != kind and info.engine.alive():
        fail(f"the {info.kind} engine runs at {info.endpoint_url}: `sluice down` first, or ENGINE={info.kind}", 1)
    own = _servers(kind, instance, faults, env or {}, empty)
    return starting.up(own, instance, faults=faults, port=port, postgres_port=postgres_port, report=report)


def _servers(kind: str, instance: Instance, faults: bool, env: Mapping[str, str], empty: bool) -> starting.Servers:
    if kind == DOCKER:
        from sluice.engine.docker.lifecycle import DockerServers

        return DockerServers(instance, faults=faults, env=env, empty=empty)
    from sluice.engine.embedded.lifecycle import EmbeddedServers

    return EmbeddedServers(instance, faults=faults, env=env, empty=empty)


def down(
    instance: Instance,
    *,
    keep: bool = False,
    empty: bool = False,
    volumes: bool = False,
    report: Callable[[str], None] = note,
) -> bool:
    """Stops everything that belongs to the instance, of either kind. Returns False when nothing ran.

    keep: saves the state before; the next `up` restores it. Otherwise what LocalStack holds goes, Terraform's state of
    it too, and an earlier saved state. PostgreSQL's data stays, unless `empty`, or it is in a volume and `volumes` are
    removed too. Raises SluiceError when the state cannot be saved: the engine runs on.
    """
    from sluice.engine import containers
    from sluice.engine.docker import compose
    from sluice.engine.docker import lifecycle as docker
    from sluice.engine.embedded import lifecycle as embedded

    # What is stopped already has volumes still; to begin empty is no reason to ask for a daemon that is not there.
    has_volumes = compose.volumes_marker(instance).exists()
    remove = has_volumes and (volumes or (empty and containers.unavailable() is None))
    wanted = compose.has_containers(instance) or remove
    stopped = wanted and docker.down(instance, keep=keep, volumes=volumes or empty, report=report)
    return embedded.down(instance, keep=keep, empty=empty, report=report) or stopped


def status(instance: Instance) -> EngineStatus:
    """What runs, measured now."""
    info = instance.info()
    if info is not None and info.kind == DOCKER:
        from sluice.engine.docker import lifecycle as docker

        return docker.status(instance, info)
    from sluice.engine.embedded import lifecycle as embedded

    return embedded.status(instance, info)
