"""Processes and instances: who is ours, which port is free, what is written down. No engine is started here."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from sluice.console import SluiceError
from sluice.engine import ports, servers
from sluice.engine.embedded import localstack, postgres
from sluice.engine.instance import EngineInfo, Instance, localhost_environment
from sluice.paths import ROOT
from sluice.polling import wait_until
from sluice.processes import MARKER, ProcessId, family, leftovers, stop

SLEEP = "import signal, time; print('up', flush=True); time.sleep(600)"
IGNORE = "".join(f"signal.signal(signal.{name}, signal.SIG_IGN); " for name in ("SIGINT", "SIGTERM"))
STUBBORN = f"import signal; {IGNORE}\n{SLEEP}"
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session=True).wait()"


class Started:
    """Processes of a test, ended when it is over."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[str]] = []

    def __call__(self, code: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        self.processes.append(process)
        return process


@pytest.fixture
def start() -> Iterator[Started]:
    started = Started()
    yield started
    for process in started.processes:
        process.kill()
        process.communicate()


def info_of(process: ProcessId, port: int = 4566) -> EngineInfo:
    return EngineInfo(port, 5432, "secret", "2026-01-01T00:00:00+00:00", False, process, process, {"localstack": "4"})


def test_a_process_is_recognised_while_it_lives(start: Started) -> None:
    process = start(SLEEP)
    identity = ProcessId.of(process.pid)
    assert identity.alive()
    process.kill()
    process.wait()
    assert not identity.alive()


def test_a_reused_pid_is_not_the_process_that_had_it(start: Started) -> None:
    process = start(SLEEP)
    earlier = ProcessId(process.pid, ProcessId.of(process.pid).started - 60)
    assert not earlier.alive()
    stop([earlier])
    assert process.poll() is None


def test_a_zombie_is_dead(start: Started) -> None:
    process = start(SLEEP)
    identity = ProcessId.of(process.pid)
    process.send_signal(signal.SIGKILL)
    assert wait_until(lambda: not identity.alive(), 5)  # no process has waited for it yet
    process.wait()


def test_stopping_takes_everything_below_with_it(start: Started) -> None:
    process = start(PARENT)
    members = family(ProcessId.of(process.pid))
    assert len(members) == 2
    stop(members[:1], seconds=2)
    assert not any(member.alive() for member in members)


def test_a_process_that_ignores_signals_is_killed(start: Started) -> None:
    process = start(STUBBORN)
    identity = ProcessId.of(process.pid)
    stop([identity], first=signal.SIGINT, seconds=0.2)
    assert not identity.alive()
    assert process.wait() == -signal.SIGKILL


def test_leftovers_are_found_by_their_mark_or_their_folder(start: Started, tmp_path: Path) -> None:
    home, folder = str(tmp_path), str(tmp_path / "localstack")
    marked = start(SLEEP, **{MARKER: home})
    function = start(SLEEP, LAMBDA_TASK_ROOT=f"{folder}/tmp/code")
    isolated = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", f"{folder}/tmp/lambda/env/1"])
    try:
        found = {one.pid for one in leftovers(home, folder)}
    finally:
        isolated.kill()
        isolated.wait()
    assert isolated.pid in found
    start(SLEEP, **{MARKER: f"{home}-other"}, SOMETHING=f"{folder}-other/x")
    assert {found.pid for found in leftovers(home, folder)} == {marked.pid, function.pid}


def test_a_taken_port_is_seen_and_another_is_chosen() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        taken = server.getsockname()[1]
        assert not ports.is_free(taken)
        chosen = ports.choose(taken)
        assert chosen != taken
        assert ports.is_free(chosen)
    assert ports.choose(taken) == taken


def test_what_is_written_about_an_engine_is_read_back(tmp_path: Path) -> None:
    instance = Instance(tmp_path)
    info = info_of(ProcessId.of(os.getpid()))
    instance.write_info(info)
    assert instance.info() == info
    assert instance.running
    assert instance.endpoint_url == "http://127.0.0.1:4566"
    assert instance.postgres_dsn == "postgresql://postgres:secret@127.0.0.1:5432/postgres"
    assert instance.info_file.stat().st_mode & 0o077 == 0  # it holds a password


@pytest.mark.parametrize("text", ["", "{", "[]", '{"port": 1}', '{"engine": {"pid": 1}}'])
def test_a_damaged_engine_file_is_no_engine(text: str, tmp_path: Path) -> None:
    instance = Instance(tmp_path)
    instance.info_file.write_text(text)
    assert instance.info() is None
    assert not instance.running


def test_a_stale_engine_file_is_no_running_engine(tmp_path: Path) -> None:
    instance = Instance(tmp_path)
    mine = ProcessId.of(os.getpid())
    instance.write_info(info_of(ProcessId(mine.pid, mine.started - 60)))
    assert not instance.running
    with pytest.raises(SluiceError, match="not running: start it with `make up`"):
        _ = instance.endpoint_url


def test_the_default_home_can_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    assert Instance.default() == Instance(tmp_path)


def test_clients_get_dummy_keys_and_one_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    found = localhost_environment(info_of(ProcessId(1, 0.0), port=4599))
    assert found["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4599"
    assert (found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"]) == ("test", "test")
    assert (found["AWS_REGION"], found["AWS_DEFAULT_REGION"]) == ("eu-central-1", "eu-central-1")
    assert (found["LOCALSTACK_HOSTNAME"], found["EDGE_PORT"], found["S3_HOSTNAME"]) == (
        "127.0.0.1",
        "4599",
        "127.0.0.1",
    )


def test_the_engine_does_not_inherit_what_is_meant_for_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "LOCALSTACK_HOSTNAME", "EDGE_PORT", "PYTHONPATH", "TF_DATA_DIR"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("NO_PROXY", "intra.example")
    environment = localstack.base_environment(Instance(tmp_path))
    assert not {"AWS_ENDPOINT_URL", "LOCALSTACK_HOSTNAME", "EDGE_PORT", "PYTHONPATH", "TF_DATA_DIR"} & set(environment)
    assert environment["NO_PROXY"] == "intra.example,127.0.0.1,localhost"
    assert environment[MARKER] == str(tmp_path)


def test_a_setting_in_the_environment_reaches_either_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in servers.SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLUICE_IAM", "record")
    monkeypatch.setenv("SLUICE_HOME", "elsewhere")
    assert servers.given_settings() == {"SLUICE_IAM": "record"}
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["localstack"]["environment"]
    example = (ROOT / ".env.example").read_text()
    page = (ROOT / "docs/engine.md").read_text()
    for name in servers.SETTINGS:
        default = re.search(rf"^#{name}=(\S*) ", example, re.MULTILINE)
        assert default, f".env.example lacks {name}"
        assert compose[name] == f"${{{name}:-{default[1]}}}"
        assert f"| `{name}` |" in page


def test_an_engine_that_does_not_answer_has_no_health() -> None:
    assert servers.health(ports.any_free()) is None


def test_the_password_is_made_once_and_kept_private(tmp_path: Path) -> None:
    instance = Instance(tmp_path)
    password = postgres.ensure_password(instance)
    assert postgres.ensure_password(instance) == password
    assert postgres.password_file(instance).stat().st_mode & 0o077 == 0
    assert len(password) >= 20


def test_a_lost_password_is_said_before_anything_starts(tmp_path: Path) -> None:
    instance = Instance(tmp_path)
    instance.postgres_dir.mkdir()
    (instance.postgres_dir / "PG_VERSION").write_text("18")
    with pytest.raises(SluiceError, match="password of .* is lost: remove that folder"):
        postgres.ensure_password(instance)


def test_the_server_never_runs_as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert postgres.as_server_user(["postgres"]) == (["postgres"], None)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    command, user = postgres.as_server_user(["postgres"])
    assert user is not None or "--reuid=" in command[1]
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert postgres.as_server_user(["postgres"])[1] not in (None, 0)
