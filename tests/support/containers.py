"""The engine under test as containers of the session's own, by testcontainers: own network, own ports, gone at the end.

What runs in them is what docker-compose.yml says; only names, ports and volumes are the session's. They are gone after
ctrl-C, too, and what a killed session left behind goes when the next one starts (or at once, where ryuk can be had).
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from docker.errors import APIError, DockerException
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from sluice.engine import containers, ports
from sluice.engine.containers import ContainerId, DockerError
from sluice.engine.docker import compose, images
from sluice.engine.instance import HOST, EngineInfo, Instance
from sluice.engine.servers import health as localstack_health
from sluice.engine.servers import postgres_version
from sluice.polling import wait_until
from sluice.processes import ProcessId

OWNER = "sluice.tests.owner"  # label: pid and start time of the session that made a container or network
START_SECONDS = 90.0
RYUK_PULL_SECONDS = 30.0
VOLUMES = {"localstack": ("/var/lib/localstack", ",uid=10001,gid=10001"), "postgres": ("/var/lib/postgresql/data", "")}


@contextlib.contextmanager
def engine(instance: Instance, env: Mapping[str, str], disks: Mapping[str, str] | None = None) -> Iterator[EngineInfo]:
    """Both servers with fault control, and the instance's engine.json about them, while the block runs.

    env: settings of the engine. disks: sizes of the servers' volumes, as {"postgres": "256m"}.
    """
    ryuk_or_not()
    remove_orphans()
    # A job's time limit sends SIGTERM, which would end the session with its containers running; not in xdist's threads.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    project = compose.Project(instance)
    project.settings |= {"SLUICE_FAULTS": "1", **env}
    images.ensure(project.resolved()["services"], project.compose, print)
    with contextlib.ExitStack() as stack:
        network = stack.enter_context(Network(docker_network_kw={"labels": {OWNER: owner()}}))
        for attempt in (1, 2, 3):  # another program may take a port between our look and the start
            port, postgres_port = ports.any_free(), ports.any_free()
            project.settings |= {"SLUICE_PORT": str(port), "SLUICE_POSTGRES_PORT": str(postgres_port)}
            services = project.resolved()["services"]
            servers = {
                "postgres": container(services["postgres"], network, "postgres"),
                "localstack": container(services["localstack"], network, "localstack"),
            }
            for name, size in (disks or {}).items():
                path, options = VOLUMES[name]
                servers[name].with_tmpfs_mount(path, f"size={size}{options}")
            try:
                for server in servers.values():
                    stack.push(server)  # its end removes it, started or not
                    server.start()
                break
            except APIError as error:
                if "port is already allocated" not in str(error) or attempt == 3:
                    raise
        password = services["postgres"]["environment"]["POSTGRES_PASSWORD"]
        health = answer("localstack", servers, lambda: localstack_health(port))
        version = answer("postgres", servers, lambda: postgres_version(postgres_port, password))
        info = EngineInfo(
            port=port,
            postgres_port=postgres_port,
            postgres_password=password,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            faults=True,
            engine=ContainerId.of(servers["localstack"].get_container_id()),
            postgres=ContainerId.of(servers["postgres"].get_container_id()),
            versions={**health["versions"], "postgres": version},
            kind=compose.KIND,
        )
        instance.home.mkdir(parents=True, exist_ok=True)
        instance.write_info(info)
        yield info


def container(service: Mapping[str, Any], network: Network, alias: str) -> DockerContainer:
    """A container of a service of the compose file, on the session's network."""
    made = DockerContainer(service["image"], network=network, network_aliases=[alias])
    made.with_envs(**{name: str(value) for name, value in service["environment"].items() if value is not None})
    for one in service["ports"]:
        made.ports[f"{one['target']}/tcp"] = (HOST, int(one["published"]))  # type: ignore[assignment]
    for mount in service.get("tmpfs", []):
        path, _, options = mount.partition(":")
        made.with_tmpfs_mount(path, options)
    kept = ("read_only", "init", "cap_drop", "security_opt")
    options = {name: service[name] for name in kept if name in service}
    if "extra_hosts" in service:  # name=address, as the resolved compose file has them
        options["extra_hosts"] = dict(re.split("[=:]", one, maxsplit=1) for one in service["extra_hosts"])
    if "shm_size" in service:
        options["shm_size"] = int(service["shm_size"])
    return made.with_kwargs(labels={OWNER: owner()}, **options)


def answer(name: str, servers: Mapping[str, DockerContainer], ask: Any) -> Any:
    """A server's first answer. Fails with its last log lines when its container ends or it takes long."""
    found: list[Any] = []
    server = servers[name].get_wrapped_container()

    def ready() -> bool:
        found.extend(one for one in [ask()] if one is not None)
        if not found:
            server.reload()
        return bool(found) or server.status in ("exited", "dead")

    wait_until(ready, START_SECONDS, interval=0.1)
    if not found:
        raise AssertionError(f"{name} did not start:\n{server.logs(tail=30).decode(errors='replace')}")
    return found[0]


def owner() -> str:
    """This session: its process number and start time, for a number alone is used again."""
    this = ProcessId.of(os.getpid())
    return f"{this.pid}:{this.started}"


def remove_orphans() -> None:
    """Removes containers and networks of sessions that are no more."""
    for found in containers.with_labels(OWNER):
        described = containers.inspect("container", found)
        if described and not _alive(described["Config"]["Labels"][OWNER]):
            containers.remove([found])
    for network in containers.docker("network", "ls", "-q", "--filter", f"label={OWNER}").split():
        described = containers.inspect("network", network)
        if described and not _alive(described["Labels"][OWNER]):
            containers.docker("network", "rm", network)


def _alive(session: str) -> bool:
    pid, _, started = session.partition(":")
    return ProcessId(int(pid), float(started)).alive()


def ryuk_or_not() -> None:
    """Goes on without testcontainers' reaper where its image is not there and cannot be pulled."""
    if "TESTCONTAINERS_RYUK_DISABLED" in os.environ or testcontainers_config.ryuk_disabled:
        return
    image = testcontainers_config.ryuk_image
    try:
        if containers.inspect("image", image) is None:
            containers.docker("pull", "--quiet", image, seconds=RYUK_PULL_SECONDS)
    except DockerError as error:
        testcontainers_config.ryuk_disabled = True
        print(f"testcontainers: without ryuk, for {image} cannot be had ({error})")


__all__ = ["OWNER", "DockerException", "engine", "owner", "remove_orphans", "ryuk_or_not"]
