"""PostgreSQL's volume beside a saved state: restored from a dump, known to be of one moment.

In the volume, which is a data folder of PostgreSQL's image:
    .sluice-new         the data that a restore makes
    .sluice-before      the data that a restore replaced, until the engine runs with the new
    .sluice-moving      the same, while it is being moved there or back

<home>/docker.postgres.belongs    checksum of the saved state that the data belongs to, and the fingerprint of the data
<home>/docker.postgres.restoring  there while a restore is not final
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sluice.console import fail
from sluice.engine import dumping
from sluice.engine.containers import ContainerId, DockerError, docker
from sluice.engine.docker.compose import Project
from sluice.engine.instance import EngineInfo, Instance
from sluice.polling import wait_until

DATA = "/var/lib/postgresql/data"
_NEW, _BEFORE = f"{DATA}/.sluice-new", f"{DATA}/.sluice-before"
_START_SECONDS = 90.0
_STOP_SECONDS = 30
_SHUT_DOWN = "1"
# pg_control changes with every start, and says whether the server was shut down: `state` is at byte 16 in every version
# (https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_control.h).
_FINGERPRINT = f"cd {DATA}/global; od -An -tu4 -j16 -N4 pg_control; sha256sum pg_control"
# Of what busybox has, too. The volume itself cannot be renamed, so each entry is; a kill at any step is undone by UNDO.
_MOVE = '-exec sh -c \'to=$1; shift; mv "$@" "$to/"\' mv'
_OWN = "-mindepth 1 -maxdepth 1 ! -name '.sluice-*'"
SWAP = f"""
mkdir .sluice-moving
find . {_OWN} {_MOVE} .sluice-moving {{}} +
mv .sluice-moving .sluice-before
find .sluice-new -mindepth 1 -maxdepth 1 {_MOVE} . {{}} +
rmdir .sluice-new
chown "$(stat -c %u:%g PG_VERSION)" .
chmod 700 .
"""
UNDO = f"""
rm -rf .sluice-new
if [ -d .sluice-before ]; then
  find . {_OWN} -exec rm -rf {{}} +
  mv .sluice-before .sluice-moving
fi
if [ -d .sluice-moving ]; then
  find .sluice-moving -mindepth 1 -maxdepth 1 {_MOVE} . {{}} +
  rmdir .sluice-moving
fi
"""


def client(container: str, password: str) -> dumping.Client:
    """The programs of the server's own image, in its container. The password is not on the command line."""
    prefix = ("docker", "exec", "-i", "-e", "PGPASSWORD", "-e", "PGCLIENTENCODING=UTF8", container)
    return dumping.Client(prefix, "", ("--host=127.0.0.1", "--port=5432"), {**os.environ, "PGPASSWORD": password})


def dump(info: EngineInfo, target: Path) -> None:
    """Writes everything that the running server holds into a file. Raises SluiceError when it cannot."""
    assert isinstance(info.postgres, ContainerId)
    dumping.dump(client(info.postgres.container, info.postgres_password), info, target)


@dataclass(frozen=True)
class Data:
    """PostgreSQL's volume of an instance (see `sluice.engine.keeping.Database`). No server uses it meanwhile."""

    instance: Instance
    project: Project

    def mark(self, checksum: str) -> None:
        """Says that the data, whose server was shut down, belongs to the saved state with this checksum."""
        if fingerprint := self._fingerprint():
            partial = self._mark.with_suffix(".part")
            partial.write_text(f"{checksum} {fingerprint}")
            partial.replace(self._mark)

    def unmark(self) -> None:
        """The data goes its own way from now on."""
        self._mark.unlink(missing_ok=True)

    def belongs(self, checksum: str) -> bool:
        try:
            of, _, fingerprint = self._mark.read_text().partition(" ")
        except OSError:
            return False
        return of == checksum and fingerprint == self._fingerprint()

    def restore(self, source: Path) -> None:
        self.undo()
        self._restoring.touch()
        try:
            self._fill(source)
        except BaseException:
            self.undo()
            raise
        self.unmark()
        self.project.once(f"cd {DATA}\n{SWAP}")

    def undo(self) -> None:
        if self._restoring.exists():
            self.project.remove_one_offs()
            self.project.once(f"cd {DATA}\n{UNDO}")
            self._restoring.unlink()

    def finish(self) -> None:
        """Called when the server runs again."""
        if self._restoring.exists():
            docker("exec", self.project.found()["postgres"]["Id"], "rm", "-rf", _BEFORE)
            self._restoring.unlink()

    def _fill(self, source: Path) -> None:
        """The image itself makes the data, with a server that only we reach."""
        environment = self.project.resolved()["services"]["postgres"]["environment"]
        name = f"{self.project.name}-postgres-restoring"
        flags = ("-d", "--no-deps", "--name", name, "-e", f"PGDATA={_NEW}")
        self.project.compose("run", *flags, "postgres")
        try:
            if not wait_until(lambda: _answers(name), _START_SECONDS):
                fail(f"PostgreSQL did not start to restore its data: {_last_line(name)}", 1)
            dumping.restore(client(name, str(environment["POSTGRES_PASSWORD"])), source)
            docker("stop", "--time", str(_STOP_SECONDS), name)
        finally:
            self.project.remove_one_offs()

    def _fingerprint(self) -> str:
        """Of data whose server was shut down; empty otherwise."""
        try:
            state, digest = self.project.once(_FINGERPRINT).split()[:2]
        except (DockerError, ValueError):
            return ""  # no data, or another image's
        return digest if state == _SHUT_DOWN else ""

    @property
    def _mark(self) -> Path:
        return self.instance.home / "docker.postgres.belongs"

    @property
    def _restoring(self) -> Path:
        return self.instance.home / "docker.postgres.restoring"


def _answers(container: str) -> bool:
    """By TCP: while the image makes its data, a server that is not for users answers on the socket."""
    command = ["docker", "exec", container, "pg_isready", "-q", "-h", "127.0.0.1", "-U", dumping.SUPERUSER]
    return (
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False).returncode == 0
    )


def _last_line(container: str) -> str:
    lines = docker("logs", "--tail", "5", container, both=True).strip().splitlines()
    return lines[-1] if lines else "its log is empty"
