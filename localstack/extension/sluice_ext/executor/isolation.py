"""How far a function process can have Lambda's file system: tried once, because a kernel or container may forbid it.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html (LAMBDA_TASK_ROOT)
"""

import functools
import logging
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sluice_ext import settings

LOG = logging.getLogger(__name__)
BOOTSTRAP = Path(__file__).with_name("bootstrap.py")
TASK_ROOT, OPT = Path("/var/task"), Path("/opt")


@dataclass(frozen=True)
class Isolation:
    """``tmp``: a /tmp of its own. ``task``: code in /var/task and layers in /opt, read-only."""

    tmp: bool
    task: bool


@functools.cache
def possible(interpreter: Path) -> Isolation:
    """What this machine allows function processes of this interpreter."""
    if not settings.PRIVATE_TMP:
        return Isolation(False, False)
    with tempfile.TemporaryDirectory(prefix="probe-") as folder:
        for task in (folder, ""):
            kept = os.pathsep.join(kept_visible(interpreter))
            command = [str(interpreter), "-S", str(BOOTSTRAP), str(os.getpid()), folder, task, "", kept, "--probe"]
            tried = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
            if tried.returncode == 0:
                return Isolation(True, bool(task))
            LOG.info("Function processes cannot have this file system: %s", tried.stderr.strip().rpartition("\n")[2])
    return Isolation(False, False)


def kept_visible(interpreter: Path) -> list[str]:
    """Folders that a function process needs although they are below one that is covered."""
    wanted = (interpreter.parent.parent, interpreter.resolve().parent.parent, BOOTSTRAP.parent)
    return sorted({str(path) for path in wanted if str(path).startswith(("/tmp/", "/opt/", "/var/task/"))})
