"""Processes that the engine starts, each the leader of a session of its own. Linux only (the engine needs /proc)."""

import contextlib
import functools
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

# The kernel ends a process that asks for it with the *thread* that started it (prctl(2), PR_SET_PDEATHSIG), so one
# thread that lives as long as the engine starts all of them.
_STARTER = ThreadPoolExecutor(1, thread_name_prefix="process-starter")


def start(command: list[str], **options: Any) -> subprocess.Popen[Any]:
    """Start a command in a new session. options: those of subprocess.Popen."""
    return _STARTER.submit(functools.partial(subprocess.Popen, command, start_new_session=True, **options)).result()


def kill(process: Any) -> int:
    """Kill a process (a Popen, or what has its methods) and everything in its session.

    Returns its exit status (negative = signal).
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.poll() is None:
        process.kill()
    return int(process.wait())


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far (s); 0 when it cannot be read. https://man7.org/linux/man-pages/man5/proc.5.html"""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0


def own_memory(pid: int) -> int:
    """Present resident bytes without those of files, which processes of the same programs share."""
    return memory(pid, "RssAnon") + memory(pid, "RssShmem")


def memory(pid: int, name: str) -> int:
    """A figure of /proc/<pid>/status in bytes, such as VmRSS; 0 when it cannot be read."""
    try:
        with Path(f"/proc/{pid}/status").open("rb") as file:
            for line in file:
                if line.startswith(f"{name}:".encode()):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return 0
