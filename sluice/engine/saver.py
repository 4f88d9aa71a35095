"""The automatic save: a process beside the engine that saves its state every SLUICE_SAVE_MINUTES, and ends with it.

``python -m sluice.engine.saver <home> <minutes> <pid or container> <start time>``; its log is <home>/logs/saver.log.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil

from sluice.console import SluiceError
from sluice.engine import choice
from sluice.engine.containers import ContainerId
from sluice.engine.instance import Instance
from sluice.engine.states import saving
from sluice.engine.states.files import LAST
from sluice.processes import ProcessId


def run(instance: Instance, engine: ProcessId | ContainerId, every: float) -> None:
    """Saves until the engine ends. What goes wrong is logged, and tried again the next time."""
    while engine.alive():
        if not _ends_within(engine, every * 60):
            print(f"{datetime.now(UTC).isoformat(timespec='seconds')} {save(instance, engine)}", flush=True)


def _ends_within(engine: ProcessId | ContainerId, seconds: float) -> bool:
    try:
        if isinstance(engine, ContainerId):
            command = ["docker", "wait", engine.container]
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False)
        elif (process := engine.process()) is not None:
            process.wait(seconds)
    except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
        return False
    return True


def save(instance: Instance, engine: ProcessId | ContainerId) -> str:
    """Saves once, as long as the instance's engine is this one. Returns what there is to say."""
    try:
        with instance.lock():
            info = instance.info()
            if info is None or info.engine != engine or not engine.alive():
                return "the engine is another one"
            saved = saving.save(instance, info, LAST, choice.reach(instance, info))
    except (SluiceError, OSError) as error:
        return f"not saved: {error}"
    return f"saved in {saved.seconds} s, calls waited {saved.paused_seconds} s"


def identity_of(words: list[str]) -> ProcessId | ContainerId:
    """The engine that the command line names."""
    server, started = words
    return ProcessId(int(server), float(started)) if server.isdigit() and len(server) < 20 else ContainerId(*words)


if __name__ == "__main__":
    run(Instance(Path(sys.argv[1])), identity_of(sys.argv[3:]), float(sys.argv[2]))
