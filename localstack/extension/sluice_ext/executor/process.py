"""Function processes: start, kill, measure. Linux only (the engine needs /proc and pidfd)."""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_BOOTSTRAP = Path(__file__).with_name("bootstrap.py")

# A process asks to be killed when the *thread* that started it ends (prctl(2), PR_SET_PDEATHSIG), so all are started by
# one thread that lives as long as the engine.
_STARTER = ThreadPoolExecutor(1, thread_name_prefix="lambda-process-starter")
_alive: set["FunctionProcess"] = set()
_lock = threading.Lock()


class FunctionProcess:
    """One function process and the session (process group) it leads."""

    def __init__(self, interpreter: Path, environment: dict[str, str], handler: str, tmp: Path | None, keep: list[str]):
        """Start it. ``tmp`` becomes its /tmp; ``keep`` are folders below /tmp it must still see."""
        arguments = [str(os.getpid()), str(tmp or ""), os.pathsep.join(keep), handler]
        command = [str(interpreter), "-s", str(_BOOTSTRAP), *arguments]
        self._process = _STARTER.submit(self._start, command, environment).result()
        self.pid = self._process.pid
        assert self._process.stdout is not None
        # The descriptor goes to the runtime API, which reads and closes it.
        self.output = os.dup(self._process.stdout.fileno())
        self._process.stdout.close()
        with _lock:
            _alive.add(self)

    @staticmethod
    def _start(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def running(self) -> bool:
        """Whether the process has not ended yet."""
        return self._process.poll() is None

    def kill(self) -> int:
        """Kill the process and everything in its session; returns its exit status (negative = signal)."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        if self._process.poll() is None:
            self._process.kill()
        status = self._process.wait()
        with _lock:
            _alive.discard(self)
        return status

    def exit_status(self) -> int:
        """Exit status of a process that has ended by itself (negative = signal)."""
        return self.kill()

    def peak_memory(self) -> int:
        """Highest resident set so far in bytes (VmHWM), 0 when it cannot be read."""
        return self._status("VmHWM")

    def memory(self) -> int:
        """Present resident set in bytes."""
        return self._status("VmRSS")

    def _status(self, name: str) -> int:
        try:
            with Path(f"/proc/{self.pid}/status").open("rb") as file:
                for line in file:
                    if line.startswith(name.encode()):
                        return int(line.split()[1]) * 1024
        except (OSError, ValueError, IndexError):
            pass
        return 0


def alive() -> int:
    """How many function processes there are."""
    with _lock:
        return len(_alive)


def kill_all() -> None:
    """Kill every function process; for the engine's shut-down."""
    with _lock:
        processes = list(_alive)
    for process in processes:
        process.kill()


def remove_tree(path: Path) -> None:
    """Remove a scratch folder; a file that a dying process still holds is no reason to fail."""
    shutil.rmtree(path, ignore_errors=True)
