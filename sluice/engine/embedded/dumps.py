"""PostgreSQL's data beside a saved state: dumped as SQL, restored into a new data folder, known to be of one moment.

<home>/postgres             the server's data
<home>/postgres.belongs     checksum of the saved state that the data belongs to: the server was shut down with it
<home>/postgres.before      the data that a restore replaced, until the engine runs with the new
<home>/postgres.part        the data that a restore makes
"""

from __future__ import annotations

import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from sluice.console import fail
from sluice.engine import dumping, ports, servers
from sluice.engine.embedded import localstack, postgres
from sluice.engine.instance import HOST, EngineInfo, Instance
from sluice.environment import of_machine
from sluice.polling import wait_until
from sluice.processes import ProcessId, stop

_START_SECONDS = 30.0


def dump(info: EngineInfo, target: Path) -> None:
    """Writes roles and all databases of a running server into a file. Raises SluiceError when it cannot."""
    dumping.dump(client(info), info, target)


def client(info: EngineInfo) -> dumping.Client:
    """The engine's own PostgreSQL programs, in this process's environment without what would lead them elsewhere."""
    environment = of_machine() | {
        "PGPASSWORD": info.postgres_password, "PGCONNECT_TIMEOUT": "10", "PGCLIENTENCODING": "UTF8"
    }  # fmt: skip
    server = (f"--host={HOST}", f"--port={info.postgres_port}")
    return dumping.Client((), f"{postgres.binaries()}/", server, environment)


@dataclass(frozen=True)
class Data:
    """The data folder of an instance (see `sluice.engine.keeping.Database`)."""

    instance: Instance

    def mark(self, checksum: str) -> None:
        """Says that the data, whose server was shut down, belongs to the saved state with this checksum."""
        if (self.instance.postgres_dir / "postmaster.pid").exists():
            return  # it was killed, so some of the last commits may be missing
        partial = self._mark.with_suffix(".new")
        partial.write_text(checksum)
        partial.replace(self._mark)

    def unmark(self) -> None:
        """The data goes its own way from now on."""
        self._mark.unlink(missing_ok=True)

    def belongs(self, checksum: str) -> bool:
        try:
            return self._mark.read_text() == checksum
        except OSError:
            return False

    def restore(self, source: Path) -> None:
        self.undo()
        self.unmark()
        making = postgres.make_data(self.instance)
        try:
            self._fill(making, source)
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise
        if self.instance.postgres_dir.exists():
            self.instance.postgres_dir.rename(self._before)
        making.rename(self.instance.postgres_dir)

    def undo(self) -> None:
        if self._before.exists():
            shutil.rmtree(self.instance.postgres_dir, ignore_errors=True)
            self._before.rename(self.instance.postgres_dir)

    def finish(self) -> None:
        shutil.rmtree(self._before, ignore_errors=True)

    def _fill(self, data: Path, source: Path) -> None:
        port, password = ports.any_free(), postgres.ensure_password(self.instance)
        info = EngineInfo(port=0, postgres_port=port, postgres_password=password, started_at="", faults=False,
                          engine=ProcessId(0, 0), postgres=ProcessId(0, 0))  # fmt: skip
        self.instance.logs_dir.mkdir(parents=True, exist_ok=True)  # a home that is new
        server = postgres.start(self.instance, port, localstack.base_environment(self.instance), data=data)
        try:
            if not wait_until(
                lambda: server.poll() is not None or servers.postgres_version(port, password), _START_SECONDS
            ) or server.poll() is not None:  # fmt: skip
                fail(f"PostgreSQL did not start to restore its data: see {self.instance.logs_dir / 'postgres.log'}", 1)
            dumping.restore(client(info), source)
        finally:
            if server.poll() is None:
                stop([ProcessId.of(server.pid)], first=signal.SIGINT)
            server.wait()

    @property
    def _mark(self) -> Path:
        return self.instance.home / "postgres.belongs"

    @property
    def _before(self) -> Path:
        return self.instance.home / "postgres.before"
