"""Which engine: what $ENGINE asks for, or what the machine can do."""

from __future__ import annotations

import os
from collections.abc import Callable

from sluice import containers
from sluice.console import SluiceError, fail, note
from sluice.instance import Instance

EMBEDDED, DOCKER = "embedded", "docker"


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
    if reason is None:
        from sluice.engine import compose

        try:
            compose.prepare(instance, report)
        except SluiceError as error:
            reason = f"Docker answers, but {error}"
    if reason is not None:
        report(f"engine  embedded, for {reason} (ENGINE=auto)")
        return EMBEDDED
    report("engine  docker, for a daemon answers and the images are there (ENGINE=auto)")
    return DOCKER
