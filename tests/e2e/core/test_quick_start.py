"""The README's quick start, as printed: a copy of the checkout, one shell, and what the reader is shown."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from sluice import engine
from sluice.paths import ROOT
from tests.support.session import kind

SECTION = "Your own file"
CODES = {"sluice check shipments examples/my.csv": 1}
"""Exit codes that the README names; all others are 0."""
DEADLINE = 540  # seconds, set-up included
KEPT = re.compile(
    r"HOME|PATH|LANG|TERM|TMPDIR|USER|(?i:.*_proxy)|PIP_.*|UV_.*|SSL_.*|REQUESTS_.*|TF_CLI_.*|SLUICE_TERRAFORM.*"
)
"""Of the environment: what set-up downloads with, and nothing of an engine or an account."""
MARK = "=== command"


class Step(NamedTuple):
    """A command, and the lines that the reader sees of what it prints: their words are in it, … stands for any."""

    command: str
    seen: list[str]


def steps() -> list[Step]:
    text = (ROOT / "README.md").read_text()
    [section] = re.findall(rf"^## {SECTION}\n(.*?)^## ", text, re.DOTALL | re.MULTILINE)
    [block] = re.findall(r"^```bash\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    found: list[Step] = []
    for line in filter(str.strip, block.splitlines()):
        if line.startswith("# "):
            found[-1].seen.append(line.removeprefix("# ").strip())
        else:
            found.append(Step(re.sub(r"\s+#\s.*$", "", line).strip(), []))
    return found


@pytest.fixture
def checkout() -> Iterator[Path]:
    """What a clone of the working tree has, and nothing that was made in it; its engine is stopped at the end."""
    # PostgreSQL is started as another user when the tests are root's, and could not enter pytest's own folders.
    folder = Path(tempfile.mkdtemp(prefix="sluice-quick-start-"))
    folder.chmod(0o755)
    copy = folder / "sluice"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            target = copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    yield copy
    subprocess.run(["make", "clean"], cwd=copy, env=environment(), capture_output=True, timeout=120, check=False)
    shutil.rmtree(folder, ignore_errors=True)


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)} | {"ENGINE": engine.EMBEDDED}


def test_the_quick_start_has_every_step() -> None:
    found = steps()
    verbs = [" ".join(step.command.split()[:2]) for step in found]
    assert verbs[:2] == ["make up", 'eval "$(.sluice/host/bin/sluice']
    assert {"sluice put", "sluice runs", "sluice quarantine", "sluice query"} <= set(verbs)
    assert [step.command for step in found if not step.seen] == [found[1].command]
    assert set(CODES) <= {step.command for step in found}


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.timeout(DEADLINE + 60, func_only=True)  # it sets up and deploys everything from nothing
def test_the_quick_start_shows_what_it_says(checkout: Path) -> None:
    if kind() != engine.EMBEDDED:
        pytest.skip("starts an engine of its own: the embedded one")
    found = steps()
    script = "".join(
        f"printf '\\n{MARK} {number}\\n'; {step.command}\nprintf '\\n{MARK} {number} code %s, %s s\\n' $? $SECONDS\n"
        for number, step in enumerate(found)
    )
    done = subprocess.run(
        ["bash", "-c", f"exec 2>&1\n{script}"],
        cwd=checkout,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    for number, step in enumerate(found):
        pattern = rf"^{MARK} {number}\n(.*?)^{MARK} {number} code (\d+), (\d+) s$"
        said = re.search(pattern, done.stdout, re.DOTALL | re.MULTILINE)
        assert said, f"{step.command}\n{done.stdout[-3000:]}"
        print(f"{said[3]:>4} s  {step.command}")
        assert int(said[2]) == CODES.get(step.command, 0), f"{step.command}\n{said[1][-3000:]}"
        for line in step.seen:
            missing = [word for word in line.split() if word.rstrip("…") not in said[1]]
            assert missing == [], f"{step.command}: {line!r} is not shown\n{said[1][-3000:]}"
