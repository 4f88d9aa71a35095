"""Peers: what is started for a comparison is gone afterwards, and what cannot be compared says why."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import pytest

from sluice.bench import engine_figures, peers, stage
from sluice.bench.peers import LOCALEMU, MINISTACK, Peer, environment, localemu, running
from sluice.console import SluiceError
from sluice.engine.containers import DockerError
from sluice.polling import wait_until

SERVER = """
import http.server, os, pathlib, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
pathlib.Path(os.environ["HERE"], "pids").write_text(f"{os.getpid()} {child.pid}")
if "END" in os.environ:
    sys.exit("no licence")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/up" else 404)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@dataclass
class Played:
    """A peer that is a small server with one process below it, and what became of it."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    cleaned: list[Path] = field(default_factory=list)
    lacks: str | None = None

    def peer(self) -> Peer:
        return Peer(
            "played", "1", ("played==1",), lambda port: ("python", "-c", SERVER, str(port)), self._settings, "/up",
            lambda: self.lacks, self.cleaned.append,
        )  # fmt: skip

    def _settings(self, home: Path, port: int) -> dict[str, str]:
        (home / "tmp").mkdir()
        return {"HERE": str(self.folder), "TMPDIR": str(home / "tmp"), **self.variables}

    def pids(self) -> list[int]:
        return [int(word) for word in (self.folder / "pids").read_text().split()]

    def is_gone(self) -> bool:
        """Its processes and its folder, and what it has elsewhere was cleaned once."""
        ended = wait_until(lambda: not any(psutil.pid_exists(pid) for pid in self.pids()), 10)
        return ended and len(self.cleaned) == 1 and not self.cleaned[0].exists()


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    monkeypatch.setattr(environment, "install", lambda *_: Path(sys.executable).parent)
    return Played(tmp_path)


def silent(_: str) -> None:
    """No progress."""


def test_a_peer_is_up_in_the_block_and_gone_after_it(played: Played) -> None:
    with peers.engine(played.peer(), silent) as found:
        assert (found.name, found.root().pid) == ("played 1", played.pids()[0])
        assert all(psutil.pid_exists(pid) for pid in played.pids())
        assert found.seconds["up"] > 0
        assert played.cleaned == []
    assert played.is_gone()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SluiceError, SystemExit])
def test_a_peer_is_gone_after_an_interrupted_measurement(played: Played, error: type[BaseException]) -> None:
    with pytest.raises(error), peers.engine(played.peer(), silent):
        raise error("interrupted")
    assert played.is_gone()


def test_a_peer_is_gone_when_the_wait_for_it_is_interrupted(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    """ctrl-C between the start of its process and its first answer left it running."""

    def interrupted(*_: object) -> bool:
        assert wait_until(lambda: (played.folder / "pids").exists() and len(played.pids()) == 2, 10)
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "_answers", interrupted)
    with pytest.raises(KeyboardInterrupt), peers.engine(played.peer(), silent):
        pytest.fail("it never answered")
    assert played.is_gone()


def test_a_peer_that_ends_by_itself_says_why_and_leaves_no_process(played: Played) -> None:
    played.variables["END"] = "1"
    with pytest.raises(SluiceError, match="^played 1 did not start: no licence$"), peers.engine(played.peer(), silent):
        pytest.fail("it never answered")
    assert played.is_gone()


def test_a_peer_that_does_not_answer_in_time_is_stopped(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "START_SECONDS", 1.0)
    silent_one = replace(played.peer(), health="/nowhere")
    with pytest.raises(SluiceError, match="did not start"), peers.engine(silent_one, silent):
        pytest.fail("it never answered")
    assert played.is_gone()


def test_a_peer_has_the_machines_variables_and_none_of_another_emulators(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL", "LAMBDA_KEEPALIVE_MS", "GATEWAY_LISTEN", "PERSISTENCE", "SERVICES", "PYTHONPATH"):
        monkeypatch.setenv(name, "of the shell")
    with peers.engine(played.peer(), silent) as found:
        process = found.root().process()
        assert process is not None
        variables = process.environ()
    assert "of the shell" not in variables.values()
    assert variables["HERE"] == str(played.folder)
    assert "PATH" in variables


@pytest.mark.parametrize("peer", peers.ALL, ids=lambda peer: peer.name)
def test_a_peer_is_installed_in_the_version_that_is_compared(
    peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert f"{peer.name}=={peer.version}" in peer.requirements
    assert all("==" in one for one in peer.requirements)
    monkeypatch.setattr(environment, "FOLDER", tmp_path)
    assert not peers.installed(peer)
    (tmp_path / peer.name).mkdir()
    (tmp_path / peer.name / ".stamp").write_text(f"{peer.name}==0.1")
    assert not peers.installed(peer)
    (tmp_path / peer.name / ".stamp").write_text("\n".join(peer.requirements))
    assert peers.installed(peer)
    assert peers.all_installed() == (peer,)


def test_a_peer_that_cannot_run_functions_is_a_figure_that_says_why(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    played.lacks = "no Docker daemon answers"
    monkeypatch.setattr(peers, "engine", lambda *_: pytest.fail("it was started"))
    (found,) = engine_figures.peer_figures(played.peer(), 20, silent)
    assert (found.group, found.name, found.value, found.note) == ("hop", "hop", None, "no Docker daemon answers")


def test_a_peer_that_does_not_take_the_core_is_measured_bare_and_says_why(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []

    def refuses(found: stage.Stage, _: Callable[[str], None], *, var_file: Path) -> float:
        seen.append(var_file)
        assert "api_enabled = false" in var_file.read_text()
        raise SluiceError("aws_sqs_queue.chunks: no such action")

    monkeypatch.setattr(stage, "deploy", refuses)
    monkeypatch.setattr(engine_figures, "_bare", lambda *_: [])
    found = {one.name: one for one in engine_figures.peer_figures(played.peer(), 20, silent)}
    assert found["real hop"].note == "the Terraform cannot be applied: aws_sqs_queue.chunks: no such action"
    assert found["real hop"].value is found["deploy, the core alone"].value is None
    assert found["up"].value
    assert not seen[0].exists()
    assert played.is_gone()


def test_functions_that_run_elsewhere_have_no_memory_of_the_engines(played: Played) -> None:
    for below, names in ((True, {"engine memory", "with functions"}), (False, {"engine memory"})):
        with peers.engine(replace(played.peer(), functions_below=below), silent) as found:
            assert {one.name for one in engine_figures.memory_figures(found)} == names


# -- LocalEmu ----------------------------------------------------------------------------------------------------------


@dataclass
class Docker:
    """Answers of the docker command by its first words; without one, the daemon is not there."""

    answers: dict[str, str | DockerError] = field(default_factory=dict)
    calls: list[tuple[str, ...]] = field(default_factory=list)

    def __call__(self, *words: str, seconds: float | None = None) -> str:
        self.calls.append(words)
        answer = self.answers.get(words[0], DockerError("docker version failed: Cannot connect"))
        if isinstance(answer, DockerError):
            raise answer
        return answer


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> Docker:
    monkeypatch.delenv(localemu.IMAGE_VARIABLE, raising=False)
    made = Docker()
    monkeypatch.setattr(localemu.containers, "docker", made)
    return made


def test_localemu_without_a_daemon_says_so(docker: Docker) -> None:
    reason = LOCALEMU.lacks()
    assert reason == (
        "its functions run in containers, and no Docker daemon answers: docker version failed: Cannot connect"
    )


@pytest.mark.parametrize("image", ["", "registry.example/python:3.13"])
def test_localemu_whose_image_cannot_be_pulled_names_it_and_the_variable(
    image: str, docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    if image:
        monkeypatch.setenv(localemu.IMAGE_VARIABLE, image)
    docker.answers |= {"version": "28", "pull": DockerError("docker pull failed: no route to host")}
    reason = LOCALEMU.lacks() or ""
    assert reason.startswith(f"its functions run in containers of {image or localemu.IMAGE}, which cannot be pulled")
    assert localemu.IMAGE_VARIABLE in reason
    assert reason.endswith("no route to host")


def test_localemu_with_daemon_and_image_lacks_nothing(docker: Docker) -> None:
    docker.answers |= {"version": "28", "pull": localemu.IMAGE}
    assert LOCALEMU.lacks() is None
    assert docker.calls[-1] == ("pull", "-q", localemu.IMAGE)


@pytest.mark.parametrize(
    ("gateway", "addresses"),
    [("127.0.0.1\n", "127.0.0.1:4,127.0.0.1:4"), ("192.0.2.1\n", "127.0.0.1:4"), (None, "127.0.0.1:4")],
    ids=["the bridge is here", "the bridge is on another machine", "no bridge"],
)
def test_localemu_listens_where_its_containers_reach_it_and_nowhere_else(
    gateway: str | None, addresses: str, docker: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/other.sock")
    if gateway:
        docker.answers["network"] = gateway
    found = LOCALEMU.settings(tmp_path, 4)
    assert found["GATEWAY_LISTEN"] == addresses
    assert found["DOCKER_HOST"] == "unix:///run/other.sock"
    assert json.loads(found["LAMBDA_RUNTIME_IMAGE_MAPPING"]) == {"python3.13": localemu.IMAGE}
    assert all(found[name].startswith(f"{tmp_path}/") for name in ("FILESYSTEM_ROOT", "CONFIG_DIR", "TMPDIR"))


def test_localemus_containers_are_removed_by_the_label_of_its_own_run(docker: Docker, tmp_path: Path) -> None:
    docker.answers |= {"ps": "c1\nc2\n", "rm": ""}
    label = f"{localemu.LABEL}={tmp_path.name}"
    assert LOCALEMU.settings(tmp_path, 4)["LAMBDA_DOCKER_FLAGS"] == f"--label {label}"
    docker.calls.clear()
    LOCALEMU.clean(tmp_path)
    assert docker.calls == [
        ("ps", "-aq", "--no-trunc", "--filter", f"label={label}"), ("rm", "-fv", "c1"), ("rm", "-fv", "c2"),
    ]  # fmt: skip


def test_ministack_writes_to_its_own_folder_only(tmp_path: Path) -> None:
    found = MINISTACK.settings(tmp_path, 4)
    assert (found["GATEWAY_PORT"], found["BIND_HOST"]) == ("4", "127.0.0.1")
    for name in ("TMPDIR", "S3_DATA_DIR", "STATE_DIR"):
        assert Path(found[name]).parent == tmp_path
        assert Path(found[name]).is_dir()
