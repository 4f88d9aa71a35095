"""The engine's processes: started once, found again, and gone without a trace, whatever happened before."""

from __future__ import annotations

import concurrent.futures
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from sluice import engine
from sluice.console import SluiceError
from sluice.engine import servers
from sluice.engine.embedded import lifecycle, localstack
from sluice.engine.instance import EngineInfo, Instance
from sluice.paths import ROOT
from sluice.polling import wait_until
from sluice.processes import ProcessId, family, leftovers
from tests.support import homes

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("embedded_only")]


@pytest.fixture(scope="module", autouse=True)
def embedded() -> Iterator[None]:
    """These are the cases of the embedded engine; those of the containers are in test_docker_engine.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENGINE", "embedded")
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """One home for all tests, so that PostgreSQL's data is made once; its path has a space, as users' paths may."""
    instance = Instance(tmp_path_factory.mktemp("engine home"))
    yield instance
    engine.down(instance)


@pytest.fixture
def instance(home: Instance) -> Iterator[Instance]:
    """The home with nothing running, before and after."""
    engine.down(home, report=lambda _: None)
    yield home
    engine.down(home, report=lambda _: None)


def processes(instance: Instance) -> list[ProcessId]:
    return leftovers(str(instance.home), str(instance.localstack_dir))


def everyone(info: EngineInfo) -> set[ProcessId]:
    return {*family(info.engine), *family(info.postgres)}


def answers(info: EngineInfo) -> bool:
    with psycopg.connect(info.postgres_dsn, connect_timeout=5) as connection:
        row = connection.execute("SELECT 41 + 1").fetchone()
    return servers.health(info.port) is not None and row == (42,)


def test_up_starts_both_servers_on_the_loopback_address_only(instance: Instance) -> None:
    info = engine.up(instance)
    assert answers(info)
    assert info.versions["localstack"] == "4.14.0"
    assert info.versions["postgres"].startswith("18.")
    listening = {
        connection.laddr.ip
        for member in everyone(info)
        for connection in psutil.Process(member.pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_postgres_wants_the_password(instance: Instance) -> None:
    info = engine.up(instance)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(info.postgres_dsn.replace(info.postgres_password, "guess"), connect_timeout=5)


def test_a_second_up_finds_the_first(instance: Instance) -> None:
    first = engine.up(instance)
    said: list[str] = []
    assert engine.up(instance, report=said.append) == first
    assert said == [f"engine  runs since {first.started_at} at {first.endpoint_url} (pid {first.engine.pid})"]


def test_down_leaves_no_process_no_port_and_no_memory_of_the_stack(instance: Instance) -> None:
    info = engine.up(instance)
    members = everyone(info)
    instance.terraform_dir.mkdir(exist_ok=True)
    state = instance.terraform_dir / "terraform.tfstate"
    state.write_text("{}")
    assert len(members) > 2
    assert engine.down(instance) is True
    assert not any(member.alive() for member in members)
    assert processes(instance) == []
    assert not instance.info_file.exists()
    assert not state.exists()
    for port in (info.port, info.postgres_port):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert engine.down(instance) is False


def test_the_data_of_postgres_outlives_a_restart(instance: Instance) -> None:
    with psycopg.connect(engine.up(instance).postgres_dsn) as connection:
        connection.execute("DROP TABLE IF EXISTS kept")
        connection.execute("CREATE TABLE kept AS SELECT 'żółw' AS word")
    engine.down(instance)
    with psycopg.connect(engine.up(instance).postgres_dsn) as connection:
        assert connection.execute("SELECT word FROM kept").fetchall() == [("żółw",)]


def test_up_after_kill_9_of_both_servers(instance: Instance) -> None:
    first = engine.up(instance)
    members = everyone(first)
    for member in (first.engine, first.postgres):
        os.kill(member.pid, signal.SIGKILL)
    second = engine.up(instance)
    assert answers(second)
    assert not any(member.alive() for member in members)


def test_up_after_kill_9_of_the_engine_ends_what_it_left_behind(instance: Instance) -> None:
    first = engine.up(instance)
    environment = localstack.base_environment(instance)
    orphan = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], env=environment, start_new_session=True
    )
    os.kill(first.engine.pid, signal.SIGKILL)
    second = engine.up(instance)
    assert answers(second)
    assert not first.postgres.alive()
    assert orphan.wait(5) != 0


def test_a_stale_file_whose_pid_is_another_process_now(instance: Instance) -> None:
    first = engine.up(instance)
    engine.down(instance)
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        reused = ProcessId(bystander.pid, first.engine.started)
        stale = json.loads(first.to_json())
        stale["engine"] = stale["postgres"] = {"pid": reused.pid, "started": reused.started}
        instance.info_file.write_text(json.dumps(stale))
        (instance.postgres_dir / "postmaster.pid").write_text(f"{bystander.pid}\n")
        assert not engine.status(instance).running
        assert answers(engine.up(instance))
        assert engine.down(instance) is True
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_taken_ports_are_named_and_others_chosen(instance: Instance) -> None:
    said: list[str] = []
    with socket.socket() as one, socket.socket() as two:
        for server in (one, two):
            server.bind(("127.0.0.1", 0))
            server.listen()
        taken, taken_postgres = one.getsockname()[1], two.getsockname()[1]
        info = engine.up(instance, port=taken, postgres_port=taken_postgres, report=said.append)
    assert answers(info)
    assert said[:2] == [
        f"engine  port {taken} is taken by another program: using {info.port}",
        f"postgres port {taken_postgres} is taken by another program: using {info.postgres_port}",
    ]


def test_a_failed_start_shows_the_log_and_leaves_nothing(instance: Instance) -> None:
    said: list[str] = []
    with pytest.raises(SluiceError, match=r"^engine ended with code 1; its last log lines are above") as raised:
        engine.up(instance, env={"SLUICE_LAMBDA_INIT_SECONDS": "soon"}, report=said.append)
    assert raised.value.code == 1
    assert "SLUICE_LAMBDA_INIT_SECONDS must be a number, not 'soon'" in "\n".join(said)
    assert processes(instance) == []
    assert not instance.info_file.exists()
    assert answers(engine.up(instance))


def test_an_engine_that_never_answers_is_stopped(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "START_SECONDS", 3.0)
    monkeypatch.setattr(servers, "health", lambda _: None)
    with pytest.raises(SluiceError, match="engine did not answer within 3 s"):
        engine.up(instance, report=lambda _: None)
    assert processes(instance) == []


def test_parallel_ups_start_one_engine(instance: Instance) -> None:
    command = [sys.executable, "-m", "sluice.cli", "up", "--json"]
    environment = {**os.environ, "SLUICE_HOME": str(instance.home), "ENGINE": "embedded"}

    def up(_: int) -> dict[str, object]:
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
        return dict(json.loads(done.stdout))

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        found = list(pool.map(up, range(3)))
    assert len({(one["engine_pid"], one["postgres_pid"]) for one in found}) == 1
    assert all(one["healthy"] for one in found)


def test_two_instances_run_side_by_side(instance: Instance, tmp_path: Path) -> None:
    other = Instance(tmp_path / "other")
    try:
        one, two = engine.up(instance), engine.up(other)
        assert {one.port, one.postgres_port}.isdisjoint({two.port, two.postgres_port})
        engine.down(other)
        assert answers(one)
    finally:
        engine.down(other)


def test_a_client_that_knows_only_the_environment_reaches_the_engine(instance: Instance) -> None:
    info = engine.up(instance)
    environment = {**os.environ, "SLUICE_HOME": str(instance.home)}
    done = subprocess.run(
        [sys.executable, "-m", "sluice.cli", "env"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    code = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    script = f'{done.stdout}\n{sys.executable} -c "{code}"\ncommand -v tflocal'
    shell = subprocess.run(["bash", "-ec", script], env=environment, capture_output=True, text=True, check=True)
    assert shell.stdout.splitlines()[0] == "000000000000"
    assert shell.stdout.splitlines()[1].endswith("/.sluice/bin/tflocal")
    assert f"export AWS_ENDPOINT_URL={info.endpoint_url}" in done.stdout


def test_fault_control_is_refused_unless_asked_for(instance: Instance) -> None:
    info = engine.up(instance)
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{info.endpoint_url}/_sluice/faults")
    assert raised.value.code in (403, 404)
    with pytest.raises(SluiceError, match="runs without fault control: `sluice down` first"):
        engine.up(instance, faults=True)


def test_status_measures_what_runs(instance: Instance) -> None:
    info = engine.up(instance)
    found = engine.status(instance)
    assert found.running
    assert found.healthy
    assert (found.engine_pid, found.postgres_pid) == (info.engine.pid, info.postgres.pid)
    assert 50e6 < found.engine_memory < 700e6
    assert 1e6 < found.postgres_memory < 100e6
    assert wait_until(lambda: engine.status(instance).uptime > 0, 5)


def test_the_engine_of_a_killed_test_session_goes_with_the_next_one() -> None:
    mine = homes.new()
    # this session's number, but not its start time: a session that is no more, whose number was used again
    left = Path(tempfile.mkdtemp(prefix=f"sluice-e2e-{os.getpid()}-1.0-"))
    try:
        members = everyone(engine.up(Instance(left)))
        homes.remove_orphans()
        assert not any(member.alive() for member in members)
        assert (left.exists(), mine.exists()) == (False, True)
    finally:
        homes.remove(left)
        homes.remove(mine)
