"""What the host copies from the Docker engine, and the scripts that replace PostgreSQL's data in its volume."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sluice.engine.containers import ContainerId, DockerError, reading, writing
from sluice.engine.docker import database
from sluice.engine.instance import Instance
from sluice.engine.keeping import Restore
from sluice.engine.saver import identity_of
from sluice.engine.starting import Chosen
from sluice.engine.states import archive, hostfiles
from sluice.engine.states.files import Damaged, Manifest, States
from sluice.processes import ProcessId
from tests.unit.host.test_states import make

OLD = {"PG_VERSION": "old", "base/1/2": "old rows", ".hidden": "old", "with space/x": "old"}
NEW = {"PG_VERSION": "new", "base/1/3": "new rows", "global/pg_control": "new"}
# Moves one thing after the other, and fails after the n-th.
_MV = """#!/bin/sh
for to; do :; done
while [ $# -gt 1 ]; do
  made=$(cat "$MOVES"); [ "$made" -lt "$LIMIT" ] || exit 1
  echo $((made + 1)) >"$MOVES"
  /bin/mv "$1" "$to" || exit 1
  shift
done
"""


class Data:
    """PostgreSQL's volume as a folder, with data and a new one beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._bin, self._moves = folder / "data", folder / "bin", folder / "moves"
        self._bin.mkdir(parents=True)
        (self._bin / "mv").write_text(_MV)
        (self._bin / "mv").chmod(0o700)
        self.fill("", OLD)
        self.fill(".sluice-new", NEW)

    def fill(self, below: str, files: dict[str, str]) -> None:
        for name, text in files.items():
            place = self.folder / below / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)

    def run(self, script: str, limit: int = 1 << 30) -> tuple[bool, int]:
        """Whether it came to its end, and how many things it moved."""
        self._moves.write_text("0")
        path = {"PATH": f"{self._bin}:{os.environ['PATH']}", "MOVES": str(self._moves), "LIMIT": str(limit)}
        done = subprocess.run(["sh", "-euc", script], cwd=self.folder, env=path, capture_output=True, check=False)
        return done.returncode == 0, int(self._moves.read_text())

    def seen(self, below: str = "") -> dict[str, str]:
        place = self.folder / below
        return {str(path.relative_to(place)): path.read_text() for path in place.rglob("*") if path.is_file()}


def test_a_swap_replaces_the_data_and_an_undo_brings_it_back(tmp_path: Path) -> None:
    data = Data(tmp_path)
    assert data.run(database.SWAP)[0]
    assert data.seen(".sluice-before") == OLD
    assert {name: text for name, text in data.seen().items() if not name.startswith(".sluice-before/")} == NEW
    assert stat.S_IMODE(data.folder.stat().st_mode) == 0o700
    assert data.run(database.UNDO)[0]
    assert data.seen() == OLD


def test_an_undo_without_a_restore_changes_nothing(tmp_path: Path) -> None:
    data = Data(tmp_path)
    for _ in range(2):
        assert data.run(database.UNDO)[0]
        assert data.seen() == OLD


def test_a_swap_killed_at_any_move_is_undone_by_an_undo_killed_at_any_move(tmp_path: Path) -> None:
    steps = Data(tmp_path / "whole").run(database.SWAP)[1]
    assert steps == len({name.split("/")[0] for name in [*OLD]}) + 1 + len({name.split("/")[0] for name in [*NEW]})
    for step in range(steps + 1):
        for killed_again in range(steps + 1):
            data = Data(tmp_path / f"{step}-{killed_again}")
            assert data.run(database.SWAP, limit=step) == (step == steps, step)
            data.run(database.UNDO, limit=killed_again)
            assert data.run(database.UNDO)[0]
            assert data.seen() == OLD, f"swap killed at {step}, undo at {killed_again}"


class Volume:
    """A compose project whose PostgreSQL's volume has this state and this sum of pg_control."""

    def __init__(self, said: str) -> None:
        self.said = said

    def once(self, _script: str) -> str:
        if not self.said:
            raise DockerError("docker compose failed: No such file or directory")
        return self.said


@pytest.mark.parametrize(
    ("saved", "now", "belongs"),
    [
        ("          1\nab12  pg_control\n", "          1\nab12  pg_control\n", True),
        ("          1\nab12  pg_control\n", "          1\nab13  pg_control\n", False),  # a server ran since
        ("          1\nab12  pg_control\n", "          6\nab12  pg_control\n", False),  # and runs, or was killed
        ("          6\nab12  pg_control\n", "          6\nab12  pg_control\n", False),  # it was killed at once
        ("          1\nab12  pg_control\n", "", False),  # the volume is gone
        ("", "", False),
    ],
)
def test_data_belongs_to_a_state_while_no_server_has_run_on_it(
    tmp_path: Path, saved: str, now: str, belongs: bool
) -> None:
    project = Volume(saved)
    data = database.Data(Instance(tmp_path), project)  # type: ignore[arg-type]
    assert not data.belongs("sum")
    data.mark("sum")
    project.said = now
    assert (data.belongs("sum"), data.belongs("other")) == (belongs, False)
    data.unmark()
    project.said = saved
    assert not data.belongs("sum")


def _copied(states: States, manifest: Manifest, alter: int = -1) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for number, one in enumerate(manifest.contents):
            content = bytearray(states.content(one).read_bytes())
            content[0] ^= number == alter
            member = tarfile.TarInfo(archive.member_of(one))
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return made.getvalue()


def test_contents_come_from_a_stream_and_a_cut_altered_or_strange_one_is_refused(tmp_path: Path) -> None:
    there = States(tmp_path / "there")
    manifest = make(there, "one", {"stores": bytes(20_000), "extension": b"e" * 3000})
    missing = {archive.member_of(one): one for one in manifest.contents}
    whole = _copied(there, manifest)
    for number, (stream, wanted, words) in enumerate([
        (whole[:9000], missing, "is cut|unexpected end"),
        (b"", missing, "is cut|empty"),
        (_copied(there, manifest, alter=1), missing, "is altered or cut: its SHA-256 is another"),
        (whole, dict(list(missing.items())[:1]), "does not belong to its snapshot"),
    ]):  # fmt: skip
        here = States(tmp_path / str(number))
        with here.locked(), pytest.raises(Damaged, match=words):
            archive.receive(here, wanted, io.BytesIO(stream))
        assert list(here.objects.glob(".new-*")) == []
    here = States(tmp_path / "whole")
    assert not any(here.has(one) for one in manifest.contents)
    with here.locked():
        archive.receive(here, missing, io.BytesIO(whole))
    assert all(here.has(one) and here.verify(one) == "" for one in manifest.contents)


def test_a_file_of_the_hosts_is_a_content_and_goes_when_no_state_names_it(tmp_path: Path) -> None:
    states = States(tmp_path / "states")
    manifest = make(states, "one", {"stores": b"stores"})
    (tmp_path / "dump").write_bytes(b"SELECT 1;")
    for _ in range(2):
        states.add(tmp_path / "dump")
    contents = sorted(path.read_bytes() for path in states.objects.glob("*/*"))
    assert contents == [b"SELECT 1;", b"stores"]
    with states.locked():
        states.remove_unused()
    assert [path.read_bytes() for path in states.objects.glob("*/*")] == [b"stores"]
    assert states.damage("one", manifest) == ""


def test_a_state_of_the_other_kind_of_engine_has_moved(tmp_path: Path) -> None:
    """Functions find PostgreSQL at another address there."""
    states = States(tmp_path / "states")
    (tmp_path / "addresses").write_text('{"port": 4566, "postgres_port": 5432}')  # as embedded engines wrote it
    states.add(tmp_path / "addresses")
    one = next(states.objects.glob("*/*"))
    attached = {hostfiles.ADDRESSES: {"sha256": one.name, "size": one.stat().st_size}}
    manifest = make(states, "last", {}, attached=attached)
    chosen = Chosen(4566, 5432)
    for kind, moved in (("embedded", False), ("docker", True)):
        restore = Restore(None, kind, None, states, manifest, crashed=False)  # type: ignore[arg-type]
        assert restore.moved(chosen) is moved
        assert restore.moved(Chosen(4567, 5432))


def test_the_engine_beside_which_the_saver_runs() -> None:
    container = "1" * 64  # a hexadecimal number may have decimal digits only
    assert identity_of(["123", "4.5"]) == ProcessId(123, 4.5)
    assert identity_of([container, "2026-01-02T03:04:05Z"]) == ContainerId(container, "2026-01-02T03:04:05Z")


@pytest.fixture
def docker_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\nhead -c 10; echo 'Error: no space left on device' >&2; exit 1\n")
    (tmp_path / "docker").chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


def _write() -> None:
    with writing("cp", "-", "x:/") as target:
        for _ in range(1000):
            target.write(bytes(1 << 16))


def _read() -> None:
    with reading("exec", "x", given=b"0123456789abc") as answer:
        assert answer.read() == b"0123456789"


@pytest.mark.usefixtures("docker_that_fails")
@pytest.mark.parametrize(("copy", "verb"), [(_write, "cp"), (_read, "exec")])
def test_a_copy_that_fails_says_why(copy: Callable[[], None], verb: str) -> None:
    with pytest.raises(DockerError, match=f"docker {verb} failed: Error: no space left"):
        copy()
