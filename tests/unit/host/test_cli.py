"""The command line: help, exit codes, one line for every error, and JSON."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer

from sluice import cli, console
from sluice.paths import ROOT
from sluice.tables import layout

cli.register_verbs()

VERBS = ("up", "down", "status", "logs", "env", "outputs", "build", "plan", "deploy", "destroy", "clean", "setup")


@pytest.fixture(autouse=True)
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No engine runs for these tests."""
    for name in ("ENGINE", "SLUICE_DEBUG", "TARGET", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    return tmp_path


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli.run(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run("--help", capsys=capsys)
    assert code == 0
    assert [verb for verb in VERBS if verb not in out] == []


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_json(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(verb, "--help", capsys=capsys)
    assert code == 0
    assert "--json" in out


def test_the_command_loads_nothing_heavy() -> None:
    code = "import sys; from sluice import cli; cli.register_verbs(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert loaded.isdisjoint({"boto3", "botocore", "pyarrow", "duckdb", "psycopg", "pandas", "yaml"})


def test_help_is_quick() -> None:
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "sluice.cli", "--help"], capture_output=True, check=True, cwd=ROOT)
    assert time.monotonic() - began < 5  # half a second on an idle machine


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nope"], "No such command 'nope'."),
        (["up", "--port", "x"], "Invalid value for '--port': Input should be a valid integer"),
        (["up", "--port", "70000"], "Invalid value for '--port': Input should be less than or equal to 65535"),
        (["plan", "--target", "moon"], "target 'moon' is not known: use local or aws"),
        (["plan", "--env", "nope"], "there is no environment 'nope'; there are: dev, prod"),
        (["deploy", "--var", "nope"], "--var 'nope': expected NAME=VALUE"),
    ],
)
def test_wrong_use_is_one_line_and_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(*arguments, capsys=capsys)
    assert code == 2
    assert message in err
    assert err.startswith("sluice: ")
    assert err.count("\n") == 1
    assert out == ""


def test_an_unknown_engine_is_code_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ENGINE", "podman")
    code, _, err = run("up", capsys=capsys)
    assert code == 2
    assert "is not known: use auto, embedded or docker" in err
    assert err.count("\n") == 1


def test_asking_for_docker_where_there_is_none_is_code_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENGINE", "docker")
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run("up", capsys=capsys) == (1, "", "sluice: ENGINE=docker: there is no docker command\n")


@pytest.mark.parametrize("verb", ["env", "outputs"])
def test_what_needs_the_engine_says_how_to_start_it(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(verb, capsys=capsys)
    assert (code, out) == (1, "")
    assert err == "sluice: the engine is not running: start it with `make up`\n"


def test_status_of_nothing_is_code_1_and_json_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run("status", "--json", capsys=capsys)
    assert code == 1
    assert json.loads(out)["running"] is False


def test_stopping_nothing_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("down", "--quiet", capsys=capsys) == (0, "", "")
    code, out, _ = run("down", "--json", capsys=capsys)
    assert (code, json.loads(out)) == (0, {"stopped": False})


def test_logs_of_an_engine_that_never_ran(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run("logs", capsys=capsys)
    assert (code, err) == (1, "sluice: there is no engine.log yet: start the engine with `make up`\n")


@pytest.fixture
def broken_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def crash() -> None:
        raise ValueError("first\nsecond")

    @app.command()
    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", app)


@pytest.mark.usefixtures("broken_verb")
def test_an_unforeseen_error_is_one_line_unless_debugging(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run("crash", capsys=capsys)
    assert (code, err) == (1, "sluice: ValueError: first second (SLUICE_DEBUG=1 shows where)\n")
    monkeypatch.setenv("SLUICE_DEBUG", "1")
    with pytest.raises(ValueError, match="first"):
        cli.run(["crash"])


@pytest.mark.usefixtures("broken_verb")
def test_an_interrupt_is_code_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("stop", capsys=capsys)[0] == 130


@pytest.mark.parametrize("package", ["sluice.not_there", "sluice.not_there.deeper"])
def test_a_package_of_verbs_that_is_not_there_is_an_error(package: str) -> None:
    with pytest.raises(ModuleNotFoundError, match="not_there"):
        cli.register_verbs(package)
    with pytest.raises(ModuleNotFoundError, match="not_there"):
        cli.register_verbs(branches=package)


@pytest.fixture
def verbs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Makes a package of verbs from its modules, as {"lake.commands": text}, and returns the package's name."""
    prefix = f"verbs_{uuid.uuid4().hex[:8]}_"
    monkeypatch.syspath_prepend(str(tmp_path))
    made = itertools.count()

    def make(modules: dict[str, str]) -> str:
        name = f"{prefix}{next(made)}"
        for module, text in {"__init__": "", **modules}.items():
            file = tmp_path / name / f"{module.replace('.', '/')}.py"
            file.parent.mkdir(exist_ok=True)
            (file.parent / "__init__.py").touch()
            file.write_text(text)
        return name

    yield make
    for module in [module for module in sys.modules if module.startswith(prefix)]:
        del sys.modules[module]


def test_a_broken_module_of_verbs_is_an_error(verbs: Callable[..., str]) -> None:
    with pytest.raises(ModuleNotFoundError, match="a_module_that_is_not_installed"):
        cli.register_verbs(verbs({"broken": "import a_module_that_is_not_installed"}))


def test_a_module_without_a_verb_is_an_error(verbs: Callable[..., str]) -> None:
    with pytest.raises(AttributeError, match="must have a function or a typer.Typer called empty"):
        cli.find_verbs(verbs({"empty": "PANEL, ORDER = 'Data', 1"}))


def test_verbs_are_found_in_the_order_that_they_ask_for(verbs: Callable[..., str]) -> None:
    text = "PANEL, ORDER = 'Data', {}\ndef {}(): ..."
    package = verbs({"one": text.format(2, "one"), "two": text.format(1, "two"), "_shared": "x = 1"})
    found = cli.find_verbs(package, verbs({}))
    assert [verb.name for verb in found] == ["two", "one"]


def test_a_branchs_verb_is_called_like_the_branch_and_a_branch_may_have_none(verbs: Callable[..., str]) -> None:
    text = "PANEL, ORDER = 'Branches', 1\ndef lake(): ..."
    package = verbs({"lake.commands": text, "quiet.reader": "x = 1"})
    assert cli.find_verbs(verbs({}), package) == [(1, "lake", f"{package}.lake.commands")]


def test_the_panels_of_the_help_keep_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run("--help", capsys=capsys)
    panels = ["Engine", "Deployment", "Data", "Operations", "Quality", "Checkout", "Branches"]
    places = [out.index(f"─ {panel} ─") for panel in panels]
    assert places == sorted(places)
    words = [line.split()[1] for line in out.splitlines() if line.startswith("│ ") and line[2].islower()]
    assert words == [verb.name for verb in cli.find_verbs()]
    assert words[:5] == ["up", "down", "logs", "env", "status"]


def test_json_has_dates_paths_and_other_alphabets(capsys: pytest.CaptureFixture[str]) -> None:
    value: dict[str, Any] = {
        "when": datetime(2026, 1, 2, tzinfo=UTC),
        "where": Path("/x"),
        "what": "żółw",
        "set": {2, 1},
    }
    console.print_json(value)
    out = capsys.readouterr().out
    assert json.loads(out) == {"when": "2026-01-02T00:00:00+00:00", "where": "/x", "what": "żółw", "set": [1, 2]}
    assert "żółw" in out


def test_tables_show_numbers_with_separators_and_brackets_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_table(layout("name", "rows:number"), [("[bold]x[/bold]", 336776), (None, True)])
    out = capsys.readouterr().out
    assert "[bold]x[/bold]" in out
    assert "336,776" in out
    assert "yes" in out


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (262_144_000, "262.1 MB"), (2e12, "2.0 TB")]
)
def test_sizes_are_readable(size: float, text: str) -> None:
    assert console.human_bytes(size) == text


@pytest.mark.parametrize(("seconds", "text"), [(3.9, "3 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")])
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert console.human_seconds(seconds) == text


def test_an_arn_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:name-abcdef"
    console.print_table(layout("output", "value:fold"), [("secret", arn)])
    console.note(arn)
    shown = capsys.readouterr()
    assert arn in shown.out
    assert arn in shown.err
