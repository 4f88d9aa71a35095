"""The images of the Docker engine: ours is built from the checkout, and built again when what it is made of changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from sluice.engine import containers
from sluice.engine.containers import DockerError, docker
from sluice.paths import ROOT

OURS = "sluice-localstack:"
INPUTS_LABEL = "sluice.inputs"
BUILD_SECONDS = 1800.0
PULL_SECONDS = 600.0
# What SLUICE_IMAGE_TARGET chooses: the engine alone, or also Java and what Glue's jobs need.
TARGET, ENGINE, GLUE = "SLUICE_IMAGE_TARGET", "engine", "glue"
# As localstack/Dockerfile.dockerignore lets them through.
_FILES = (
    "localstack/Dockerfile", "requirements/build.txt", "requirements/uv.txt", "sluice/__init__.py",
    "localstack/requirements.txt", "localstack/runtime/requirements.txt",
)  # fmt: skip

_FOLDERS = ("sluice/setup", "localstack/extension")


def inputs_of(root: Path = ROOT, target: str = ENGINE) -> str:
    """Hash of everything our image is made of."""
    digest = hashlib.sha256(target.encode())
    for path in _inputs(root, (*_FOLDERS, "localstack/glue") if target == GLUE else _FOLDERS):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _inputs(root: Path, folders: tuple[str, ...]) -> Iterator[Path]:
    yield from (root / name for name in _FILES)
    for folder in folders:
        yield from sorted(
            path
            for path in (root / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
        )


def ensure(services: Mapping[str, Mapping[str, object]], compose: Compose, report: Callable[[str], None]) -> None:
    """Makes sure that every service's image is there and ours is of this checkout. Raises DockerError when it cannot.

    services: of the resolved compose file. An image that LOCALSTACK_IMAGE names is taken as it is.
    """
    for service, settings in services.items():
        image = str(settings["image"])
        found = containers.inspect("image", image)
        if image.startswith(OURS):
            inputs = inputs_of(target=_target(settings))
            labels = (found or {}).get("Config", {}).get("Labels") or {}
            if labels.get(INPUTS_LABEL) != inputs:
                report(f"engine  building {image} ({'the code changed' if found else 'once, a minute or two'})")
                compose("build", "--quiet", service, seconds=BUILD_SECONDS, SLUICE_INPUTS=inputs)
        elif found is None:
            report(f"engine  pulling {image}")
            try:
                docker("pull", "--quiet", image, seconds=PULL_SECONDS)
            except DockerError as error:
                raise DockerError(f"the image {image} cannot be had: {error}", error.said) from None


def _target(settings: Mapping[str, object]) -> str:
    """Docker would look for an unknown one in a registry."""
    build = settings.get("build")
    target = str(build["args"][TARGET]) if isinstance(build, dict) else ENGINE
    if target not in (ENGINE, GLUE):
        raise DockerError(f"{TARGET} is {target!r}; it may be {ENGINE} or {GLUE}")
    return target


Compose = Callable[..., str]
