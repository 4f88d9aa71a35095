"""LocalEmu, a fork of LocalStack 4.14. It runs functions in containers only, of AWS's base image.

https://github.com/localemu/localemu
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import psutil

from sluice.bench.functions import RUNTIME
from sluice.bench.peers.peer import Peer
from sluice.engine import containers
from sluice.engine.containers import DockerError
from sluice.engine.instance import HOST

IMAGE_VARIABLE = "SLUICE_BENCH_LAMBDA_IMAGE"
IMAGE = "public.ecr.aws/lambda/python:3.13"
LABEL = "sluice.bench.peer"
PULL_SECONDS = 600.0
_DOCKER = ("DOCKER_",)


def image() -> str:
    """The image of its functions: AWS's, or the one that the variable names."""
    return os.environ.get(IMAGE_VARIABLE) or IMAGE


def _lacks() -> str | None:
    """LocalEmu pulls the image before it makes a function, also one that is there: where it cannot, nothing runs."""
    try:
        containers.docker("version", "--format", "{{.Server.Version}}", seconds=containers.ANSWER_SECONDS)
    except DockerError as error:
        return f"its functions run in containers, and no Docker daemon answers: {error}"
    try:
        containers.docker("pull", "-q", image(), seconds=PULL_SECONDS)
    except DockerError as error:
        return f"its functions run in containers of {image()}, which cannot be pulled ({IMAGE_VARIABLE}): {error}"
    return None


def _settings(home: Path, port: int) -> dict[str, str]:
    (home / "tmp").mkdir()
    return {
        **{name: value for name, value in os.environ.items() if name.startswith(_DOCKER)},
        "GATEWAY_LISTEN": ",".join(f"{address}:{port}" for address in _addresses()),
        "FILESYSTEM_ROOT": str(home / "filesystem"),
        "CONFIG_DIR": str(home / "config"),
        "TMPDIR": str(home / "tmp"),
        "OVERRIDE_IN_DOCKER": "0",  # it is a program of this machine, also where this machine is a container
        "LAMBDA_DEV_PORT_EXPOSE": "1",  # its default on macOS; without it, 1.3.2 does not reach a function on Linux
        "LAMBDA_RUNTIME_IMAGE_MAPPING": json.dumps({RUNTIME: image()}),
        "LAMBDA_DOCKER_FLAGS": f"--label {LABEL}={home.name}",
    }


def _addresses() -> list[str]:
    """Where it listens: on this machine, and where the containers of Docker's bridge reach it, if that is here, too."""
    try:
        gateway = containers.docker("network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Gateway}}").strip()
    except DockerError:
        return [HOST]
    here = {one.address for addresses in psutil.net_if_addrs().values() for one in addresses}
    return [HOST, gateway] if gateway in here else [HOST]


def _clean(home: Path) -> None:
    """It removes its functions' containers when it ends, but not when it is killed."""
    containers.remove(containers.with_labels(f"{LABEL}={home.name}"))


LOCALEMU = Peer(
    name="localemu",
    version="1.3.2",
    requirements=("localemu==1.3.2",),
    command=lambda port: ("localemu", "start", "--port", str(port)),
    settings=_settings,
    health="/_localemu/health",
    lacks=_lacks,
    clean=_clean,
    stop_seconds=30.0,  # each container has five seconds
    functions_below=False,
)
