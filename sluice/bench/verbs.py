"""How long a verb of the command line takes, from the shell's side."""

from __future__ import annotations

import os
import statistics
import subprocess
from collections.abc import Iterator

from sluice.bench.stage import timed
from sluice.engine.instance import Instance
from sluice.paths import HOME_VARIABLE, HOST_ENV, ROOT

VERBS = (
    ("--version",),
    ("--help",),
    ("outputs",),
    ("env",),
    ("status",),
    ("runs",),
    ("dlq", "ls"),
    ("quarantine", "ls"),
    ("verify",),
)
TIMES = 5
_OTHERS = ("AWS_ENDPOINT_URL", "PYTHONDONTWRITEBYTECODE")  # another engine's, and what would compile us each time


def measure(instance: Instance) -> Iterator[tuple[tuple[str, ...], float]]:
    """Each verb with the median seconds of some runs on a deployed stack, after one that is not counted."""
    environment = {name: value for name, value in os.environ.items() if name not in _OTHERS}
    environment[HOME_VARIABLE] = str(instance.home)
    for words in VERBS:

        def run(words: tuple[str, ...] = words) -> None:
            command = [str(HOST_ENV / "bin" / "sluice"), *words]
            subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)

        run()
        yield words, statistics.median(timed(run) for _ in range(TIMES))
