"""Execution environments are handed out in the order in which they were asked for."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.contract.harness import PYTHON


def test_who_waits_for_an_environment_longest_gets_it_first() -> None:
    if not Path(PYTHON).exists():
        pytest.skip(f"no engine environment at {PYTHON}; run `make setup` or set SLUICE_ENGINE_PYTHON")
    command = [PYTHON, str(Path(__file__).with_name("pool_worker.py"))]
    done = subprocess.run(
        command, env=os.environ | {"SLUICE_MAX_ENVIRONMENTS": "1"}, capture_output=True, timeout=60, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0]
