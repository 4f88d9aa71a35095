"""The engine as containers: an instance's compose project, the same file that `docker compose up` reads."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sluice import containers
from sluice.console import SluiceError, fail, note
from sluice.containers import ContainerId, DockerError, docker
from sluice.engine import images, localstack, ports, postgres
from sluice.engine.facts import EngineStatus
from sluice.instance import EngineInfo, Instance
from sluice.paths import ROOT, SLUICE_DIR
from sluice.processes import wait_until

FILE = ROOT / "docker-compose.yml"
KIND = "docker"
START_SECONDS = 90.0
LOG_LINES = 15
ATTEMPTS = 3  # another program may take a free port between our look and the start
SERVICES = ("localstack", "postgres")
_TAKEN = re.compile(r"port is already allocated|address already in use|ports are not available", re.IGNORECASE)
_FOREIGN = "which is without Sluice's extension: no process executor, fault control, role record, metrics or alarms"


class Project:
    """An instance's compose project: its name, and `docker compose` with its settings."""

    def __init__(self, instance: Instance) -> None:
        self.flags = ["--project-directory", str(ROOT), "-f", str(FILE)]
        if not is_of_the_checkout(instance):
            digest = hashlib.sha256(str(instance.home).encode()).hexdigest()[:8]
            self.flags += ["-p", f"sluice-{digest}"]
        self.settings: dict[str, str] = {}

    def compose(self, *arguments: str, seconds: float = containers.CALL_SECONDS, **settings: str) -> str:
        """`docker compose <arguments>`; settings: more variables for the compose file. Raises DockerError."""
        return docker("compose", *self.flags, *arguments, seconds=seconds, env=self.settings | settings)

    def resolved(self) -> dict[str, Any]:
        """The compose file with all variables filled in (environment, then .env, then defaults)."""
        return dict(json.loads(self.compose("config", "--format", "json")))

    def found(self) -> dict[str, dict[str, Any]]:
        """The project's containers by service, running or not, as `docker inspect` shows them."""
        name = self.resolved()["name"]
        every = [
            containers.inspect("container", one) for one in containers.with_labels(f"com.docker.compose.project={name}")
        ]
        return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in every if one}


def is_of_the_checkout(instance: Instance) -> bool:
    """Whether it is the one that `docker compose up`, typed in the checkout, starts."""
    return instance.home == (SLUICE_DIR / "state").resolve()


def marker(instance: Instance) -> Path:
    """A file that says that the instance may have containers; it outlives a start that was killed."""
    return instance.home / "docker.containers"


def has_containers(instance: Instance) -> bool:
    """Whether there may be containers of the instance, as far as can be told in a moment."""
    if marker(instance).exists():
        return True
    if not is_of_the_checkout(instance) or containers.unavailable() is not None:
        return False
    return bool(Project(instance).found())


def volumes_marker(instance: Instance) -> Path:
    """A file that says that PostgreSQL's volume is the instance's: names alone do not tell two checkouts apart."""
    return instance.home / "docker.volumes"


def prepare(instance: Instance, report: Callable[[str], None] = note) -> None:
    """Builds and pulls what `up` needs. Raises DockerError when an image cannot be had."""
    project = Project(instance)
    images.ensure(project.resolved()["services"], project.compose, report)


def up(
    instance: Instance,
    *,
    faults: bool = False,
    port: int | None = None,
    postgres_port: int | None = None,
    env: Mapping[str, str] | None = None,
    report: Callable[[str], None] = note,
) -> EngineInfo:
    """Starts the containers that do not run yet, waits until both servers answer, and returns what runs.

    The arguments are those of the embedded engine's. Containers that `docker compose up` started are taken over.
    Raises SluiceError (code 1) when a server does not start; its last lines are reported and its containers removed.
    """
    with instance.lock():
        info = instance.info()
        if info is not None and info.kind == KIND and answers(info):
            if faults and not info.faults:
                fail("the engine runs without fault control: `sluice down` first", 1)
            report(f"engine  runs since {info.started_at} at {info.endpoint_url} (docker)")
            return info
        if (reason := containers.unavailable()) is not None:
            fail(f"ENGINE=docker: {reason}", 1)
        project = Project(instance)
        project.settings |= {"SLUICE_FAULTS": "1"} if faults else {}
        project.settings |= env or {}
        before = project.found()
        _refuse_strangers(before)
        images.ensure(project.resolved()["services"], project.compose, report)
        marker(instance).touch()
        volumes_marker(instance).touch()
        wanted = _wanted_ports(project, instance, port, postgres_port)
        for attempt in range(1, ATTEMPTS + 1):
            _set_ports(project, before, wanted, report)
            try:
                return _start(instance, project, report)
            except DockerError as error:
                if not _TAKEN.search(error.said) or attempt == ATTEMPTS:
                    raise
                report("engine  another program took a port meanwhile: trying another")
                wanted = dict.fromkeys(wanted)
        raise AssertionError("unreachable")


def _refuse_strangers(found: Mapping[str, Mapping[str, Any]]) -> None:
    """Two checkouts must not share one project: each would replace the other's containers."""
    for one in found.values():
        place = one["Config"]["Labels"].get("com.docker.compose.project.working_dir", str(ROOT))
        if place != str(ROOT):
            name = one["Config"]["Labels"]["com.docker.compose.project"]
            fail(
                f"the compose project {name} belongs to {place}: `make down` there, or set COMPOSE_PROJECT_NAME here", 1
            )


def _wanted_ports(
    project: Project, instance: Instance, port: int | None, postgres_port: int | None
) -> dict[str, int | None]:
    """Ports to prefer: those asked for, else for the default instance those of .env or the defaults."""
    services = project.resolved()["services"]
    given = {"localstack": port, "postgres": postgres_port}
    if instance != Instance.default():
        return dict(given)
    return {name: wanted or int(services[name]["ports"][0]["published"]) for name, wanted in given.items()}


def _set_ports(
    project: Project,
    before: Mapping[str, Mapping[str, Any]],
    wanted: Mapping[str, int | None],
    report: Callable[[str], None],
) -> None:
    """Gives each server a free port; one that runs already keeps its own."""
    for service, variable, what in (
        ("localstack", "SLUICE_PORT", "engine"),
        ("postgres", "SLUICE_POSTGRES_PORT", "postgres"),
    ):
        preferred = wanted[service]
        kept = _published(before.get(service, {}))
        chosen = kept if kept and (preferred is None or kept == preferred) else ports.choose(preferred)
        if preferred is not None and chosen != preferred:
            report(f"{what:<7} port {preferred} is taken by another program: using {chosen}")
        project.settings[variable] = str(chosen)


def _published(container: Mapping[str, Any]) -> int | None:
    """The port on this machine of a container that runs."""
    if not container or not container["State"]["Running"]:
        return None
    bindings = [one for found in container["NetworkSettings"]["Ports"].values() for one in found or []]
    return int(bindings[0]["HostPort"]) if bindings else None


def _start(instance: Instance, project: Project, report: Callable[[str], None]) -> EngineInfo:
    began = time.monotonic()
    instance.logs_dir.mkdir(parents=True, exist_ok=True)
    services = project.resolved()["services"]
    port, postgres_port = (int(services[name]["ports"][0]["published"]) for name in SERVICES)
    password = str(services["postgres"]["environment"]["POSTGRES_PASSWORD"])
    image = str(services["localstack"]["image"])
    try:
        project.compose("up", "-d", "--no-build")
        version = _wait(project, "postgres", lambda: postgres.server_version(postgres_port, password))
        health = _wait(project, "localstack", lambda: localstack.health(port) or localstack.foreign_health(port))
    except BaseException as error:
        if isinstance(error, _NoAnswer):
            for line in error.log:
                report(f"  {line}")
        _give_up(project)
        raise
    versions = health.get("versions") or {"localstack": str(health.get("version"))}
    if "sluice_ext" not in versions:
        report(f"engine  {image} is LocalStack {versions['localstack']}, {_FOREIGN}")
    found = project.found()
    info = EngineInfo(
        port=port,
        postgres_port=postgres_port,
        postgres_password=password,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        faults=bool(health.get("faults")),
        engine=ContainerId.of(found["localstack"]["Id"]),
        postgres=ContainerId.of(found["postgres"]["Id"]),
        versions={**versions, "postgres": str(version)},
        kind=KIND,
    )
    _forget_what_is_gone(instance, info)
    instance.write_info(info)
    report(
        f"engine  ready at {info.endpoint_url}, PostgreSQL at 127.0.0.1:{postgres_port} (docker,"
        f" {time.monotonic() - began:.1f} s)"
    )
    return info


def _forget_what_is_gone(instance: Instance, now: EngineInfo) -> None:
    """Terraform's state describes what was in LocalStack's memory: it goes with it."""
    before = instance.info()
    if before is None or before.engine != now.engine:
        for state in instance.terraform_dir.glob("*.tfstate*"):
            state.unlink(missing_ok=True)


class _NoAnswer(SluiceError):
    """A server did not start; `log` holds its last lines."""

    def __init__(self, message: str, log: list[str]) -> None:
        super().__init__(message, 1)
        self.log = log


def _wait[T](project: Project, service: str, answer: Callable[[], T | None]) -> T:
    """Waits for a server's first answer. Raises _NoAnswer when its container ends or takes long."""
    answers: list[T] = []
    state: dict[str, Any] = {}
    looked = 0.0

    def ready() -> bool:
        nonlocal state, looked
        answers.extend(found for found in [answer()] if found is not None)
        if not answers and time.monotonic() - looked > 1.0:
            state, looked = project.found().get(service, {}).get("State", {}), time.monotonic()
        return bool(answers) or state.get("Status") in ("exited", "dead")

    wait_until(ready, START_SECONDS, interval=0.05)
    if answers:
        return answers[0]
    log = project.compose("logs", "--no-log-prefix", "--no-color", "--tail", str(LOG_LINES), service).splitlines()
    ended = state.get("Status") in ("exited", "dead")
    reason = f"ended with code {state.get('ExitCode')}" if ended else f"did not answer within {START_SECONDS:.0f} s"
    raise _NoAnswer(f"{service} {reason}; its last log lines are above", log)


def _give_up(project: Project) -> None:
    """Removes the containers of a start that failed; volumes stay."""
    try:
        project.compose("down", "--timeout", "3")
    except DockerError as error:
        note(f"engine  what was started could not be removed: {error}")


def answers(info: EngineInfo) -> bool:
    """True when both containers run and both servers answer."""
    if not (info.engine.alive() and info.postgres.alive()):
        return False
    if localstack.health(info.port) is None and localstack.foreign_health(info.port) is None:
        return False
    try:
        return postgres.server_version(info.postgres_port, info.postgres_password) is not None
    except SluiceError:
        return False


def down(instance: Instance, *, volumes: bool = False) -> bool:
    """Removes the instance's containers and network. Returns False when there were none.

    LocalStack's scratch volume goes, for what it holds means nothing to another start; PostgreSQL's stays unless
    `volumes`. Raises DockerError when the daemon does not answer: nothing can be said about its containers then.
    """
    with instance.lock():
        info = instance.info()
        project = Project(instance)
        found = project.found()
        _refuse_strangers(found)
        project.compose("down", "--remove-orphans", *(["--volumes"] if volumes else []))
        if not volumes:
            scratch = f"{project.resolved()['name']}_localstack"
            if containers.inspect("volume", scratch) is not None:
                docker("volume", "rm", scratch)
        marker(instance).unlink(missing_ok=True)
        if volumes:
            volumes_marker(instance).unlink(missing_ok=True)
        if info is not None and info.kind == KIND:
            instance.info_file.unlink(missing_ok=True)
            for state in instance.terraform_dir.glob("*.tfstate*"):
                state.unlink(missing_ok=True)
        return bool(found)


def status(instance: Instance, info: EngineInfo) -> EngineStatus:
    """What runs, measured now."""
    assert isinstance(info.engine, ContainerId)
    assert isinstance(info.postgres, ContainerId)
    if not info.engine.alive():
        return EngineStatus(running=False, home=str(instance.home), kind=KIND)
    processes = info.engine.memory()
    engine = sum(size for command, size in processes if localstack.MODULE in command)
    started = datetime.fromisoformat(re.sub(r"\.\d+", "", info.engine.started).replace("Z", "+00:00"))
    return EngineStatus(
        running=True,
        healthy=answers(info),
        home=str(instance.home),
        kind=KIND,
        endpoint_url=info.endpoint_url,
        postgres_port=info.postgres_port,
        engine_memory=engine,
        functions_memory=sum(size for _, size in processes) - engine,
        postgres_memory=sum(size for _, size in info.postgres.memory()),
        uptime=(datetime.now(UTC) - started).total_seconds(),
        started_at=info.started_at,
        faults=info.faults,
        versions=info.versions,
        containers={"localstack": info.engine.short, "postgres": info.postgres.short},
    )
