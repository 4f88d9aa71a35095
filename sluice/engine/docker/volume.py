"""Saved states of the Docker engine: the engine reads and writes them in its volume, the host copies what it lacks.

The host's copies (<home>/states) count, so that a snapshot loads on either engine. In the volume:

<FILESYSTEM_ROOT>/states/objects         contents by their SHA-256
<FILESYSTEM_ROOT>/states/saved           the state that was saved last
<FILESYSTEM_ROOT>/states/restore         the state that the engine restores when it starts (SLUICE_STATE)
<FILESYSTEM_ROOT>/states/offered         files of the host's, for one save
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sluice.console import fail
from sluice.engine.containers import COPY_SECONDS, ContainerId, docker, reading, writing
from sluice.engine.docker import database
from sluice.engine.instance import EngineInfo, Instance
from sluice.engine.states import archive, client
from sluice.engine.states.files import MANIFEST, OBJECTS, Manifest, States

FILESYSTEM_ROOT = "/var/lib/localstack"
FOLDER = f"{FILESYSTEM_ROOT}/states"
SAVED, RESTORE, OFFERED = "saved", "restore", "offered"
USER = 10001  # the engine's, in localstack/Dockerfile


@dataclass(frozen=True)
class Volume:
    """The saved states of one instance, and the volume of its container (see `sluice.engine.states.saving.Reach`)."""

    states: States
    container: str
    objects: str = f"{FOLDER}/{OBJECTS}"
    hold_seconds: float = COPY_SECONDS

    @classmethod
    def of(cls, instance: Instance, info: EngineInfo) -> Volume:
        """Of the engine that runs. Raises SluiceError (code 1) for a LocalStack without the extension."""
        assert isinstance(info.engine, ContainerId)
        if "sluice_ext" not in info.versions:
            fail("this LocalStack is without Sluice's extension, and cannot save what it holds", 1)
        return cls(States(instance.states_dir), info.engine.container)

    def folder(self, name: str) -> str:
        del name  # it gets its name here
        return f"{FOLDER}/{SAVED}"

    def dump(self, info: EngineInfo, target: Path) -> None:
        database.dump(info, target)

    def offer(self, files: Mapping[str, Path]) -> dict[str, str]:
        for path in files.values():
            self.states.add(path)  # so that `fetch` need not copy it back
        self._send((f"{OFFERED}/{name}", path) for name, path in files.items())
        return {name: f"{FOLDER}/{OFFERED}/{name}" for name in files}

    def fetch(self, name: str) -> None:
        text = docker("exec", self.container, "cat", f"{FOLDER}/{SAVED}/{MANIFEST}").encode()
        docker("exec", self.container, "rm", "-rf", f"{FOLDER}/{OFFERED}")
        manifest = Manifest.parse(text, f"{MANIFEST} in container {self.container[:12]}")
        with self.states.locked():
            missing = {archive.member_of(one): one for one in manifest.contents if not self.states.has(one)}
            names = "".join(f"{name}\n" for name in missing).encode()
            if missing:
                with reading(
                    "exec", "-i", self.container, "tar", "-C", FOLDER, "-cf", "-", "-T", "-", given=names
                ) as said:
                    archive.receive(self.states, missing, said)
            self.states.write(name, text)
            self.states.remove_unused()

    def check(self, info: EngineInfo, name: str) -> None:
        self.send(name)
        try:
            client.check(info, f"{FOLDER}/{RESTORE}")
        finally:
            self.forget()

    def send(self, name: str) -> None:
        """Copies a state to where the engine restores it when it starts; the container may be stopped."""
        manifest = self.states.get(name)
        contents = [(archive.member_of(one), self.states.content(one)) for one in manifest.contents]
        self._send([*contents, (f"{RESTORE}/{MANIFEST}", self.states.path(name) / MANIFEST)])

    def forget(self) -> None:
        """A container that is started again by itself begins empty: PostgreSQL has gone on."""
        docker("exec", self.container, "rm", "-rf", f"{FOLDER}/{RESTORE}")

    def _send(self, files: Iterable[tuple[str, Path]]) -> None:
        folders: set[str] = set()
        with (
            writing("cp", "-", f"{self.container}:{FILESYSTEM_ROOT}") as target,
            tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        ):
            for name, path in files:
                _add_folders(tar, f"states/{name}", folders)
                tar.add(path, f"states/{name}", recursive=False, filter=_of_engine)


def _add_folders(tar: tarfile.TarFile, name: str, known: set[str]) -> None:
    for folder in reversed(Path(name).parents):
        if str(folder) not in known and folder != Path():
            known.add(str(folder))
            member = tarfile.TarInfo(str(folder))
            member.type, member.mode = tarfile.DIRTYPE, 0o700
            tar.addfile(_of_engine(member))


def _of_engine(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """The engine's own, with nothing of this machine."""
    member.uid = member.gid = USER
    member.uname = member.gname = ""
    member.mode = 0o700 if member.isdir() else 0o600
    return member
