"""How fast this machine is at the moment: a fixed amount of work, timed before and after each measurement.

Machines that are shared drift by a factor of two within minutes, so a figure alone says little about the code. The work
resembles that of the pipeline and uses the standard library only: 40,000 JSON rows are parsed, changed, written again,
hashed and compressed, by one process for each processor at the same time, as the measurements use all of them. Its time
is the mean of the processes' seconds, about 0.4 s on the machine that the targets were chosen on.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
import zlib
from pathlib import Path

from sluice.console import fail

ROWS, ROUNDS = 2_000, 20
DRIFT = 1.2
"""A machine whose two calibrations differ by more than this factor changed during the measurement."""


def seconds(processes: int | None = None) -> float:
    """The calibration now. Raises SluiceError when a process fails."""
    count = processes or processors()
    command = [sys.executable, "-I", str(Path(__file__).resolve())]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    answers = [(process.communicate()[0], process.returncode) for process in running]
    if any(code for _, code in answers):
        fail("the calibration loop failed", 1)
    return statistics.mean(float(text) for text, _ in answers)


def processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def work() -> str:
    """The work; returns a digest, so that nothing of it can be left out."""
    digest = hashlib.sha256()
    lines = [
        json.dumps({"id": f"SH-{n:06d}", "at": f"2026-03-01T{n % 24:02d}:00:00Z", "weight": n * 0.37, "tags": ["a", n]})
        for n in range(ROWS)
    ]
    for number in range(ROUNDS):
        rows = [json.loads(line) for line in lines]
        for row in rows:
            row["round"], row["weight"] = number, round(row["weight"] * 1.1, 3)
        body = "\n".join(json.dumps(row, sort_keys=True) for row in rows).encode()
        digest.update(zlib.compress(body, 1))
        digest.update(body)
    return digest.hexdigest()


def main() -> None:
    """Times the work in this process and prints the seconds."""
    began = time.perf_counter()
    work()
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
