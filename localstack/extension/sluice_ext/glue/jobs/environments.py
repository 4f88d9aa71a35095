"""The interpreters of jobs: made on first use, as `sluice setup --spark` makes them.

The engine starts the project's own set-up for this (SLUICE_SETUP); it knows nothing of package indexes.
"""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sluice_ext import settings
from sluice_ext.glue.jobs.kinds import SHELL, SPARK

_SPARK_VERSION: Final = "6.0"
_FOLDERS: Final = {SHELL: "glue-pythonshell", SPARK: "glue-spark"}
_NAMES: Final = {SHELL: "Glue shell", SPARK: "Glue Spark"}
_JAVA: Final = (17, 21)
_locks = {SHELL: threading.Lock(), SPARK: threading.Lock()}
_ready: set[str] = set()


class NotRunnable(Exception):
    """The job cannot run here. The message says why."""


def interpreter(kind: str, run: Mapping[str, Any]) -> Path:
    """The Python of a job of this kind, which is set up if it is not there. Raises NotRunnable."""
    if kind == SPARK and run.get("GlueVersion") != _SPARK_VERSION:
        raise NotRunnable(
            f"Glue version {run.get('GlueVersion')} has no interpreter here: this engine has {_SPARK_VERSION} "
            "(Spark 4.1.1, Python 3.13)"
        )
    if not settings.RUNTIMES_DIR:
        raise NotRunnable("SLUICE_LAMBDA_RUNTIMES is not set, so there is no interpreter for any job")
    python = Path(settings.RUNTIMES_DIR) / _FOLDERS[kind] / "bin" / "python"
    with _locks[kind]:
        if kind not in _ready:
            _set_up(kind, python)
            _ready.add(kind)
    return python


def _set_up(kind: str, python: Path) -> None:
    """Bring the environment up to date; one that is there is used where there is no set-up program."""
    if not settings.SETUP:
        if python.exists():
            return
        raise NotRunnable(f"the environment of {kind} jobs is not installed ({python} does not exist)")
    done = set_up_program("bootstrap.py", "--only", _NAMES[kind])
    if done.returncode != 0 or not python.exists():
        lines = done.stdout.strip().splitlines() or ["no output"]
        raise NotRunnable(f"the environment of {kind} jobs cannot be installed: {lines[-1]}")


def set_up_program(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one of the programs of set-up with the machine's own settings for package indexes."""
    environment = dict(os.environ)
    if settings.SETUP_HOME:
        environment["HOME"] = settings.SETUP_HOME
        environment.pop("XDG_CACHE_HOME", None)
    return subprocess.run(
        [sys.executable, "-I", str(Path(settings.SETUP) / name), *words], env=environment, check=False, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1800,
    )  # fmt: skip


def java_home() -> str:
    """The folder of a Java that Spark runs on. Raises NotRunnable."""
    program = f"{settings.JAVA_HOME}/bin/java" if settings.JAVA_HOME else shutil.which("java")
    if not program or not Path(program).exists():
        raise NotRunnable("Spark needs Java 17 or 21, and there is no java on the PATH: install one, or set JAVA_HOME")
    home = Path(program).resolve().parent.parent
    shown = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    version = shown.partition('"')[2].partition(".")[0]
    if not version.isdigit() or int(version) not in range(_JAVA[0], _JAVA[1] + 1):
        raise NotRunnable(f"Spark needs Java 17 or 21, and {program} is {shown.splitlines()[0] if shown else 'broken'}")
    return str(home)
