"""Code and layers are compiled once, as the function sees them."""

import marshal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sluice_ext.executor import bytecode

PYTHON = Path(sys.executable)


def test_modules_are_compiled_under_the_name_that_the_function_knows(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "one.py").write_text("def f():\n    return 1\n")
    bytecode.make(PYTHON, tmp_path, Path("/var/task"))
    [made] = (tmp_path / "package" / "__pycache__").iterdir()
    assert marshal.loads(made.read_bytes()[16:]).co_filename == "/var/task/package/one.py"


def test_a_module_that_cannot_be_compiled_is_left_to_the_function(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "whole.py").write_text("x = 1\n")
    bytecode.make(PYTHON, tmp_path, Path("/var/task"))
    assert [one.name.split(".")[0] for one in (tmp_path / "__pycache__").iterdir()] == ["whole"]


def test_two_starts_at_once_compile_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(bytecode.subprocess, "run", lambda command, **_: calls.append(command))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: bytecode.make(PYTHON, tmp_path, Path("/opt")), range(16)))
    assert len(calls) == 1


def test_a_compiler_that_hangs_costs_bytecode_and_no_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def hang(command: list[str], timeout: float, **_: object) -> None:
        raise bytecode.subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(bytecode.subprocess, "run", hang)
    bytecode.make(PYTHON, tmp_path, Path("/opt"))
    assert "compiled at every cold start" in caplog.text
