"""One instance of the engine: a home folder, and what is written in it about the servers that serve it.

<home>/engine.json     pids or containers, ports, versions      (this module)
<home>/checkout        the checkout whose engine it is          <home>/ports.json  the ports of the last start
<home>/localstack/     LocalStack's files                       <home>/postgres/   PostgreSQL's data
<home>/logs/           engine.log, postgres.log                 <home>/terraform/  TF_DATA_DIR and state
<home>/states/         saved states and snapshots
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sluice.engine.containers import ContainerId, unavailable
from sluice.paths import HOME_VARIABLE, ROOT, asked_home, checkout_around, default_home
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
    restored_from: str = ""
    """When the state was saved that the engine began with; empty when it began empty."""
    moved: bool = False
    """Whether that state was saved on other ports or by the other kind, and nothing has been deployed since."""

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
        """The instance of `make up`: that of --home, else $SLUICE_HOME, else .sluice/state in the checkout.

        Raises SluiceError (code 2) when the environment names the home of another checkout, or the command is
        typed in another one: only --home asks for a home that is not the checkout's own.
        """
        found = cls(default_home())
        if asked_home() is None:
            found.refuse_other_checkout()
            _refuse_other_folder()
        return found

    @property
    def is_default(self) -> bool:
        """Whether `make up` would start this one."""
        return self.home == default_home()

    def owner(self) -> Path | None:
        """The checkout that the home belongs to: the one that it is in, else the one that first started an engine
        in it. None when no engine was started in it, or when that checkout is gone."""
        around = checkout_around(self.home)
        if around is not None:
            return around
        try:
            stored = Path((self.home / "checkout").read_text().strip())
        except (OSError, UnicodeDecodeError):
            return None
        return stored if stored.is_absolute() and checkout_around(stored) == stored else None

    def refuse_other_checkout(self) -> None:
        """Raises SluiceError (code 2) when the home belongs to another checkout."""
        owner = self.owner()
        if owner in (None, ROOT):
            return
        from sluice.console import fail

        fail(
            f"{HOME_VARIABLE} names {self.home}, which belongs to the checkout {owner}, and this one is {ROOT}:"
            f" `unset {HOME_VARIABLE}`, or pass `--home {self.home}` to work on that engine"
        )

    def claim(self) -> None:
        """Records that the home belongs to this checkout. Raises SluiceError (code 2) when it belongs to another, and
        --home did not ask for it. To be called under the lock."""
        if self.owner() is None:
            (self.home / "checkout").write_text(f"{ROOT}\n")
        elif asked_home() != self.home:
            self.refuse_other_checkout()

    def last_ports(self) -> dict[str, int]:
        """The ports of the last start, `engine` and `postgres`; empty when there was none."""
        try:
            found = json.loads((self.home / "ports.json").read_text())
            return {name: int(found[name]) for name in ("engine", "postgres")}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def refuse_other_endpoint(self) -> None:
        """Raises SluiceError (code 2) when $AWS_ENDPOINT_URL names another engine than this one, which runs: the
        shell's other commands would not see what this one does."""
        named = os.environ.get("AWS_ENDPOINT_URL")
        info = self.info()
        if not named or info is None or asked_home() == self.home or is_endpoint(named, info.port):
            return
        from sluice.console import fail
        from sluice.paths import shell_line

        fail(
            f"AWS_ENDPOINT_URL in this shell is {named}, and the engine of {ROOT} is at {info.endpoint_url}:"
            f" run `{shell_line()}`, or `unset AWS_ENDPOINT_URL`"
        )

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
    def terraform_data_dir(self) -> Path:
        """TF_DATA_DIR."""
        return self.terraform_dir / "data"

    @property
    def terraform_lock(self) -> Path:
        """Locked while Terraform runs for this instance."""
        return self.terraform_data_dir / ".sluice.lock"

    @property
    def terraform_state(self) -> Path:
        return self.terraform_dir / "terraform.tfstate"

    @property
    def deployed_file(self) -> Path:
        """What the last deployment was made from (see `sluice.terraform.deployed`)."""
        return self.terraform_dir / "deployed.json"

    @property
    def ahead_file(self) -> Path:
        """What is in service ahead of Terraform's state (see `sluice.terraform.ahead`)."""
        return self.terraform_dir / "ahead.json"

    @property
    def states_dir(self) -> Path:
        """Saved states (see `sluice.engine.states`)."""
        return self.home / "states"

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
        ports = self.home / "ports.json"  # stays when the engine is stopped: open shells name these ports
        partial = ports.with_suffix(".part")
        partial.write_text(json.dumps({"engine": info.port, "postgres": info.postgres_port}))
        partial.replace(ports)

    def forget_terraform_state(self) -> None:
        """Removes Terraform's state: it describes what was in LocalStack's memory, and is gone with it."""
        for state in self.terraform_dir.glob("*.tfstate*"):
            state.unlink(missing_ok=True)

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
        # Opened close-on-exec (Python's default), so a started server does not hold the lock.
        with (self.home / ".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def _refuse_other_folder() -> None:
    """A shell that was prepared in one checkout has its `sluice` on PATH in every folder, in another checkout, too."""
    from sluice.console import fail

    try:
        here = checkout_around(Path.cwd())
    except OSError:
        return  # the folder is gone
    if here not in (None, ROOT):
        fail(
            f"this is the sluice of the checkout {ROOT}, and you are in the checkout {here}: use `make` or"
            f" {here}/.sluice/host/bin/sluice, or pass `--home {default_home()}` to work on the engine of {ROOT}"
        )


def is_endpoint(url: str, port: int) -> bool:
    """Whether a URL names the engine that listens on this port of the loopback address."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        host, found = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return False
    local = host in ("localhost", "::1") or host.startswith("127.") or host.endswith("localhost.localstack.cloud")
    return local and found == port


def not_running(info: EngineInfo | None) -> str:
    """Why an engine that is not alive does not run, as far as we can see, and what to do."""
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
