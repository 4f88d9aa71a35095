"""Layers: dependencies as Linux wheels for the Lambda runtime, whatever the host is, without what no function loads."""

from __future__ import annotations

import fnmatch
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from sluice.build.archive import tree
from sluice.console import fail
from sluice.paths import LAMBDAS_DIR, ROOT, SLUICE_DIR
from sluice.setup import machine

PLATFORM = "x86_64-manylinux_2_28"  # Amazon Linux 2023, on which python3.13 runs, has glibc 2.34
PYTHON = "3.13"

# Records of the installation itself: they name the installer and its cache, and differ from machine to machine.
_INSTALL_RECORDS = ("*.dist-info/RECORD", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED", "*.dist-info/uv_*.json",
                    "*.dist-info/direct_url.json", ".lock", "bin/*")  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """A layer: its name, the lock its packages come from, and the files that are left out."""

    name: str
    lock: Path
    unused: tuple[str, ...] = ()

    @property
    def recipe(self) -> str:
        """Everything beside the lock that decides the contents."""
        return "\n".join((PLATFORM, PYTHON, *_INSTALL_RECORDS, *self.unused))

    def leaves_out(self, name: str) -> bool:
        """Whether an installed file is not in the zip. The last pattern that it matches decides (``!``: not)."""
        out = False
        for pattern in (*_INSTALL_RECORDS, *self.unused):
            if fnmatch.fnmatchcase(name, pattern.removeprefix("!")):
                out = not pattern.startswith("!")
        return out


def find_layers(folder: Path = LAMBDAS_DIR / "requirements") -> list[Layer]:
    """A layer for each lock ``<name>.txt``; ``<name>.unused`` lists patterns of what is left out, ``!`` what is not."""
    found = []
    for lock in sorted(folder.glob("*.txt")):
        lines = lock.with_suffix(".unused").read_text().splitlines()
        unused = tuple(line for line in lines if line and not line.startswith("#"))
        found.append(Layer(lock.stem, lock, unused))
    return found


LAYERS = find_layers()


def install(layer: Layer, folder: Path) -> dict[str, Path]:
    """Installs a layer's packages into an empty folder and returns the zip's members (python/..., as Lambda wants).

    Raises SluiceError when a wheel cannot be had or its hash is not the one in the lock.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    log = SLUICE_DIR / "setup.log"
    try:
        uv = machine.find_uv(ROOT, sys.executable, log)
        command = [uv, "pip", "install", "-q", "--no-deps", "--require-hashes", "--only-binary", ":all:",
                   "--python", sys.executable, "--target", str(folder), "--python-platform", PLATFORM,
                   "--python-version", PYTHON, "-r", str(layer.lock)]  # fmt: skip
        machine.run(command, machine.uv_environment(sys.executable), log)
    except (machine.SetupError, subprocess.SubprocessError) as error:
        fail(f"layer {layer.name} could not be installed from {layer.lock.relative_to(ROOT)}: {error}", 1)
    return {f"python/{name}": path for name, path in tree(folder).items() if not layer.leaves_out(name)}
