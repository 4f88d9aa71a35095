"""Where things are: the checkout, what set-up and build make in it, and the instance home."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SLUICE_DIR = ROOT / ".sluice"

HOST_ENV = SLUICE_DIR / "host"
ENGINE_ENV = SLUICE_DIR / "engine"
RUNTIMES_DIR = SLUICE_DIR / "runtimes"
BIN_DIR = SLUICE_DIR / "bin"
CACHE_DIR = SLUICE_DIR / "cache"
BUILD_DIR = SLUICE_DIR / "build"
AWS_DIR = SLUICE_DIR / "aws"
"""Terraform's data and state of real accounts, one folder per environment."""

LAMBDAS_DIR = ROOT / "lambdas"
SHARED_DIR = LAMBDAS_DIR / "shared"
DATASETS_DIR = ROOT / "datasets"
INFRA_DIR = ROOT / "infra"
STACK_DIR = INFRA_DIR / "stack"
ENVS_DIR = INFRA_DIR / "envs"
POSTGRES_EXTENSIONS = ROOT / "localstack" / "postgres"
"""What the embedded PostgreSQL gets in the place of contrib."""


def default_home() -> Path:
    """Home of the instance that `make up` starts: $SLUICE_HOME, or .sluice/state in the checkout."""
    return Path(os.environ.get("SLUICE_HOME") or SLUICE_DIR / "state").expanduser().resolve()


def link_commands() -> None:
    """Puts `sluice` and `tflocal` into .sluice/bin: on a shell's PATH that folder hides none of the user's commands."""
    BIN_DIR.mkdir(parents=True, exist_ok=True)
    for name in ("sluice", "tflocal"):
        link, command = BIN_DIR / name, HOST_ENV / "bin" / name
        if not link.is_symlink() or link.readlink() != command:
            link.unlink(missing_ok=True)
            link.symlink_to(command)
