"""Function processes: start, kill, measure. Linux only (the engine needs /proc and pidfd)."""

import contextlib
import os
import shutil
import signal
import threading
from pathlib import Path

from sluice_ext import processes
from sluice_ext.executor import fork_servers

_alive: set["FunctionProcess"] = set()
_lock = threading.Lock()


class FunctionProcess:
    """One function process and the session (process group) it leads."""

    def __init__(self, wanted: fork_servers.Start) -> None:
        """Start it."""
        # The runtime API reads this descriptor and closes it.
        self.output, theirs = os.pipe2(os.O_CLOEXEC)
        try:
            self._process = fork_servers.start(wanted, theirs)
        finally:
            os.close(theirs)
        self.pid: int = self._process.pid
        with _lock:
            _alive.add(self)

    @property
    def running(self) -> bool:
        """Whether the process has not ended yet."""
        return self._process.poll() is None

    def freeze(self) -> None:
        """Stop the process and its children, as Lambda does between two invocations, until `thaw`."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGCONT)

    def kill(self) -> int:
        """Kill the process and everything in its session; returns its exit status (negative = signal)."""
        status = processes.kill(self._process)
        with _lock:
            _alive.discard(self)
        return status

    def exit_status(self) -> int:
        """Exit status of a process that has ended by itself (negative = signal)."""
        return self.kill()

    def peak_memory(self) -> int:
        """Highest resident set so far in bytes (VmHWM), 0 when it cannot be read."""
        return processes.memory(self.pid, "VmHWM")

    def memory(self) -> int:
        """Present resident set in bytes."""
        return processes.memory(self.pid, "VmRSS")

    def cpu_seconds(self) -> float:
        """Processor time of the process so far (s)."""
        return processes.cpu_seconds(self.pid)

    def own_memory(self) -> int:
        """Present resident bytes without those of files, which processes of the same programs share."""
        return processes.own_memory(self.pid)


def alive() -> int:
    """How many function processes there are."""
    with _lock:
        return len(_alive)


def kill_all() -> None:
    """Kill every function process; called when the engine stops."""
    with _lock:
        processes = list(_alive)
    for process in processes:
        process.kill()
    fork_servers.end_all()


def remove_tree(path: Path) -> None:
    """Remove a scratch folder; files that an ending process still uses are no error."""
    shutil.rmtree(path, ignore_errors=True)
