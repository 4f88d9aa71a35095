"""Where the engine of a session under test has its files; what a killed session left goes with the next one."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from sluice import engine
from sluice.engine.instance import Instance
from sluice.processes import ProcessId

_NAME = re.compile(r"sluice-e2e-(\d+)-([\d.]+)-")


def new() -> Path:
    """A folder whose name tells whose it is: process number and start time, for a number alone is used again."""
    this = ProcessId.of(os.getpid())
    return Path(tempfile.mkdtemp(prefix=f"sluice-e2e-{this.pid}-{this.started}-"))


def remove(home: Path) -> None:
    """Stops what runs there, and removes the folder."""
    engine.down(Instance(home))
    shutil.rmtree(home, ignore_errors=True)


def remove_orphans() -> None:
    """Removes the homes of sessions that are no more, and the processes that were started there."""
    for home in Path(tempfile.gettempdir()).glob("sluice-e2e-*"):
        named = _NAME.match(home.name)
        if named and not ProcessId(int(named[1]), float(named[2])).alive():
            remove(home)
