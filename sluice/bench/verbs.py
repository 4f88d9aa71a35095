"""How long a verb of the command line takes, from the shell's side."""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Iterator

from sluice.bench import stage
from sluice.engine.instance import Instance
from sluice.paths import HOST_ENV, ROOT

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


def measure(instance: Instance) -> Iterator[tuple[tuple[str, ...], float]]:
    """Each verb with the median seconds of some runs on a deployed stack, after one that is not counted."""
    environment = stage.own_environment(instance)
    for words in VERBS:

        def run(words: tuple[str, ...] = words) -> None:
            command = [str(HOST_ENV / "bin" / "sluice"), *words]
            subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)

        run()
        yield words, statistics.median(stage.timed(run) for _ in range(TIMES))
