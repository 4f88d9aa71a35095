"""Completion in a shell: the script that the shell loads, and what it answers to half a command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sluice import cli
from sluice.paths import DATASETS_DIR, ROOT

cli.register_verbs()
VERBS = [verb.name for verb in cli.find_verbs()]
DATASETS = sorted(file.stem for file in DATASETS_DIR.glob("*.yaml"))


def complete(words: str) -> list[str]:
    """What bash is offered after these words; the last one is what is half typed."""
    count = len(words.split(" ")) - 1
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-m", "sluice.cli"], cwd=ROOT, capture_output=True, text=True, check=True,
        env=kept | {"_SLUICE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(count)},
    )  # fmt: skip
    return done.stdout.split()


def test_verbs_are_completed() -> None:
    assert sorted(complete("sluice ")) == sorted(VERBS)
    assert sorted(complete("sluice de")) == ["demo", "deploy", "destroy", "dev"]
    assert complete("sluice nope") == []


@pytest.mark.parametrize("verb", ["verify", "replay", "runs"])
def test_names_of_datasets_are_completed(verb: str) -> None:
    assert complete(f"sluice {verb} --dataset ") == DATASETS
    first = DATASETS[0]
    assert first in complete(f"sluice {verb} --dataset {first[:3]}")


def test_options_are_completed() -> None:
    assert "--dataset" in complete("sluice verify --d")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_asks_sluice(shell: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.run(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert f"_SLUICE_COMPLETE=complete_{shell}" in script
    if shutil.which(shell):
        file = tmp_path / "script"
        file.write_text(script)
        subprocess.run([shell, "-n", str(file)], check=True)


def test_another_shell_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["completion", "tcsh"]) == 2
    assert capsys.readouterr().err == "sluice: shell 'tcsh' is not known: use bash, zsh or fish\n"
