"""The command line: help, exit codes, one line for every error, and JSON."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer

from sluice import cli, console
from sluice.paths import ROOT

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
        (["plan", "--env", "nope"], "there is no environment 'nope': infra/envs has dev, prod"),
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


def test_a_module_of_verbs_that_is_not_there_is_left_out() -> None:
    cli.register_verbs(("sluice.not_there", "sluice.not_there.deeper"))


def test_a_broken_module_of_verbs_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_verbs.py").write_text("import a_module_that_nobody_has\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="a_module_that_nobody_has"):
        cli.register_verbs(("broken_verbs",))


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
    console.print_table(("name", "rows"), [("[bold]x[/bold]", 336776), (None, True)], right=("rows",))
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
    console.print_table(("output", "value"), [("secret", arn)])
    console.note(arn)
    shown = capsys.readouterr()
    assert arn in shown.out
    assert arn in shown.err
