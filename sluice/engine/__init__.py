"""The engine: LocalStack with Sluice's extension, and PostgreSQL, as processes (embedded) or as containers (docker)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sluice.console import fail, note
from sluice.engine import lifecycle
from sluice.engine.choice import DOCKER, EMBEDDED, choose
from sluice.engine.facts import EngineStatus
from sluice.instance import EngineInfo, Instance

__all__ = ["DOCKER", "EMBEDDED", "EngineStatus", "choose", "down", "status", "up"]


def up(
    instance: Instance,
    *,
    kind: str | None = None,
    faults: bool = False,
    port: int | None = None,
    postgres_port: int | None = None,
    env: Mapping[str, str] | None = None,
    report: Callable[[str], None] = note,
) -> EngineInfo:
    """Starts what does not run yet, waits until both servers answer, and returns what runs.

    kind: embedded or docker; without one $ENGINE decides (see `choose`). port, postgres_port: wanted ports; without
    them the default instance prefers 4566 and 5432 and others take any. faults: allow fault control (tests).
    env: more settings of LocalStack.
    Raises SluiceError (code 1) when a server does not start, or the other kind of engine runs.
    """
    kind = kind or choose(instance, report)
    info = instance.info()
    if info is not None and info.kind != kind and info.engine.alive():
        fail(f"the {info.kind} engine runs at {info.endpoint_url}: `sluice down` first, or ENGINE={info.kind}", 1)
    if kind == DOCKER:
        from sluice.engine import compose

        return compose.up(instance, faults=faults, port=port, postgres_port=postgres_port, env=env, report=report)
    return lifecycle.up(
        instance, faults=faults, port=port, postgres_port=postgres_port, env=dict(env or {}), report=report
    )


def down(instance: Instance, *, volumes: bool = False, report: Callable[[str], None] = note) -> bool:
    """Stops everything that belongs to the instance, of either kind. Returns False when nothing ran.

    What LocalStack holds is in its memory and goes with it, Terraform's state of it too. PostgreSQL's data stays,
    unless it lies in a volume and `volumes` go, too.
    """
    from sluice.engine import compose

    wanted = compose.has_containers(instance) or (volumes and compose.volumes_marker(instance).exists())
    stopped = wanted and compose.down(instance, volumes=volumes)
    return lifecycle.down(instance, report=report) or stopped


def status(instance: Instance) -> EngineStatus:
    """What runs, measured now."""
    info = instance.info()
    if info is not None and info.kind == DOCKER:
        from sluice.engine import compose

        return compose.status(instance, info)
    return lifecycle.status(instance)
