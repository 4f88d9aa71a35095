"""An instance's compose project, from the same file that `docker compose up` reads."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sluice.console import fail, note
from sluice.engine import containers
from sluice.engine.containers import docker
from sluice.engine.docker import images
from sluice.engine.instance import Instance
from sluice.paths import ROOT, SLUICE_DIR

FILE = ROOT / "docker-compose.yml"
KIND = "docker"
PROJECT_LABEL, ONE_OFF_LABEL = "com.docker.compose.project", "com.docker.compose.oneoff"


class Project:
    """An instance's compose project: its name, and `docker compose` with its settings."""

    def __init__(self, instance: Instance) -> None:
        self.flags = ["--project-directory", str(ROOT), "-f", str(FILE)]
        if not is_of_the_checkout(instance):
            digest = hashlib.sha256(str(instance.home).encode()).hexdigest()[:8]
            self.flags += ["-p", f"sluice-{digest}"]
        self.settings: dict[str, str] = {}

    def compose(self, *arguments: str, seconds: float = containers.CALL_SECONDS, **settings: str) -> str:
        """`docker compose <arguments>`; settings: more variables for the compose file. Raises DockerError."""
        return docker("compose", *self.flags, *arguments, seconds=seconds, env=self.settings | settings)

    def resolved(self) -> dict[str, Any]:
        """The compose file with all variables filled in (environment, then .env, then defaults)."""
        return dict(json.loads(self.compose("config", "--format", "json")))

    @functools.cached_property
    def name(self) -> str:
        return str(self.resolved()["name"])

    def once(self, script: str) -> str:
        """Runs a shell script beside PostgreSQL's volume, in a container that goes with it; returns what it prints."""
        return self.compose("run", "--rm", "-T", "--no-deps", "--entrypoint", "sh", "postgres", "-euc", script)

    def remove_one_offs(self) -> None:
        """Removes containers that a killed command left behind."""
        containers.remove(containers.with_labels(f"{PROJECT_LABEL}={self.name}", f"{ONE_OFF_LABEL}=True"))

    def remove_servers(self, *flags: str) -> None:
        """Removes containers, network and LocalStack's volume, whose content means nothing to another start;
        PostgreSQL's volume stays."""
        self.compose("down", "--remove-orphans", *flags)
        scratch = f"{self.name}_localstack"
        if containers.inspect("volume", scratch) is not None:
            docker("volume", "rm", scratch)

    def found(self) -> dict[str, dict[str, Any]]:
        """The servers' containers by service, running or not, as `docker inspect` shows them."""
        every = [
            containers.inspect("container", one)
            for one in containers.with_labels(f"{PROJECT_LABEL}={self.name}", f"{ONE_OFF_LABEL}=False")
        ]
        return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in every if one}


def is_of_the_checkout(instance: Instance) -> bool:
    """Whether it is the one that `docker compose up`, typed in the checkout, starts."""
    return instance.home == (SLUICE_DIR / "state").resolve()


def marker(instance: Instance) -> Path:
    """A file that says that the instance may have containers; it outlives a start that was killed."""
    return instance.home / "docker.containers"


def has_containers(instance: Instance) -> bool:
    """Whether there may be containers of the instance, as far as can be seen in a moment."""
    if marker(instance).exists():
        return True
    if not is_of_the_checkout(instance) or containers.unavailable() is not None:
        return False
    return bool(Project(instance).found())


def volumes_marker(instance: Instance) -> Path:
    """A file that says that PostgreSQL's volume is the instance's: names alone do not tell two checkouts apart."""
    return instance.home / "docker.volumes"


def prepare(instance: Instance, report: Callable[[str], None] = note) -> None:
    """Builds and pulls what `up` needs. Raises DockerError when an image cannot be had."""
    project = Project(instance)
    images.ensure(project.resolved()["services"], project.compose, report)


def refuse_strangers(found: Mapping[str, Mapping[str, Any]]) -> None:
    """Two checkouts must not share one project: each would replace the other's containers."""
    for one in found.values():
        place = one["Config"]["Labels"].get("com.docker.compose.project.working_dir", str(ROOT))
        if place != str(ROOT):
            name = one["Config"]["Labels"]["com.docker.compose.project"]
            fail(
                f"the compose project {name} belongs to {place}: `make down` there, or set COMPOSE_PROJECT_NAME here", 1
            )


def published(container: Mapping[str, Any]) -> int | None:
    """The port on this machine of a container that runs."""
    if not container or not container["State"]["Running"]:
        return None
    bindings = [one for found in container["NetworkSettings"]["Ports"].values() for one in found or []]
    return int(bindings[0]["HostPort"]) if bindings else None
