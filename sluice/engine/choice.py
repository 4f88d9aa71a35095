"""Which engine: what $ENGINE asks for, or what the machine can do."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from sluice.console import SluiceError, fail, note
from sluice.engine import containers
from sluice.engine.instance import EngineInfo, Instance

if TYPE_CHECKING:
    from sluice.engine.states.saving import Reach

EMBEDDED, DOCKER = "embedded", "docker"


def reach(instance: Instance, info: EngineInfo) -> Reach:
    """How the host reaches the files of the engine that runs. Raises SluiceError (code 1) for a LocalStack that cannot
    save."""
    if info.kind == DOCKER:
        from sluice.engine.docker.volume import Volume

        return Volume.of(instance, info)
    from sluice.engine.embedded import dumps
    from sluice.engine.states.files import States
    from sluice.engine.states.saving import OnHost

    return OnHost(States(instance.states_dir), dumps.dump)


def wanted() -> str:
    """$ENGINE: auto, embedded or docker. Raises SluiceError (code 2) for anything else."""
    found = os.environ.get("ENGINE") or "auto"
    if found not in ("auto", EMBEDDED, DOCKER):
        fail(f"ENGINE={found} is not known: use auto, embedded or docker")
    return found


def choose(instance: Instance, report: Callable[[str], None] = note) -> str:
    """The engine that $ENGINE asks for. Left to us: what runs already, else docker when a daemon answers within three
    seconds and the images are there or can be had, else embedded; reports which and why.

    Raises SluiceError: code 2 when $ENGINE is not known, 1 when it asks for Docker and there is none.
    """
    asked = wanted()
    info = instance.info()
    if asked == EMBEDDED:
        return EMBEDDED
    if asked != DOCKER and info is not None and info.kind in (EMBEDDED, DOCKER) and info.engine.alive():
        return info.kind
    reason = containers.unavailable()
    if asked == DOCKER:
        if reason is not None:
            fail(f"ENGINE=docker: {reason}", 1)
        return DOCKER
    # Without the client's own words in brackets, which read like an error where there is none.
    reason = reason and reason.partition(" (")[0]
    if reason is None:
        from sluice.engine.docker import compose

        try:
            compose.prepare(instance, report)
        except SluiceError as error:
            reason = f"Docker answers, but {error}"
    if reason is not None:
        report(f"engine  embedded: {reason} (ENGINE=auto)")
        return EMBEDDED
    report("engine  docker: a daemon answers and the images are there (ENGINE=auto)")
    return DOCKER
