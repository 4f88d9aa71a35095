"""Where things are: the checkout, what set-up and build make in it, and the instance home."""

import os
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SLUICE_DIR = ROOT / ".sluice"

HOST_ENV = SLUICE_DIR / "host"
ENGINE_ENV = SLUICE_DIR / "engine"
RUNTIMES_DIR = SLUICE_DIR / "runtimes"
SETUP_DIR = ROOT / "sluice/setup"
BIN_DIR = SLUICE_DIR / "bin"
CACHE_DIR = SLUICE_DIR / "cache"
BUILD_DIR = SLUICE_DIR / "build"
AWS_DIR = Path(os.environ.get("SLUICE_ACCOUNTS") or SLUICE_DIR / "aws").expanduser().resolve()
"""Of real accounts: copies of the code, plans and Terraform's data, a folder per environment. States are in buckets."""
STATES_DIR = AWS_DIR / "states" if os.environ.get("SLUICE_ACCOUNTS") else ROOT / ".states"
"""States on their way to a bucket (bootstrap, or after a fault), a folder per environment. `make clean` leaves them."""

LAMBDAS_DIR = ROOT / "lambdas"
SHARED_DIR = LAMBDAS_DIR / "shared"
JOBS_DIR = ROOT / "jobs"
DATASETS_DIR = ROOT / "datasets"
INFRA_DIR = ROOT / "infra"
STACK_DIR = INFRA_DIR / "stack"
ENVS_DIR = INFRA_DIR / "envs"
POSTGRES_EXTENSIONS = ROOT / "localstack" / "postgres"
"""What the embedded PostgreSQL gets in the place of contrib."""


HOME_VARIABLE = "SLUICE_HOME"
_asked_home: list[Path] = []


def ask_for_home(path: Path | None) -> None:
    """Makes --home's value, if there is one, the default home of this process."""
    _asked_home[:] = [] if path is None else [path.expanduser().resolve()]


def asked_home() -> Path | None:
    """The home that --home named, if it did."""
    return _asked_home[0] if _asked_home else None


def default_home() -> Path:
    """Home of the instance that `make up` starts: that of --home, else $SLUICE_HOME, else .sluice/state here."""
    return asked_home() or Path(os.environ.get(HOME_VARIABLE) or SLUICE_DIR / "state").expanduser().resolve()


def shell_line() -> str:
    """What prepares a shell, typed in any folder: by the tool's whole path, and for the home that is used now."""
    home = default_home()
    tool = shlex.quote(str(HOST_ENV / "bin" / "sluice"))
    other = "" if home == (SLUICE_DIR / "state").resolve() else f" --home {shlex.quote(str(home))}"
    return f'eval "$({tool}{other} env)"'


def checkout_around(path: Path) -> Path | None:
    """The checkout of Sluice that a path is in, or None."""
    return next((place for place in (path, *path.parents) if (place / "sluice" / "paths.py").is_file()), None)


AWSLOCAL = """#!/bin/sh
# The AWS CLI on the engine of this checkout, whatever the shell's own AWS variables say.
unset AWS_ENDPOINT_URL PYTHONHOME PYTHONPATH
variables=$("{sluice}" env) || exit 1
eval "$variables"
command -v aws >/dev/null || {{
  echo "awslocal: the AWS CLI (aws) is not on PATH: install it (https://aws.amazon.com/cli)" >&2
  exit 127
}}
exec aws "$@"
"""


TFLOCAL = """#!/bin/sh
# Another project's Python would be mixed with that of the tool.
unset PYTHONHOME PYTHONPATH
exec "{tflocal}" "$@"
"""


def link_commands() -> None:
    """Puts `sluice`, `tflocal` and `awslocal` into .sluice/bin: on a shell's PATH that folder hides none of the
    user's commands."""
    BIN_DIR.mkdir(parents=True, exist_ok=True)
    link, command = BIN_DIR / "sluice", HOST_ENV / "bin/sluice"
    if not link.is_symlink() or link.readlink() != command:
        link.unlink(missing_ok=True)
        link.symlink_to(command)
    _write_script("tflocal", TFLOCAL.format(tflocal=HOST_ENV / "bin/tflocal"))
    _write_script("awslocal", AWSLOCAL.format(sluice=command))


def _write_script(name: str, text: str) -> None:
    script = BIN_DIR / name
    if script.is_symlink() or not script.exists() or script.read_text(encoding="utf-8") != text:
        partial = script.with_name(f"{name}.{os.getpid()}")
        partial.write_text(text, encoding="utf-8")
        partial.chmod(0o755)
        partial.replace(script)
