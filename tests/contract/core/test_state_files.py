"""The files of saved states: a process that is killed while saving leaves the last good state."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine_harness import ROOT

sys.path.insert(0, str(ROOT / "localstack/extension"))
from sluice_ext.state import files

WORKER = Path(__file__).with_name("state_worker.py")


def save(folder: Path, generation: str, last: int = 0) -> int | None:
    """Save in a process of its own. Returns the number of changes it made; None when it was killed."""
    command = [sys.executable, str(WORKER), str(folder), generation, str(last)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode == -9:
        return None
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def complete(folder: Path) -> dict[str, Any]:
    """The manifest; asserts that every content it names is there and right."""
    manifest = files.read_manifest(folder)
    objects = files.Objects(folder.parent / "objects")
    wrong = [text for _, digest, size in files.named_contents(manifest) if (text := objects.verify(digest, size))]
    assert not wrong
    return manifest


def test_a_kill_at_any_step_leaves_the_old_or_the_new_state(tmp_path: Path) -> None:
    folder = tmp_path / "states" / "one"
    save(folder, "old")
    count = save(folder, "new")
    assert count is not None
    assert count > 15
    outcomes = []
    for last in range(1, count + 1):
        save(folder, "old")
        killed = save(folder, "new", last) is None
        outcomes.append(complete(folder)["generation"])
        assert killed
    assert outcomes == sorted(outcomes, reverse=True)  # old until the manifest is renamed, new from then on
    assert set(outcomes) == {"old", "new"}
    # What killed processes left is gone with the next save.
    save(folder, "new")
    names = {digest for _, digest, _ in files.named_contents(complete(folder))}
    left = {p.name for p in (folder.parent / "objects").rglob("*") if p.is_file()}
    assert left == names
    assert [p.name for p in folder.iterdir()] == ["manifest.json"]


def test_states_share_contents_and_keep_each_others(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    save(first, "old")
    objects = tmp_path / "objects"
    before = {p.name for p in objects.rglob("*") if p.is_file()}
    save(second, "new")
    assert complete(first)["generation"] == "old"
    assert complete(second)["generation"] == "new"
    assert len({p.name for p in objects.rglob("*") if p.is_file()}) == 2 * len(before) - 1


def test_nothing_is_removed_while_a_manifest_cannot_be_read(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    save(first, "old")
    text = (first / "manifest.json").read_text()
    (first / "manifest.json").write_text(text[:-20])
    save(second, "new")
    (first / "manifest.json").write_text(text)
    assert complete(first)["generation"] == "old"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[:-30], "is cut"),
        (lambda text: text[:0], "is cut"),
        (lambda text: text.replace("only", "0nly").replace('"old"', '"0ld"'), "is altered"),
        (lambda text: json.dumps([text]), "is cut"),
    ],
)
def test_a_damaged_manifest_is_named(tmp_path: Path, damage: Callable[[str], str], said: str) -> None:
    save(tmp_path / "one", "old")
    path = tmp_path / "one" / "manifest.json"
    path.write_text(damage(path.read_text()))
    with pytest.raises(ValueError, match=said) as error:
        files.read_manifest(path.parent)
    assert str(path) in str(error.value)


def test_damaged_contents_are_found(tmp_path: Path) -> None:
    save(tmp_path / "one", "old")
    objects = files.Objects(tmp_path / "objects")
    (name, digest, size), *_ = files.named_contents(complete(tmp_path / "one"))
    assert name == "stores"
    path = objects.path(digest)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert "bytes instead of" in objects.verify(digest, size)
    path.write_bytes(content[:-1] + b"x")
    assert "altered" in objects.verify(digest, size)
    path.unlink()
    assert "cannot be read" in objects.verify(digest, size)


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    objects = files.Objects(tmp_path / "objects")

    def pieces() -> Iterator[bytes]:
        yield b"the first piece"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        objects.add(pieces())
    assert list((tmp_path / "objects").iterdir()) == []


def test_only_one_process_saves_into_a_folder(tmp_path: Path) -> None:
    first, second = files.Objects(tmp_path / "objects"), files.Objects(tmp_path / "objects")
    with first.locked(), pytest.raises(files.InUse, match=str(tmp_path)), second.locked():
        pass
    with second.locked():
        pass
