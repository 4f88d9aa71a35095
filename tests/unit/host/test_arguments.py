"""Typer's conversions are made when a value needs one, and are then Typer's own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sluice.paths import ROOT

CODE = """
import sys
from pathlib import Path
from typing import Annotated
import typer
{patch}
app = typer.Typer(add_completion=False)

@app.command()
def show(
    text: str = "t", number: Annotated[int, typer.Option(min=1, max=9)] = 5, share: float | None = None,
    names: Annotated[list[str] | None, typer.Option()] = None, path: Path = Path("p"), on: bool = False,
    made: Annotated[str, typer.Option(parser=lambda value: value.upper())] = "m",
) -> None:
    print([text, number, share, names, path, on, made])

try:
    app(sys.argv[1:], standalone_mode=False)
except typer.TyperException as error:
    print(error.format_message())
"""
PATCH = "from sluice.arguments import convert_lazily; convert_lazily(); convert_lazily()"


def output(patch: str, arguments: list[str]) -> bytes:
    command = [sys.executable, "-c", CODE.format(patch=patch), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--text", "é", "--number", "9", "--share", "0.5", "--names", "a", "--names", "b", "--path", "x", "--on"],
        ["--number", "0"],
        ["--number", "ten"],
        ["--share", "nan"],
        ["--text", ""],
        ["--text", "\udcff"],
        ["--made", "abc"],
    ],
    ids=repr,
)
def test_every_value_is_what_typer_makes_of_it(arguments: list[str]) -> None:
    own = output(PATCH, arguments)
    assert own == output("", arguments)
    assert own.strip()
