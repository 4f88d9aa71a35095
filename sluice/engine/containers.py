"""Docker, by its command line: whether a daemon answers, what runs, and errors as one line.

The command and no SDK, because it finds the daemon as the user's own commands do (contexts, DOCKER_HOST, ssh).
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from sluice.console import FAILED, SluiceError, fail

ANSWER_SECONDS = 3.0  # a daemon that takes longer counts as absent
COPY_SECONDS = 600.0  # of a saved state, into a container or out of it
CALL_SECONDS = 120.0  # no call but a build or a pull takes as long; a daemon that hangs must not hang us


class DockerError(SluiceError):
    """A docker command failed; `said` is all that it printed."""

    def __init__(self, message: str, said: str = "") -> None:
        super().__init__(message, FAILED)
        self.said = said


def docker(
    *arguments: str,
    seconds: float | None = CALL_SECONDS,
    env: Mapping[str, str] | None = None,
    both: bool = False,
) -> str:
    """What `docker <arguments>` prints (with `both` also its errors). Raises DockerError in one line when it fails."""
    try:
        done = subprocess.run(
            ["docker", *arguments], env={**os.environ, "DOCKER_BUILDKIT": "1", **(env or {})}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT if both else subprocess.PIPE,
            timeout=seconds, check=False, errors="replace",
        )  # fmt: skip
    except FileNotFoundError:
        raise DockerError("there is no docker command") from None
    except subprocess.TimeoutExpired:
        raise DockerError(f"the Docker daemon does not answer (docker {arguments[0]}: {seconds:.0f} s)") from None
    if done.returncode:
        said = (done.stderr or "") + (done.stdout or "")
        raise DockerError(f"docker {arguments[0]} failed: {_reason(said)}", said)
    return done.stdout


@contextmanager
def reading(*arguments: str, given: bytes = b"") -> Iterator[IO[bytes]]:
    """What `docker <arguments>` prints, as a stream. given: its input. Raises DockerError at the end when it failed."""
    with tempfile.TemporaryFile() as standard_input:
        standard_input.write(given)
        standard_input.seek(0)
        with _running(arguments, stdin=standard_input, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            yield process.stdout


@contextmanager
def writing(*arguments: str) -> Iterator[IO[bytes]]:
    """The input of `docker <arguments>`, as a stream. Raises DockerError at the end when it failed."""
    with _running(arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        try:
            yield process.stdin
            process.stdin.close()
        except BrokenPipeError:
            pass  # it has ended, and says why


@contextmanager
def _running(arguments: Sequence[str], **streams: Any) -> Iterator[subprocess.Popen[bytes]]:
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(["docker", *arguments], stderr=errors, **streams)
        limit = threading.Timer(COPY_SECONDS, process.kill)
        limit.daemon = True
        limit.start()
        try:
            yield process
            code = process.wait()
        finally:
            limit.cancel()
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
        if code:
            errors.seek(0)
            said = errors.read().decode(errors="replace")
            raise DockerError(f"docker {arguments[0]} failed: {_reason(said)}", said)


def _reason(said: str) -> str:
    """The line of a command's output that says why; compose and buildkit print progress around it."""
    lines = [" ".join(line.split()) for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower() or "cannot" in line.lower()]
    return (telling or lines or ["no output"])[-1][:400]


def unavailable() -> str | None:
    """Why Docker cannot be used, or None when a daemon answers within 3 seconds and compose is there."""
    if shutil.which("docker") is None:
        return "there is no docker command"
    try:
        docker("version", "--format", "{{.Server.Version}}", seconds=ANSWER_SECONDS)
    except DockerError as error:
        timed_out = "does not answer (" in str(error)
        reason = f"within {ANSWER_SECONDS:.0f} s" if timed_out else f"({_reason(error.said or str(error)).rstrip('.')})"
        return f"no Docker daemon answers {reason}"
    try:
        docker("compose", "version", seconds=10)
    except DockerError:
        return "docker has no compose plugin, version 2"
    return None


def inspect(kind: str, name: str) -> dict[str, Any] | None:
    """Facts about a container, an image or a volume; None when there is none. Raises DockerError otherwise."""
    try:
        found = json.loads(docker(kind, "inspect", name))
    except DockerError as error:
        if "no such" in error.said.lower():
            return None
        raise
    return dict(found[0]) if found else None


def with_labels(*labels: str) -> list[str]:
    """Ids of the containers, running or not, that carry all labels (`name` or `name=value`)."""
    filters = [word for label in labels for word in ("--filter", f"label={label}")]
    return docker("ps", "-aq", "--no-trunc", *filters).split()


def remove(containers: Sequence[str]) -> None:
    """Ends containers and removes them with their anonymous volumes; one that is gone already is no error."""
    for container in containers:
        try:
            docker("rm", "-fv", container)
        except DockerError as error:
            if "no such container" not in error.said.lower():
                raise


@dataclass(frozen=True)
class ContainerId:
    """A container and when it was started: after a restart it is another server, with nothing in its memory."""

    container: str
    started: str
    """As Docker says it (State.StartedAt)."""

    @classmethod
    def of(cls, name: str) -> ContainerId:
        """The container of that name or id. Raises DockerError when there is none."""
        found = inspect("container", name)
        if found is None:
            fail(f"there is no container {name}", FAILED)
        return cls(str(found["Id"]), str(found["State"]["StartedAt"]))

    @property
    def short(self) -> str:
        return self.container[:12]

    def alive(self) -> bool:
        """True when it runs, and was not started again; False, too, when no daemon answers."""
        try:
            found = inspect("container", self.container)
        except DockerError:
            return False
        return found is not None and found["State"]["Running"] and found["State"]["StartedAt"] == self.started

    def memory(self) -> list[tuple[str, int]]:
        """Command and resident bytes of each process in it; empty when it does not run."""
        try:
            lines = docker("top", self.container, "-eo", "pid,rss,args").splitlines()[1:]
        except DockerError:
            return []
        found = [line.split(None, 2) for line in lines]
        return [(words[2], int(words[1]) * 1024) for words in found if len(words) == 3]

    def pid_of(self, word: str) -> int:
        """The process number, on the daemon's machine, of the first process with this word in its command, the
        container's init apart. Raises DockerError when there is none."""
        lines = docker("top", self.container, "-eo", "pid,args").splitlines()[1:]
        for pid, command in (line.split(None, 1) for line in lines):
            if word in command.split() and "docker-init" not in command:
                return int(pid)
        raise DockerError(f"container {self.short} runs no {word}")


def address_inside(container: str, name: str) -> str:
    """What a name is in a container, if that is an address of this machine; else 127.0.0.1.

    On Linux `host.docker.internal` is the bridge's address. Docker Desktop's is one of its virtual machine, which
    forwards it to 127.0.0.1. https://docs.docker.com/desktop/features/networking/#use-cases-and-workarounds
    """
    found = docker("exec", container, "getent", "ahostsv4", name).split()
    return found[0] if found and _is_ours(found[0]) else "127.0.0.1"


def _is_ours(address: str) -> bool:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
