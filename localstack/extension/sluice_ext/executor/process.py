"""Function processes: start, kill, measure. Linux only (the engine needs /proc and pidfd)."""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

from sluice_ext import processes
from sluice_ext.executor.isolation import BOOTSTRAP

_alive: set["FunctionProcess"] = set()
_lock = threading.Lock()


class FunctionProcess:
    """One function process and the session (process group) it leads."""

    def __init__(
        self, interpreter: Path, environment: dict[str, str], folders: list[str], keep: list[str], handler: str
    ):
        """Start it. ``folders`` become its /tmp, /var/task and /opt ("": none); ``keep``: what it must still see."""
        arguments = [str(os.getpid()), *folders, os.pathsep.join(keep), handler]
        command = [str(interpreter), "-s", str(BOOTSTRAP), *arguments]
        self._process = processes.start(
            command,
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.pid = self._process.pid
        assert self._process.stdout is not None
        # The runtime API reads this descriptor and closes it.
        self.output = os.dup(self._process.stdout.fileno())
        self._process.stdout.close()
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


def remove_tree(path: Path) -> None:
    """Remove a scratch folder; files that an ending process still uses are no error."""
    shutil.rmtree(path, ignore_errors=True)
