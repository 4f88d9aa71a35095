"""One instance of the engine: a home folder, and what is written in it about the servers that serve it.

<home>/engine.json     pids or containers, ports, versions      (this module)
<home>/localstack/     LocalStack's files                       <home>/postgres/   PostgreSQL's data
<home>/logs/           engine.log, postgres.log                 <home>/terraform/  TF_DATA_DIR and state
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sluice.containers import ContainerId, unavailable
from sluice.paths import default_home
from sluice.processes import ProcessId

HOST = "127.0.0.1"


@dataclass(frozen=True)
class EngineInfo:
    """What runs for an instance. Written to engine.json once both servers answer."""

    port: int
    postgres_port: int
    postgres_password: str
    started_at: str
    """ISO 8601, UTC."""
    faults: bool
    engine: ProcessId | ContainerId
    postgres: ProcessId | ContainerId
    versions: dict[str, str] = field(default_factory=dict)
    kind: str = "embedded"

    @property
    def endpoint_url(self) -> str:
        """URL of the AWS API: an address and no name, so that every SDK uses path-style S3 by itself."""
        return f"http://{HOST}:{self.port}"

    @property
    def postgres_dsn(self) -> str:
        return f"postgresql://postgres:{self.postgres_password}@{HOST}:{self.postgres_port}/postgres"

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> EngineInfo:
        """Raises ValueError, KeyError or TypeError when the text is not what to_json wrote."""
        data = json.loads(text)
        for server in ("engine", "postgres"):
            data[server] = (ContainerId if "container" in data[server] else ProcessId)(**data[server])
        return cls(**data)


@dataclass(frozen=True)
class Instance:
    """An engine's home. Nothing is read or made until it is asked for."""

    home: Path

    @classmethod
    def default(cls) -> Instance:
        """The instance of `make up`: $SLUICE_HOME, or .sluice/state in the checkout."""
        return cls(default_home())

    @property
    def localstack_dir(self) -> Path:
        return self.home / "localstack"

    @property
    def postgres_dir(self) -> Path:
        return self.home / "postgres"

    @property
    def logs_dir(self) -> Path:
        return self.home / "logs"

    @property
    def terraform_dir(self) -> Path:
        return self.home / "terraform"

    @property
    def info_file(self) -> Path:
        return self.home / "engine.json"

    def info(self) -> EngineInfo | None:
        """What was written when the engine started, or None. It may be stale: see `running`."""
        try:
            return EngineInfo.from_json(self.info_file.read_text())
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write_info(self, info: EngineInfo) -> None:
        partial = self.info_file.with_suffix(".part")
        partial.touch(mode=0o600)
        partial.write_text(info.to_json())
        partial.replace(self.info_file)

    @property
    def running(self) -> bool:
        """True when the engine of engine.json runs, and is that process or container and no other."""
        info = self.info()
        return info is not None and info.engine.alive()

    @property
    def endpoint_url(self) -> str:
        """URL of the AWS API. Raises SluiceError when nothing runs."""
        return self._running_info().endpoint_url

    @property
    def postgres_dsn(self) -> str:
        """DSN of the PostgreSQL server, password included. Raises SluiceError when nothing runs."""
        return self._running_info().postgres_dsn

    def _running_info(self) -> EngineInfo:
        from sluice.console import fail

        info = self.info()
        if info is None or not info.engine.alive():
            fail(not_running(info), 1)
        return info

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Only one command at a time starts or stops this instance's processes; others wait."""
        import fcntl

        self.home.mkdir(parents=True, exist_ok=True)
        # Opened close-on-exec (Python's default), so a started server does not keep the lock.
        with (self.home / ".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def not_running(info: EngineInfo | None) -> str:
    """Why an engine that is not alive does not run, as far as it can be told, and what to do."""
    if info is not None and isinstance(info.engine, ContainerId):
        reason = unavailable()
        if reason is not None:
            return f"the engine runs in Docker, and {reason}: start Docker, then `make up`"
        return "the engine's container stopped, or was started again empty: `make up` brings it back"
    return "the engine is not running: start it with `make up`"


def localhost_environment(info: EngineInfo) -> dict[str, str]:
    """Variables with which any AWS client and tflocal reach the engine, and never a real account."""
    return {
        "AWS_ENDPOINT_URL": info.endpoint_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": region(),
        "AWS_DEFAULT_REGION": region(),
        "S3_HOSTNAME": HOST,
        "LOCALSTACK_HOSTNAME": HOST,
        "EDGE_PORT": str(info.port),
        "SLUICE_POSTGRES_DSN": info.postgres_dsn,
    }


def region() -> str:
    """Region of the environment, or us-east-1."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
