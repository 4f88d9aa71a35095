"""--additional-python-modules: what is installed for one run, and what later runs share."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from sluice_ext import settings
from sluice_ext.glue.jobs import modules
from sluice_ext.glue.jobs.environments import NotRunnable

PYTHON = Path("/runtimes/glue-spark/bin/python")


class Installer:
    """Stands for the program of set-up: writes a file into the folder."""

    def __init__(self) -> None:
        self.calls: list[Sequence[str]] = []
        self.code = 0

    def __call__(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        assert name == "modules.py"
        self.calls.append(words)
        folder = Path(words[1])
        folder.mkdir(parents=True)
        (folder / "module.py").touch()
        return subprocess.CompletedProcess([], self.code, stdout="no such version\n")


@pytest.fixture
def installer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installer:
    made = Installer()
    monkeypatch.setattr(modules, "set_up_program", made)
    monkeypatch.setattr(settings, "RUNTIMES_DIR", str(tmp_path / "runtimes"))
    monkeypatch.setattr(settings, "SETUP", "/setup")
    monkeypatch.setattr(settings, "GLUE_WHEELS", "")
    return made


def install(folder: Path, wanted: str, options: str = "") -> Path:
    arguments = {"--additional-python-modules": wanted, "--python-modules-installer-option": options}
    [found] = modules.install(arguments, PYTHON, folder, lambda uri, place: place / Path(uri).name)
    assert (Path(found) / "module.py").exists()
    return Path(found)


def test_modules_with_versions_are_installed_once_whatever_their_order(installer: Installer, tmp_path: Path) -> None:
    places = {install(tmp_path / run, wanted) for run, wanted in (("a", "x==1.0,y==2.1"), ("b", "y==2.1, x==1.0"))}
    assert len(places) == len(installer.calls) == 1
    assert places.pop().is_relative_to(settings.RUNTIMES_DIR)
    assert install(tmp_path / "c", "x==1.1,y==2.1") != install(tmp_path / "d", "x==1.0,y==2.1")
    assert len(installer.calls) == 2


@pytest.mark.parametrize(
    ("wanted", "options"), [("x", ""), ("x>=1", ""), ("x==1.*", ""), ("s3://b/x.whl", ""), ("x==1.0", "--pre")]
)
def test_others_are_installed_for_each_run(installer: Installer, tmp_path: Path, wanted: str, options: str) -> None:
    places = [install(tmp_path / run, wanted, options) for run in "ab"]
    assert places == [tmp_path / run / "installed" for run in "ab"]
    assert len(installer.calls) == 2


def test_a_failed_installation_leaves_nothing_and_the_next_run_tries_again(
    installer: Installer, tmp_path: Path
) -> None:
    installer.code = 1
    with pytest.raises(NotRunnable, match="--additional-python-modules x==9: no such version"):
        install(tmp_path / "a", "x==9")
    assert list((Path(settings.RUNTIMES_DIR) / "glue-modules").iterdir()) == []
    installer.code = 0
    install(tmp_path / "b", "x==9")
    assert len(installer.calls) == 2


def test_of_two_runs_that_install_at_once_one_is_used(
    installer: Installer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slower(name: str, *words: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(modules, "set_up_program", installer)
        install(tmp_path / "b", "x==1")
        return installer(name, *words)

    monkeypatch.setattr(modules, "set_up_program", slower)
    place = install(tmp_path / "a", "x==1")
    assert list(place.parent.iterdir()) == [place]
