"""What a run prints, in CloudWatch Logs: <group>/output and <group>/error, one stream a run.

The group belongs to the job's role, as on AWS: a role that may not write logs has none.
"""

import threading
from typing import IO

from sluice_ext.iam import behalf
from sluice_ext.logs.writer import WRITER
from sluice_ext.pausing import GATE

# PutLogEvents takes 256 KB an event.
_MAX_LINE = 200_000


class Output:
    """Reads the pipes of a process and writes their lines as they come."""

    def __init__(self, account: str, region: str, role: str, group: str, stream: str) -> None:
        self._account, self._region, self._role = account, region, role
        self._group, self._stream = group, stream
        self._threads: list[threading.Thread] = []

    def follow(self, pipe: IO[bytes], name: str) -> None:
        """Read a pipe until its end. name: output or error."""
        thread = threading.Thread(target=self._read, args=(pipe, name), name="glue-job-output", daemon=True)
        thread.start()
        self._threads.append(thread)

    def write(self, name: str, text: str) -> None:
        """Write lines of the engine's own."""
        if self._may_write(name):
            WRITER.add(self._account, self._region, f"{self._group}/{name}", self._stream, text)

    def finish(self, seconds: float) -> None:
        """Wait until everything is read, so that a run that has ended has its whole log."""
        for thread in self._threads:
            thread.join(seconds)
        with GATE.work("writing logs"):
            WRITER.flush()

    def _may_write(self, name: str) -> bool:
        return behalf.may_write_log(self._role, self._region, f"{self._group}/{name}", self._stream)

    def _read(self, pipe: IO[bytes], name: str) -> None:
        allowed: bool | None = None
        with pipe:
            while line := pipe.readline(_MAX_LINE):
                if allowed is None:
                    allowed = self._may_write(name)
                if allowed:
                    text = line.decode(errors="replace").rstrip("\r\n")
                    WRITER.add(self._account, self._region, f"{self._group}/{name}", self._stream, text)
