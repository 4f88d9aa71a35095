"""ENGINE: what is chosen and why, with a docker command that a test wrote, so without Docker."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from sluice.console import SluiceError
from sluice.engine import choice, containers
from sluice.engine.containers import ContainerId, DockerError
from sluice.engine.docker import compose, images
from sluice.engine.instance import EngineInfo, Instance, not_running
from sluice.processes import ProcessId


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Instance:
    monkeypatch.delenv("ENGINE", raising=False)
    (tmp_path / "home").mkdir()
    return Instance(tmp_path / "home")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes the docker command; nothing else of that name is on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(
        containers.shutil, "which", lambda name: str(folder / name) if (folder / name).exists() else None
    )

    def write(script: str) -> None:
        (folder / "docker").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "docker").chmod(0o755)

    return write


def chosen(instance: Instance) -> tuple[str, list[str]]:
    said: list[str] = []
    return choice.choose(instance, said.append), said


def info_of(server: ProcessId | ContainerId, kind: str) -> EngineInfo:
    return EngineInfo(4566, 5432, "secret", "2026-01-01T00:00:00+00:00", False, server, server, kind=kind)


def test_without_docker_it_is_the_embedded_engine(instance: Instance, command: Any) -> None:
    assert chosen(instance) == ("embedded", ["engine  embedded: there is no docker command (ENGINE=auto)"])


def test_a_daemon_that_refuses_means_embedded_and_reads_like_no_error(instance: Instance, command: Any) -> None:
    command("echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock.' >&2; exit 1")
    assert chosen(instance) == ("embedded", ["engine  embedded: no Docker daemon answers (ENGINE=auto)"])
    assert containers.unavailable() == (
        "no Docker daemon answers (Cannot connect to the Docker daemon at unix:///var/run/docker.sock)"
    )


def test_a_daemon_that_does_not_answer_is_left_after_three_seconds(instance: Instance, command: Any) -> None:
    command("exec sleep 60")
    began = time.monotonic()
    assert chosen(instance) == (
        "embedded",
        ["engine  embedded: no Docker daemon answers within 3 s (ENGINE=auto)"],
    )
    assert 2.5 < time.monotonic() - began < 20


def test_without_compose_it_is_the_embedded_engine(instance: Instance, command: Any) -> None:
    command('[ "$1" = version ] && echo 27.1 || exit 1')
    assert chosen(instance) == ("embedded", ["engine  embedded: docker has no compose plugin, version 2 (ENGINE=auto)"])


def test_images_that_cannot_be_had_mean_embedded(instance: Instance, command: Any) -> None:
    services = {"localstack": {"image": "sluice-localstack:4.14.0"}, "postgres": {"image": "postgres:17"}}
    config = json.dumps({"name": "sluice", "services": services})
    command(
        f"""case "$*" in version*|*"compose version"*) echo 1;; *config*) echo '{config}';;
        *build*) exit 0;; *inspect*) echo 'Error: No such image: x' >&2; exit 1;;
        pull*) echo 'Error response from daemon: registry is out of reach' >&2; exit 1;; esac"""
    )
    kind, said = chosen(instance)
    assert kind == "embedded"
    assert said[-1] == (
        "engine  embedded: Docker answers, but the image postgres:17 cannot be had: docker pull failed: "
        "Error response from daemon: registry is out of reach (ENGINE=auto)"
    )


def test_docker_asked_for_and_not_there_is_an_error(
    instance: Instance, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENGINE", "docker")
    with pytest.raises(SluiceError, match="^ENGINE=docker: there is no docker command$") as raised:
        choice.choose(instance)
    assert raised.value.code == 1


def test_embedded_asked_for_does_not_look_for_docker(
    instance: Instance, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("exit 9")
    monkeypatch.setenv("ENGINE", "embedded")
    monkeypatch.setattr(containers, "unavailable", lambda: pytest.fail("asked"))
    assert chosen(instance) == ("embedded", [])


def test_what_runs_already_is_kept(instance: Instance, command: Any) -> None:
    instance.write_info(info_of(ProcessId.of(os.getpid()), "embedded"))
    assert chosen(instance) == ("embedded", [])


def test_containers_that_run_are_kept_and_restarted_ones_are_not_the_same(instance: Instance, command: Any) -> None:
    facts = json.dumps([{"Id": "abc", "State": {"Running": True, "StartedAt": "2026-01-01T00:00:00Z"}}])
    command(f"echo '{facts}'")
    same, other = ContainerId("abc", "2026-01-01T00:00:00Z"), ContainerId("abc", "2025-12-31T00:00:00Z")
    assert same.alive()
    assert not other.alive()
    instance.write_info(info_of(same, "docker"))
    assert instance.info() == info_of(same, "docker")
    assert chosen(instance) == ("docker", [])


def test_an_engine_whose_daemon_stopped_says_so(command: Any) -> None:
    command("echo 'Cannot connect to the Docker daemon. Is the docker daemon running?' >&2; exit 1")
    gone = info_of(ContainerId("abc", "x"), "docker")
    assert not gone.engine.alive()
    assert not_running(gone) == (
        "the engine runs in Docker, and no Docker daemon answers (Cannot connect to the Docker daemon. "
        "Is the docker daemon running?): start Docker, then `make up`"
    )
    command("echo 1")
    assert "started again empty: `make up` brings it back" in not_running(gone)


def test_an_error_is_one_line_the_one_that_says_why(command: Any) -> None:
    command("echo ' Container a  Creating' >&2; echo 'Error response from daemon: no space left on device' >&2; exit 1")
    with pytest.raises(DockerError) as raised:
        containers.docker("compose", "up")
    assert str(raised.value) == "docker compose failed: Error response from daemon: no space left on device"


def test_containers_of_another_checkout_are_not_touched() -> None:
    labels = {"com.docker.compose.project": "sluice", "com.docker.compose.project.working_dir": "/elsewhere"}
    with pytest.raises(
        SluiceError, match="the compose project sluice belongs to /elsewhere: `make down` there, or set"
    ):
        compose.refuse_strangers({"localstack": {"Config": {"Labels": labels}}})


def test_the_hash_of_the_image_follows_what_it_is_made_of(tmp_path: Path) -> None:
    for name in images._FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    code = tmp_path / "localstack/extension/sluice_ext/a.py"
    code.parent.mkdir(parents=True)
    code.write_text("1")
    first = images.inputs_of(tmp_path)
    (code.parent / "__pycache__").mkdir()
    (code.parent / "__pycache__/a.pyc").write_text("x")
    assert images.inputs_of(tmp_path) == first
    code.write_text("2")
    assert images.inputs_of(tmp_path) != first


def test_the_image_with_glue_follows_its_locks_and_the_other_does_not(tmp_path: Path) -> None:
    for name in (*images._FILES, "localstack/glue/spark.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    plain, glue = (images.inputs_of(tmp_path, target) for target in (images.ENGINE, images.GLUE))
    assert plain != glue
    (tmp_path / "localstack/glue/spark.txt").write_text("another")
    assert images.inputs_of(tmp_path) == plain
    assert images.inputs_of(tmp_path, images.GLUE) != glue


def test_an_image_that_there_is_not_is_named_and_nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images.containers, "inspect", lambda *_: None)
    service = {"image": "sluice-localstack:1", "build": {"args": {"SLUICE_IMAGE_TARGET": "gleu"}}}

    def compose(*words: str, **_: object) -> str:
        pytest.fail(" ".join(words))

    with pytest.raises(SluiceError, match="SLUICE_IMAGE_TARGET is 'gleu'; it may be engine or glue"):
        images.ensure({"localstack": service}, compose, print)


def test_the_image_gets_every_file_that_its_hash_covers() -> None:
    from sluice.paths import ROOT

    lines = (ROOT / "localstack/Dockerfile.dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    assert allowed == {*images._FILES, *images._FOLDERS, "localstack/glue"} - {"localstack/Dockerfile"}
