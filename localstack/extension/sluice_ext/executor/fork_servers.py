"""Cold starts by a fork: from the second one on, a function version's environments begin with its libraries imported.

The first start is an ordinary one and says which modules its handler imported. fork_server.py is the other end.
"""

import contextlib
import json
import logging
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sluice_ext import processes, settings
from sluice_ext.executor.isolation import BOOTSTRAP

LOG = logging.getLogger(__name__)
_ANSWER_SECONDS = 60.0  # imports on a busy machine
_IDLE_SECONDS = 60.0
_SERVERS = 8
"""Most fork servers at once; one that forked something which still runs is not ended."""
_KNOWN = 256
_REPORT = 1 << 20
# They differ between two environments of a version.
OWN = frozenset({
    "AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
})  # fmt: skip


class Refused(Exception):
    """The server cannot fork."""


@dataclass(frozen=True)
class Start:
    """What a function process is started with. ``folders`` become its /tmp, /var/task and /opt ("": none)."""

    interpreter: Path
    variables: dict[str, str]
    folders: tuple[str, str, str]
    keep: list[str]
    handler: str

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for two environments of one version, and for no others."""
        shared = tuple(sorted((name, value) for name, value in self.variables.items() if name not in OWN))
        return self.interpreter, shared, self.folders[1:], self.handler

    def command(self, *mode: str) -> list[str]:
        """Of the process."""
        arguments = [str(os.getpid()), *self.folders, os.pathsep.join(self.keep), self.handler]
        return [str(self.interpreter), "-s", str(BOOTSTRAP), *arguments, *mode]


class Forked:
    """A forked process, as the part of subprocess.Popen that is used of one."""

    def __init__(self, pid: int, server: "Server") -> None:
        self.pid = pid
        self._server = server
        self._handle = os.pidfd_open(pid)
        self._status: int | None = None
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Exit status (negative = signal); None while it runs."""
        with self._lock:
            if self._status is None and select.select([self._handle], [], [], 0)[0]:
                self._status = self._server.reap(self)
                os.close(self._handle)
            return self._status

    def wait(self) -> int:
        """Exit status, once it has ended."""
        with self._lock:
            if self._status is None:
                select.select([self._handle], [], [])
        status = self.poll()
        assert status is not None
        return status

    def kill(self) -> None:
        """Send SIGKILL."""
        with contextlib.suppress(ProcessLookupError), self._lock:
            if self._status is None:
                os.kill(self.pid, signal.SIGKILL)


class Server:
    """The process that forks one version's environments."""

    def __init__(self, start: Start, modules: list[str]) -> None:
        self._lock = threading.Lock()
        self._children: set[int] = set()
        self.last_used = time.monotonic()
        # Its own /tmp: on one that is removed, as an environment's is, nothing can be mounted.
        self._tmp = tempfile.mkdtemp(prefix="fork-", dir=Path(start.folders[0]).parent)
        own = replace(start, folders=(self._tmp, *start.folders[1:]))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = processes.start(
                own.command(f"serve:{theirs.fileno()}"),
                env={name: value for name, value in start.variables.items() if name not in OWN},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        ours.settimeout(_ANSWER_SECONDS)
        self._channel = ours
        if reason := self._ask({"load": modules}).get("unsafe"):
            self.end()
            raise Refused(reason)

    def _ask(self, request: dict[str, Any], *handles: int) -> dict[str, Any]:
        try:
            with self._lock:
                socket.send_fds(self._channel, [json.dumps(request).encode()], list(handles))
                answer = self._channel.recv(_REPORT)
        except OSError as error:
            raise Refused(f"the fork server does not answer: {error}") from error
        if not answer:
            raise Refused("the fork server has ended")
        found: dict[str, Any] = json.loads(answer)
        return found

    def fork(self, start: Start, output: int) -> Forked:
        """An environment whose output goes to a descriptor. Raises Refused."""
        own = {name: value for name, value in start.variables.items() if name in OWN}
        self.last_used = time.monotonic()
        pid = self._ask({"fork": {"name": Path(start.folders[0]).name, "variables": own}}, output)["pid"]
        self._children.add(pid)
        return Forked(pid, self)

    def reap(self, child: Forked) -> int:
        """Exit status of a process that has ended; it is a zombie, and its id its own, until then."""
        self._children.discard(child.pid)
        try:
            return int(self._ask({"reap": child.pid})["status"])
        except Refused:
            return -signal.SIGKILL  # it ended with the server

    @property
    def busy(self) -> bool:
        """Whether something that it forked may still run."""
        return bool(self._children)

    def end(self) -> None:
        """Kill it, and with it what it forked."""
        processes.kill(self._process)
        self._channel.close()
        shutil.rmtree(self._tmp, ignore_errors=True)


@dataclass
class _Version:
    report: int | None = None  # descriptor that the first start's report comes from
    server: Server | None = None
    refused: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def modules(self) -> list[str]:
        """What the first start imported; nothing when it has not said so (yet)."""
        if self.report is None:
            return []
        text = b""
        with contextlib.suppress(BlockingIOError):
            text = os.read(self.report, _REPORT)
        if text:
            self.forget_report()
        return text.decode().split() if text.endswith(b"\n\n") else []

    def forget_report(self) -> None:
        """Read no report any more."""
        if self.report is not None:
            os.close(self.report)
            self.report = None

    def forget(self) -> None:
        """It is not in the list any more; who has it still starts without a fork."""
        self.refused = True
        self.forget_report()


_versions: OrderedDict[tuple[object, ...], _Version] = OrderedDict()
_lock = threading.Lock()


def start(wanted: Start, output: int) -> Any:
    """Start a function process, whose output goes to a descriptor: a Popen, or a Forked."""
    if not settings.FORK_SERVERS or not wanted.folders[1] or "AWS_LAMBDA_EXEC_WRAPPER" in wanted.variables:
        return _ordinary(wanted, output)
    with _lock:
        version = _versions.setdefault(wanted.key, _Version())
        _versions.move_to_end(wanted.key)
    with version.lock:
        if version.refused:
            return _ordinary(wanted, output)
        try:
            if version.server is None and (modules := version.modules()):
                version.server = Server(wanted, modules)
            if version.server:
                return version.server.fork(wanted, output)
        except Refused as refused:
            LOG.info("Environments of %s are started without a fork: %s", wanted.handler, refused)
            version.refused = True
            if version.server and not version.server.busy:
                version.server.end()
            version.server = None
            return _ordinary(wanted, output)
        return _reporting(wanted, output, version)


def _ordinary(wanted: Start, output: int, *mode: str, handles: tuple[int, ...] = ()) -> Any:
    return processes.start(
        wanted.command(*mode),
        env=wanted.variables,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=handles,
    )


def _reporting(wanted: Start, output: int, version: _Version) -> Any:
    version.forget_report()
    version.report, theirs = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return _ordinary(wanted, output, f"report:{theirs}", handles=(theirs,))
    finally:
        os.close(theirs)


def expire() -> None:
    """End servers that have forked nothing for a while, or are too many; forget versions that are too many."""
    now = time.monotonic()
    with _lock:
        serving = [(key, one) for key, one in _versions.items() if one.server]
        for number, (_, one) in enumerate(reversed(serving)):
            with _unless_starting(one) as free:
                server = one.server
                unused = server is not None and (number >= _SERVERS or now - server.last_used > _IDLE_SECONDS)
                if free and server and unused and not server.busy:
                    one.server = None
                    server.end()
        for key in [key for key, one in _versions.items() if not one.server][: max(0, len(_versions) - _KNOWN)]:
            with _unless_starting(_versions[key]) as free:
                if free:
                    _versions.pop(key).forget()


@contextlib.contextmanager
def _unless_starting(version: _Version) -> Iterator[bool]:
    """Whether nothing is starting for a version; nothing does meanwhile then."""
    free = version.lock.acquire(blocking=False)
    try:
        yield free
    finally:
        if free:
            version.lock.release()


def end_all() -> None:
    """End every server; called when the engine stops."""
    with _lock:
        for version in _versions.values():
            if version.server:
                version.server.end()
            version.forget()
        _versions.clear()
