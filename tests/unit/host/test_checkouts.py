"""Two checkouts on one machine: the home belongs to one of them, and no verb of the other works on its engine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sluice import cli, paths
from sluice.console import SluiceError
from sluice.engine import cleaning, instance, ports
from sluice.engine.embedded.lifecycle import EmbeddedServers
from sluice.engine.instance import EngineInfo, Instance
from sluice.engine.starting import Ports
from sluice.paths import ROOT
from sluice.processes import ProcessId

cli.register_verbs()

ARGUMENTS: dict[str, list[str]] = {
    "query": ["SELECT 1"],
    "psql": ["-c", "SELECT 1"],
    "seed": ["shipping"],
    "requeue": ["bronze/x/y.csv"],
    "replay": ["--prefix", "bronze/"],
    "put": ["pyproject.toml", "shipments"],
    "dlq": ["ls"],
    "quarantine": ["ls"],
    "snapshot": ["ls"],
    "checkins": ["runs"],
    "quality": ["ls"],
    "taxi": ["status"],
    "api": ["call", "count_analysis"],
}
WITHOUT_ENGINE = {
    *("build", "setup", "bench", "check", "scaffold", "completion", "capacity", "docs"),
    *("bootstrap", "preflight", "promote", "unlock"),
}
"""Verbs that use no engine or one of their own, and those of an account."""


@pytest.fixture(autouse=True)
def clean_shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("SLUICE_HOME", "AWS_ENDPOINT_URL", "ENGINE", "TARGET"):
        monkeypatch.delenv(name, raising=False)
    yield
    paths.ask_for_home(None)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another checkout, as far as can be seen."""
    root = tmp_path / "other checkout"
    (root / "sluice").mkdir(parents=True)
    (root / "sluice" / "paths.py").touch()
    return root


def engine_at(home: Path, port: int) -> EngineInfo:
    """engine.json of an engine that runs: this process stands for its servers."""
    this = ProcessId.of(os.getpid())
    info = EngineInfo(port, port + 1, "secret", "2026-01-01T00:00:00+00:00", False, this, this)
    home.mkdir(parents=True, exist_ok=True)
    Instance(home).write_info(info)
    return info


@pytest.mark.parametrize("verb", [verb.name for verb in cli.find_verbs() if verb.name not in WITHOUT_ENGINE])
def test_a_verb_refuses_the_home_of_another_checkout_by_name(
    verb: str, other: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = other / ".sluice" / "state"
    engine_at(home, ports.any_free())
    before = {path.name: path.read_bytes() for path in home.iterdir()}
    monkeypatch.setenv("SLUICE_HOME", str(home))
    monkeypatch.setattr(cleaning, "made_beside_the_code", lambda root: pytest.fail(f"clean went on in {root}"))
    code = cli.run([verb, *ARGUMENTS.get(verb, [])])
    err = capsys.readouterr().err
    assert code == 2, err
    assert err.count("\n") == 1
    for named in (f"{home}, which belongs to the checkout {other}", str(ROOT), f"--home {home}"):
        assert named in err
    assert {path.name: path.read_bytes() for path in home.iterdir()} == before


@pytest.mark.parametrize("words", [["--home", "{}", "down"], ["down", "--home", "{}"], ["down", "--home={}"]])
def test_home_asks_for_another_checkouts_engine(
    words: list[str], other: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = other / ".sluice" / "state"
    home.mkdir(parents=True)
    assert cli.run([word.format(home) for word in words]) == 0
    assert capsys.readouterr().err == "engine  nothing runs\n"


def test_home_counts_for_one_command(other: Path) -> None:
    cli.run(["down", "-q", "--home", str(other / ".sluice" / "state")])
    cli.run(["build", "--help"])
    assert Instance.default().home == (ROOT / ".sluice" / "state").resolve()


@pytest.mark.parametrize(
    ("given", "moved"),
    [
        (["up", "--home", "x", "--json"], ["--home", "x", "up", "--json"]),
        (["up", "--home=x"], ["--home=x", "up"]),
        (["up", "--home"], ["--home", "up"]),
        (["psql", "--", "--home", "x"], ["psql", "--", "--home", "x"]),
        ([], []),
    ],
)
def test_home_may_stand_anywhere_before_two_dashes(given: list[str], moved: list[str]) -> None:
    assert cli.home_first(given) == moved


@pytest.mark.parametrize(
    ("given", "verb"),
    [(["up", "--json"], "up"), (["--home", "x", "dlq", "ls"], "dlq"), (["dlq", "--home=x"], "dlq"),
     (["--help"], None), (["-h", "up"], None), ([], None), (["--home"], None)],
)  # fmt: skip
def test_only_the_verb_that_is_asked_for_is_loaded(given: list[str], verb: str | None) -> None:
    assert cli.verb_of(given) == verb
    assert [one.name for one in cli.find_verbs(only="up")] == ["up"]
    assert len(cli.find_verbs(only="nope")) == len(cli.find_verbs())


def test_a_command_in_the_folder_of_another_checkout_is_refused(
    other: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deep = other / "infra" / "stack"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert cli.run(["outputs"]) == 2
    assert f"the sluice of the checkout {ROOT}, and you are in the checkout {other}" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["outputs", "runs", "plan", "status"])
def test_another_engines_endpoint_in_the_environment_is_refused_by_name(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    info = engine_at(tmp_path, 4599)
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    if verb == "status":  # which looks at the engine first
        monkeypatch.setattr("sluice.engine.servers.both_answer", lambda *_, **__: True)
    assert cli.run([verb]) == 2
    err = capsys.readouterr().err
    assert "AWS_ENDPOINT_URL in this shell is http://127.0.0.1:4566" in err
    assert f"is at {info.endpoint_url}" in err
    assert f"bin/sluice --home {tmp_path} env)" in err


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("http://127.0.0.1:4566", True),
        ("http://localhost:4566/", True),
        ("http://localhost.localstack.cloud:4566", True),
        ("http://[::1]:4566", True),
        ("http://127.0.0.1:4567", False),
        ("http://example.com:4566", False),
        ("http://127.0.0.1", False),
        ("http://127.0.0.1:port", False),
        ("nonsense", False),
    ],
)
def test_an_endpoint_is_ours_by_its_port_on_this_machine(url: str, same: bool) -> None:
    assert instance.is_endpoint(url, 4566) is same


class TestOwner:
    def test_a_home_in_a_checkout_belongs_to_it(self, other: Path) -> None:
        assert Instance(other / ".sluice" / "state").owner() == other
        assert Instance((ROOT / ".sluice" / "state").resolve()).owner() == ROOT

    def test_a_home_elsewhere_belongs_to_the_first_that_claims_it(self, tmp_path: Path, other: Path) -> None:
        home = Instance(tmp_path / "home")
        home.home.mkdir()
        assert home.owner() is None
        home.claim()
        home.claim()
        assert home.owner() == ROOT
        (home.home / "checkout").write_text(f"{other}\n")
        with pytest.raises(SluiceError, match="belongs to the checkout"):
            home.claim()
        paths.ask_for_home(home.home)
        home.claim()
        assert home.owner() == other

    @pytest.mark.parametrize("stored", [b"", b"/nowhere/at/all\n", b"\xff\xfe", b"\n"])
    def test_a_record_that_names_no_checkout_is_ignored(self, stored: bytes, tmp_path: Path) -> None:
        (tmp_path / "checkout").write_bytes(stored)
        assert Instance(tmp_path).owner() is None


class TestPorts:
    def servers(self, home: Path, *asked: int | None) -> Ports:
        given = (*asked, None, None)[:2]
        return EmbeddedServers(Instance(home), faults=False, env={}).wanted_ports(*given)

    def test_the_last_ports_are_wanted_again_after_the_engine_stopped(self, tmp_path: Path) -> None:
        assert self.servers(tmp_path) == Ports()
        engine_at(tmp_path, 34567)
        Instance(tmp_path).info_file.unlink()
        assert self.servers(tmp_path) == Ports(34567, 34568)
        assert self.servers(tmp_path, 4000) == Ports(4000, 34568)

    def test_the_usual_ports_are_wanted_where_there_was_no_engine(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
        assert self.servers(tmp_path) == Ports(4566, 5432)
        engine_at(tmp_path, 34567)
        assert self.servers(tmp_path) == Ports(34567, 34568)

    @pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"engine": 1}', '{"engine": "x", "postgres": 1}'])
    def test_a_broken_record_is_none(self, text: str, tmp_path: Path) -> None:
        (tmp_path / "ports.json").write_text(text)
        assert Instance(tmp_path).last_ports() == {}

    def test_another_port_is_taken_when_the_last_one_is_not_free(self) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            assert ports.choose(other.getsockname()[1]) != other.getsockname()[1]


def shell_words(shell: str) -> list[str]:
    return {"bash": ["bash", "--norc", "-ec"], "zsh": ["zsh", "-f", "-ec"], "sh": ["sh", "-ec"]}[shell]


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Path]:
    """A `sluice` in a folder with a space and a quote, which prints its arguments as an export."""

    def make() -> Path:
        place = tmp_path / "it's a folder"
        program = place / "bin" / "sluice"
        program.parent.mkdir(parents=True)
        program.write_text('#!/bin/sh\nprintf "export SEEN=\'%s\'\\n" "$*"\n')
        program.chmod(0o755)
        monkeypatch.setattr(paths, "HOST_ENV", place)
        return place

    return make


@pytest.mark.parametrize("shell", ["bash", "zsh", "sh"])
def test_the_line_for_the_shell_works_in_a_fresh_one_from_any_folder(
    shell: str, tool: Callable[[], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import shutil

    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    tool()
    home = tmp_path / "a home"
    for variables, seen in (({}, "env"), ({"SLUICE_HOME": str(home)}, f"--home {home} env")):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        done: Any = subprocess.run(
            [*shell_words(shell), f'{paths.shell_line()}\nprintf %s "$SEEN"'],
            cwd="/", env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout == seen


def test_awslocal_says_what_is_missing_and_otherwise_calls_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host, folder = tmp_path / "host", tmp_path / "bin"
    program = host / "bin" / "sluice"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "export AWS_ENDPOINT_URL=http://127.0.0.1:4599"\n')
    program.chmod(0o755)
    monkeypatch.setattr(paths, "HOST_ENV", host)
    monkeypatch.setattr(paths, "BIN_DIR", folder)
    paths.link_commands()
    script, empty = folder / "awslocal", tmp_path / "empty"
    empty.mkdir()
    variables = {"PATH": str(empty), "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    missing = subprocess.run([script, "s3", "ls"], env=variables, capture_output=True, text=True, check=False)
    assert (missing.returncode, missing.stdout) == (127, "")
    assert missing.stderr.startswith("awslocal: the AWS CLI (aws) is not on PATH")
    fake = empty / "aws"
    fake.write_text(f'#!{sys.executable}\nimport os, sys\nprint(os.environ["AWS_ENDPOINT_URL"], sys.argv[1:])\n')
    fake.chmod(0o755)
    done = subprocess.run([script, "s3", "ls", "a b"], env=variables, capture_output=True, text=True, check=True)
    assert done.stdout == "http://127.0.0.1:4599 ['s3', 'ls', 'a b']\n"


@pytest.mark.parametrize("old", ["", "postgresql://old@127.0.0.1:1/gone"])
def test_env_has_no_dsn_without_a_warehouse_and_removes_a_former_one(
    old: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    info = engine_at(tmp_path, 4599)
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.delenv("SLUICE_WAREHOUSE_DSN", raising=False)
    if old:
        monkeypatch.setenv("SLUICE_WAREHOUSE_DSN", old)
    monkeypatch.setattr("sluice.terraform.ensure_init", lambda _: None)
    monkeypatch.setattr("sluice.terraform.settings.executable", lambda: "/usr/bin/terraform")
    monkeypatch.setattr("sluice.paths.BIN_DIR", tmp_path / "bin")
    assert cli.run(["env"]) == 0
    out = capsys.readouterr().out
    assert f"export AWS_ENDPOINT_URL={info.endpoint_url}" in out
    assert "export SLUICE_WAREHOUSE_DSN" not in out
    assert ("SLUICE_WAREHOUSE_DSN" in out) is bool(old)
