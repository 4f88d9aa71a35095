"""The tier of `make everything`: each of its tests names one of `make test` that holds the same rule."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sluice.paths import ROOT
from tests.support import thorough
from tests.support.thorough import MARKER

FILES = [path for path in sorted((ROOT / "tests").rglob("*.py")) if f"mark.{MARKER}(" in path.read_text()]


def _marks(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == MARKER:
            yield node


def _strings(node: ast.AST) -> list[str]:
    return [one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)]


MARKS = sorted({
    (path.relative_to(ROOT).as_posix(), name)
    for path in FILES
    if path != Path(__file__)
    for mark in _marks(ast.parse(path.read_text()))
    for argument in mark.args
    for name in _strings(argument)
})  # fmt: skip


def test_there_is_such_a_tier() -> None:
    assert MARKS


@pytest.mark.parametrize(("file", "name"), MARKS)
def test_what_a_thorough_test_names_is_a_test_of_make_test(file: str, name: str) -> None:
    """One whose marker is on some of its cases alone is such a test, too."""
    path, _, function = name.partition("::")
    tree = ast.parse((ROOT / path).read_text())
    [found] = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function]
    module = [
        node for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    ]
    whole = [mark for node in module for mark in _marks(node)]
    whole += [mark for mark in _marks(found) if mark in found.decorator_list]
    assert whole == [], f"{file} names a thorough test"


@pytest.mark.parametrize(
    ("mark", "lacks"),
    [
        (pytest.mark.thorough("tests/unit/x/test_y.py::test_z", why="the rule is the same").mark, ""),
        (pytest.mark.thorough("tests/unit/x/test_y.py::test_z").mark, "no reason"),
        (pytest.mark.thorough("tests/unit/x/test_y.py::test_z", why=" ").mark, "no reason"),
        (pytest.mark.thorough("test_z", why="a reason").mark, "names no test"),
        (pytest.mark.thorough(why="a reason").mark, "names no test"),
        (pytest.mark.thorough.mark, "names no test"),
    ],
)
def test_a_marker_names_a_test_and_a_reason(mark: pytest.Mark, lacks: str) -> None:
    said = thorough.complaint(mark)
    assert lacks in said
    assert bool(lacks) == bool(said)
    if lacks:
        with pytest.raises(pytest.UsageError, match=rf"test_a: its marker .* {lacks}"):
            thorough.leave_out(*session([mark]))


def session(marks: list[pytest.Mark | None], args: tuple[str, ...] = ("tests/unit",), chosen: str = "") -> Any:
    """A session that has collected a test for each marker, and what it says is left out."""
    hook = SimpleNamespace(pytest_deselected=lambda **_: None)
    config = SimpleNamespace(stash=pytest.Stash(), hook=hook, args=args, option=SimpleNamespace(markexpr=chosen))
    return config, [Collected(mark) for mark in marks]


class Collected:
    """A test with one marker, or none."""

    nodeid = "tests/unit/test_a.py::test_a"

    def __init__(self, mark: pytest.Mark | None) -> None:
        self._mark = mark

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        return self._mark if name == MARKER else None


MARK = pytest.mark.thorough("tests/unit/x/test_y.py::test_z", why="a reason").mark


def test_they_are_left_out_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thorough, "EVERYTHING", False)
    config, items = session([None, MARK, MARK])
    config.workeroutput = {}
    ordinary = items[0]
    thorough.leave_out(config, items)
    assert items == [ordinary]
    assert (len(thorough.left_out(config)), config.workeroutput) == (2, {MARKER: 2})
    reporter, _ = session([])
    assert thorough.line(reporter) == ""
    for _ in range(3):
        thorough.count(cast(pytest.Config, reporter), config.workeroutput)
    assert thorough.line(reporter) == "2 thorough tests were left out: `make everything` runs them"


@pytest.mark.parametrize(
    ("everything", "args", "chosen"),
    [
        (True, ("tests/unit",), ""),
        (False, ("tests/unit/test_a.py::test_a",), ""),
        (False, ("tests/unit",), "thorough"),
    ],
)
def test_who_asks_for_them_gets_them(
    monkeypatch: pytest.MonkeyPatch, everything: bool, args: tuple[str, ...], chosen: str
) -> None:
    monkeypatch.setattr(thorough, "EVERYTHING", everything)
    config, items = session([None, MARK], args, chosen)
    thorough.leave_out(config, items)
    assert (len(items), thorough.left_out(config), thorough.line(config)) == (2, [], "")
