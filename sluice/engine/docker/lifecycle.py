"""The Docker engine: both servers as containers of a compose project, started, stopped and measured."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from sluice.console import SluiceError, fail, note
from sluice.engine import containers, keeping, servers
from sluice.engine.containers import ContainerId, DockerError, docker
from sluice.engine.docker import compose, database, images
from sluice.engine.docker.compose import KIND, Project
from sluice.engine.docker.volume import Volume
from sluice.engine.facts import EngineStatus
from sluice.engine.instance import EngineInfo, Instance
from sluice.engine.starting import LOG_LINES, Chosen, Ports, PortTaken, Report, StartFailed
from sluice.engine.states.files import LAST, States

DEFAULT_PORTS = Ports(4566, 5432)  # of docker-compose.yml
START_SECONDS = 90.0
LOOK_SECONDS = 1.0  # between two looks at the containers' states, which cost a command each
_TAKEN = re.compile(r"port is already allocated|address already in use|ports are not available", re.IGNORECASE)
_FOREIGN = "which is without Sluice's extension: no process executor, fault control, role record, metrics or alarms"


class DockerServers:
    """The servers of one instance as containers (see `sluice.engine.starting.Servers`).

    Containers that `docker compose up` started are taken over.
    """

    kind = KIND
    engine_name = "localstack"
    accepts_foreign = True

    def __init__(self, instance: Instance, *, faults: bool, env: Mapping[str, str], empty: bool = False) -> None:
        self.start_seconds = START_SECONDS
        self._instance = instance
        self._empty = empty
        self._save_minutes = keeping.save_minutes()
        self._restore: keeping.Restore | None = None
        self._project = Project(instance)
        self._project.settings |= {"SLUICE_FAULTS": "1"} if faults else {}
        self._project.settings |= env
        self._data = database.Data(instance, self._project)
        self._before: dict[str, dict[str, Any]] = {}
        self._states: dict[str, dict[str, Any]] = {}
        self._looked = 0.0

    def describe(self, info: EngineInfo) -> str:
        return info.kind

    def prepare(self, report: Report) -> None:
        if (reason := containers.unavailable()) is not None:
            fail(f"ENGINE=docker: {reason}", 1)
        self._before = self._project.found()
        compose.refuse_strangers(self._before)
        images.ensure(self._services(), self._project.compose, report)
        begun = compose.marker(self._instance).exists()
        compose.marker(self._instance).touch()
        compose.volumes_marker(self._instance).touch()
        self._project.remove_one_offs()
        before = self._instance.info()
        if self._empty:
            self._forget_everything(report)
        elif not (before is not None and before.engine.alive()) and (begun or not self._is_in_use(report)):
            self._begin_restore(report, crashed=before is not None)

    def _forget_everything(self, report: Report) -> None:
        self._remove_servers("--volumes")
        self._data.unmark()
        if keeping.discard(self._instance):
            report("engine  begins empty; the saved state was removed")

    def _is_in_use(self, report: Report) -> bool:
        """Whether an engine that `docker compose up` started has been used since: it is not replaced then."""
        port = compose.published(self._before.get("localstack", {}))
        health = servers.foreign_health(port) if port else None
        used = health is not None and "running" in health.get("services", {}).values()
        if used and States(self._instance.states_dir).path(LAST).exists():
            report(
                "engine  is the one of `docker compose up`, which holds something: the saved state stays as it is until"
                f" `sluice down`; `sluice snapshot load {LAST}` takes it instead"
            )
        return used

    def _begin_restore(self, report: Report, *, crashed: bool) -> None:
        if States(self._instance.states_dir).path(LAST).exists():
            self._remove_servers()
        self._restore = keeping.Restore.begin(self._instance, KIND, self._data, report, crashed=crashed)

    def _remove_servers(self, *flags: str) -> None:
        self._project.remove_servers(*flags)
        self._before = {}

    def wanted_ports(self, port: int | None, postgres_port: int | None) -> Ports:
        """Those asked for, else (for the default instance) those that the user set in the environment or .env, else
        those of the containers that run, of the saved state or the last start, and the usual ones."""
        last, running = self._instance.last_ports(), self.kept_ports()
        if self._restore is not None:
            saved = self._restore.ports()
            last = {name: port for name, port in zip(("engine", "postgres"), saved, strict=True) if port}
        found = []
        for name, service, asked, own in (
            ("engine", "localstack", port, running.engine),
            ("postgres", "postgres", postgres_port, running.postgres),
        ):
            usual = self._published_port(service) if self._instance.is_default else None
            is_set = usual not in (None, getattr(DEFAULT_PORTS, name))
            found.append(asked or (usual if is_set else own or last.get(name, usual)))
        return Ports(*found)

    def kept_ports(self) -> Ports:
        running = (compose.published(self._before.get(service, {})) for service in ("localstack", "postgres"))
        return Ports(*running)

    def launch(self, chosen: Chosen) -> str:
        self._project.settings |= {"SLUICE_PORT": str(chosen.engine), "SLUICE_POSTGRES_PORT": str(chosen.postgres)}
        try:
            if self._restore is not None:
                self._project.compose("up", "--no-start", "--no-build")
                self._restore.launching(chosen)
                self._volume().send(LAST)
            self._data.unmark()
            self._project.compose("up", "-d", "--no-build")
        except DockerError as error:
            if _TAKEN.search(error.said):
                raise PortTaken(str(error)) from error
            raise
        self._looked = time.monotonic()
        return str(self._services()["postgres"]["environment"]["POSTGRES_PASSWORD"])

    def exit_code(self, name: str) -> int | None:
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._states = {service: found.get("State", {}) for service, found in self._project.found().items()}
            self._looked = time.monotonic()
        state = self._states.get(name, {})
        return int(state.get("ExitCode", 0)) if state.get("Status") in ("exited", "dead") else None

    def failure(self, name: str, port: int, reason: str) -> SluiceError:
        del port
        container = self._project.found()[name]["Id"]
        log = docker("logs", "--tail", str(LOG_LINES), container, both=True)
        refused = name == "localstack" and self.exit_code(name) == keeping.REFUSED_STATUS
        if self._restore is not None and refused:
            return SluiceError(self._restore.refused(log.splitlines()))
        return StartFailed(f"{name} {reason}; its last log lines are above", log.splitlines())

    def abandon(self) -> None:
        """Removes the containers; PostgreSQL's volume stays, as it was before."""
        try:
            self._project.remove_servers("--timeout", "3")
            self._data.undo()
        except DockerError as error:
            note(f"engine  what was started could not be removed: {error}")

    def started(self, health: Mapping[str, Any], report: Report) -> tuple[ContainerId, ContainerId]:
        if "sluice_ext" not in health.get("versions", {}):
            image = self._services()["localstack"]["image"]
            if self._restore is not None:
                self.abandon()
                fail(f"{image} cannot restore the saved state, {_FOREIGN}; {keeping.BEGIN_EMPTY}", 1)
            report(f"engine  {image} is LocalStack {health.get('version')}, {_FOREIGN}")
        found = self._project.found()
        engine = ContainerId.of(found["localstack"]["Id"])
        before = self._instance.info()
        if self._restore is not None:
            self._volume().forget()
            self._restore.end(report)
        elif before is None or before.engine != engine:
            self._instance.forget_terraform_state()
        if self._save_minutes and (before is None or before.engine != engine):
            keeping.start_saver(self._instance, [engine.container, engine.started], self._save_minutes)
        return engine, ContainerId.of(found["postgres"]["Id"])

    def restored(self, chosen: Chosen) -> tuple[str, bool]:
        return (self._restore.manifest.saved_at, self._restore.moved(chosen)) if self._restore else ("", False)

    def other_ports(self, wanted: Ports, report: Report) -> Ports:
        del wanted  # Docker does not say which port it was
        report("engine  another program took a port meanwhile: trying another")
        if self._restore is not None:
            self._restore.again(report)
        return Ports()

    def _volume(self) -> Volume:
        return Volume(States(self._instance.states_dir), self._project.found()["localstack"]["Id"])

    def _services(self) -> dict[str, Any]:
        return dict(self._project.resolved()["services"])

    def _published_port(self, service: str) -> int:
        return int(self._services()[service]["ports"][0]["published"])


def down(
    instance: Instance, *, keep: bool = False, volumes: bool = False, report: Callable[[str], None] = note
) -> bool:
    """Removes the instance's containers and network. Returns False when there were none.

    keep: saves the state first; the next `up` restores it. PostgreSQL's volume stays unless `volumes`. Raises
    SluiceError when the state cannot be saved (the engine runs on), and DockerError when the daemon does not answer:
    nothing can be said about its containers then.
    """
    with instance.lock():
        info = instance.info()
        project = Project(instance)
        found = project.found()
        compose.refuse_strangers(found)
        project.remove_one_offs()
        checksum = _save(instance, info, found, report) if keep else None
        data = database.Data(instance, project)
        if checksum is not None:
            # It is paused and has nothing left to do; its orderly end would wait for what is paused.
            with contextlib.suppress(DockerError):
                docker("kill", found["localstack"]["Id"])
            docker("stop", found["postgres"]["Id"])
            data.mark(checksum)
        elif not keep:
            data.undo()
            data.unmark()
        project.remove_servers(*(["--volumes"] if volumes else []))
        compose.marker(instance).unlink(missing_ok=True)
        if volumes:
            compose.volumes_marker(instance).unlink(missing_ok=True)
        _forget(instance, info)
        return bool(found)


def _save(
    instance: Instance, info: EngineInfo | None, found: Mapping[str, Any], report: Callable[[str], None]
) -> str | None:
    """The saved state's checksum; None when nothing was saved."""
    if info is None or info.kind != KIND:
        if found:
            report("engine  nothing was saved: `sluice up` has not seen these containers")
        return None
    if "sluice_ext" not in info.versions:
        report("engine  nothing was saved: this LocalStack is without Sluice's extension")
        return None
    return keeping.save(instance, info, Volume.of(instance, info), report)


def stop_servers(instance: Instance) -> None:
    """Removes the containers and leaves saved states and PostgreSQL's volume as they are. The caller holds the lock."""
    Project(instance).remove_servers("--timeout", "3")
    _forget(instance, instance.info())


def _forget(instance: Instance, info: EngineInfo | None) -> None:
    if info is not None and info.kind == KIND:
        instance.info_file.unlink(missing_ok=True)
        instance.forget_terraform_state()


def status(instance: Instance, info: EngineInfo) -> EngineStatus:
    """What runs, measured now."""
    assert isinstance(info.engine, ContainerId)
    assert isinstance(info.postgres, ContainerId)
    if not info.engine.alive():
        return EngineStatus(running=False, home=str(instance.home), kind=KIND)
    processes = info.engine.memory()
    engine = sum(size for command, size in processes if servers.LOCALSTACK_MODULE in command)
    started = datetime.fromisoformat(re.sub(r"\.\d+", "", info.engine.started).replace("Z", "+00:00"))
    return EngineStatus(
        running=True,
        healthy=servers.both_answer(info, foreign=True),
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
