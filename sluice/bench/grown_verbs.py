"""A verb of the command line on a terminal of its own: its first sign of life, its end, and what it took."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sluice.bench.stage import Usage, own_environment
from sluice.engine.instance import Instance
from sluice.paths import HOST_ENV, ROOT
from sluice.processes import ProcessId

_BLOCK = 1 << 16
_KIB = 1024
_CONTROL = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Run:
    """``first_s``: until something stands on the screen, ``seconds``: until the end. Processor time of the verb and of
    the engine in seconds, the verb's highest resident memory in bytes."""

    code: int
    first_s: float
    seconds: float
    verb_s: float
    engine_s: float
    peak: int


def run(instance: Instance, root: ProcessId, words: Sequence[str]) -> Run:
    """Runs `sluice <words>` on the stack of an instance, whose engine is ``root``."""
    environment = own_environment(instance) | {"COLUMNS": "120", "TERM": "xterm"}
    ours, theirs = pty.openpty()
    before, began = Usage.of(root), time.monotonic()
    command = [str(HOST_ENV / "bin" / "sluice"), *words]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=theirs, stderr=theirs, stdin=theirs)
    os.close(theirs)
    first = None
    try:
        while printed := _read(ours):
            first = time.monotonic() - began if first is None and visible(printed) else first
    finally:
        os.close(ours)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - began
    return Run(
        process.returncode,
        seconds if first is None else first,
        seconds,
        used.ru_utime + used.ru_stime,
        Usage.of(root).engine - before.engine,
        used.ru_maxrss * _KIB,
    )


def visible(printed: bytes) -> bool:
    """Whether it has more than what hides the cursor or sets a colour."""
    return bool(_CONTROL.sub(b"", printed).strip())


def _read(terminal: int) -> bytes:
    """What has been printed; nothing at the end, which Linux reports as an error."""
    try:
        return os.read(terminal, _BLOCK)
    except OSError:
        return b""
