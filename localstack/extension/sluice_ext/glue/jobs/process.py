"""The process of a run, and what it starts. Linux only (the engine needs /proc)."""

import contextlib
import subprocess
import threading
from pathlib import Path

from sluice_ext import processes

_alive: set["JobProcess"] = set()
_lock = threading.Lock()


class JobProcess:
    """A process and the session that it leads. ``output`` and ``errors`` are descriptors to be read and closed."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        self._process = processes.start(
            command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self.output, self.errors = self._process.stdout, self._process.stderr
        with _lock:
            _alive.add(self)

    def wait(self, seconds: float) -> int | None:
        """Its exit status (negative = signal), or None when it still runs after this time."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """Kill it and everything in its session."""
        processes.kill(self._process)
        with _lock:
            _alive.discard(self)

    def memory(self) -> int:
        """Bytes that the process and those that it started have for themselves now."""
        return sum(map(processes.own_memory, _family(self._process.pid)))


def _family(pid: int) -> list[int]:
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                with contextlib.suppress(OSError):
                    waiting += map(int, (task / "children").read_text().split())
    return found


def kill_all() -> None:
    """Kill the processes of all runs; called when the engine stops."""
    with _lock:
        found = list(_alive)
    for process in found:
        process.kill()
