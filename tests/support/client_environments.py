"""Python environments for public clients: each from its own lock, reused by the next run."""

import hashlib
import os
import shutil
from pathlib import Path

from sluice.paths import ROOT, SLUICE_DIR
from sluice.setup.bootstrap import locked
from sluice.setup.machine import find_python, find_uv, run, uv_environment


def python_of(lock: Path) -> Path:
    """The interpreter of an environment that holds exactly what a lock with hashes names."""
    folder = SLUICE_DIR / "cache" / "clients" / f"{lock.stem}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.parent):
        if not (folder / ".complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            python, log = find_python(), folder.parent / "install.log"
            uv, variables = find_uv(ROOT, python, log), uv_environment(python)
            run([uv, "venv", "-q", "--no-project", "--python", python, folder], variables, log)
            # Outside of the checkout: its settings for uv are not for these.
            install = [
                uv,
                "pip",
                "sync",
                "-q",
                "--no-config",
                "--require-hashes",
                "--python",
                folder / "bin/python",
                lock,
            ]
            run(install, variables, log)
            (folder / ".complete").touch()
    return folder / "bin" / "python"


def variables(endpoint: str, **more: str) -> dict[str, str]:
    """What a client's process sees: the engine as AWS, and nothing of this process's own settings."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    return kept | keys | {"AWS_ENDPOINT_URL": endpoint} | more
