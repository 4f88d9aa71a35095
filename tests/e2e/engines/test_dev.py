"""Saved changes of code and datasets: `sluice dev` serves them and leaves an empty plan, and so does one function's
deployment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sluice.polling import poll
from tests.support.core_stack import STACK, CoreStack, counts, new_file, replaced

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("embedded_only")]

SECONDS = 60
ENTRY = '"reason": first.reason,'
"""In the code that writes rejected rows."""


class Dev:
    """A session of `sluice dev`, and what it has said."""

    def __init__(self, process: subprocess.Popen[bytes], said: Path) -> None:
        self.process, self._said = process, said

    def lines(self) -> list[str]:
        return self._said.read_text().splitlines()

    def wait_for(self, words: str) -> None:
        """Until a line has these words. No second line may."""
        poll(lambda: self._count(words) or self.process.poll() is not None, seconds=SECONDS)
        assert self._count(words) == 1, self.lines()

    def _count(self, words: str) -> int:
        return sum(words in line for line in self.lines())

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(5 * SECONDS)


@contextmanager
def dev(stack: CoreStack, said: Path) -> Iterator[Dev]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with said.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "sluice.cli", "dev"], cwd=stack.root,
            env=kept | {"ENGINE": "embedded", "PYTHONPATH": str(stack.root), "COLUMNS": "400"},
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield Dev(process, said)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def rejected(stack: CoreStack, file: Path) -> dict[str, Any]:
    [row] = json.loads(stack.run("quarantine", "show", file.name, "--json"))
    return dict(row)


def test_saved_code_and_datasets_are_served_and_the_plan_is_empty(core_stack: CoreStack, tmp_path: Path) -> None:
    code = core_stack.root / "lambdas/core/transform/quarantine.py"
    yaml = core_stack.root / "datasets/shipments.yaml"
    files = [new_file(tmp_path) for _ in range(4)]
    with dev(core_stack, tmp_path / "said") as session:
        session.wait_for("watching lambdas/ and datasets/")
        with replaced(code, ENTRY, f'{ENTRY} "code": "saved",'):
            session.wait_for("transform in service")
            assert counts(core_stack.put(files[0], "d0", 250)) == (0, 1)
            assert rejected(core_stack, files[0])["code"] == "saved"

            with replaced(yaml, "min: 0, max: 200", "min: 0, max: 300"):
                session.wait_for("datasets version")
                assert counts(core_stack.put(files[1], "d1", 250)) == (1, 0)
                assert session.interrupt() == 0, session.lines()
                assert "dev     the plan is empty again" in session.lines()
                core_stack.no_change_is_planned()
                assert counts(core_stack.put(files[2], "d2", 250)) == (1, 0)
    core_stack.deploy()
    assert counts(core_stack.put(files[3], "d3", 250)) == (0, 1)
    assert "code" not in rejected(core_stack, files[3])


def test_the_deployment_after_a_killed_session_has_the_files_as_they_are(core_stack: CoreStack, tmp_path: Path) -> None:
    code = core_stack.root / "lambdas/core/transform/quarantine.py"
    yaml = core_stack.root / "datasets/shipments.yaml"
    file = new_file(tmp_path)
    with dev(core_stack, tmp_path / "said") as session:
        session.wait_for("watching lambdas/ and datasets/")
        with replaced(code, ENTRY, f'{ENTRY} "code": "saved",'), replaced(yaml, "min: 0, max: 200", "min: 0, max: 300"):
            session.wait_for("transform in service")
            session.wait_for("datasets version")
            session.process.kill()
            session.process.wait()
    assert core_stack.checkout.instance.ahead_file.exists()
    core_stack.deploy()
    assert not core_stack.checkout.instance.ahead_file.exists()
    assert counts(core_stack.put(file, "k0", 250)) == (0, 1)
    assert "code" not in rejected(core_stack, file)


def test_one_function_is_deployed_and_the_plan_is_empty(core_stack: CoreStack, tmp_path: Path) -> None:
    code = core_stack.root / "lambdas/core/transform/quarantine.py"
    file = new_file(tmp_path)
    with replaced(code, ENTRY, f'{ENTRY} "code": "deployed",'):
        done = core_stack.deploy("--function", "transform")
        assert done["changed"] == 2, "the zip's object, and the function"
        core_stack.no_change_is_planned()
        assert counts(core_stack.put(file, "f0", 250)) == (0, 1)
        assert rejected(core_stack, file)["code"] == "deployed"
    done = core_stack.deploy("--function", "transform")
    assert done["changed"] == 2
    said = core_stack.run("deploy", "--function", "transfrom", *STACK, code=2)
    assert "transform" in said
