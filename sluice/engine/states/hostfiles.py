"""What the host attaches to a saved state beside PostgreSQL's data: Terraform's state, what was deployed, the ports."""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sluice.console import fail
from sluice.engine.instance import HOST, EngineInfo, Instance
from sluice.engine.states.files import Damaged, Manifest, States

POSTGRES, TERRAFORM, DEPLOYED, VARIABLES, ADDRESSES = "postgres", "terraform", "deployed", "tfvars", "addresses"
AHEAD = "ahead"


@dataclass(frozen=True)
class Addresses:
    """The ports and the kind that an engine had when its state was saved: queue URLs and settings of functions name
    the ports, and where functions find PostgreSQL depends on the kind."""

    port: int
    postgres_port: int
    kind: str = "embedded"


@contextlib.contextmanager
def no_deployment(instance: Instance) -> Iterator[None]:
    """Prevents Terraform from starting in the instance meanwhile. Raises SluiceError when it runs."""
    instance.terraform_data_dir.mkdir(parents=True, exist_ok=True)
    with instance.terraform_lock.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fail("a deployment runs, and half of it cannot be saved: wait for its end", 1)
        yield


def collect(instance: Instance, info: EngineInfo, folder: Path) -> dict[str, Path]:
    """Copies the files into a folder. Returns them by the names that they get in the state."""
    addresses = folder / ADDRESSES
    addresses.write_text(json.dumps(asdict(Addresses(info.port, info.postgres_port, info.kind))))
    found = {ADDRESSES: addresses}
    for name, source in (
        (TERRAFORM, instance.terraform_state), (DEPLOYED, instance.deployed_file), (AHEAD, instance.ahead_file),
    ):  # fmt: skip
        if source.exists():
            found[name] = folder / name
            found[name].write_bytes(source.read_bytes())
    variables = _variables_file(instance.deployed_file)
    if variables is not None and variables.exists():
        found[VARIABLES] = folder / VARIABLES
        found[VARIABLES].write_bytes(variables.read_bytes())
    return found


def addresses(states: States, manifest: Manifest) -> Addresses:
    """The ports of the engine that saved a state. Raises Damaged."""
    place = states.attached(manifest, ADDRESSES)
    try:
        return Addresses(**json.loads(place.read_bytes() if place else b""))
    except (ValueError, TypeError) as error:
        raise Damaged("a saved state does not say which ports it belongs to: it was not saved by `sluice`") from error


def put_back(instance: Instance, states: States, manifest: Manifest, now: Addresses) -> None:
    """Puts Terraform's state and the record of the deployment into the home, for an engine on these ports.

    A tfvars file that is gone or another by now is replaced by the one that was deployed.
    """
    instance.forget_terraform_state()
    instance.terraform_dir.mkdir(parents=True, exist_ok=True)
    before = addresses(states, manifest)
    if (state := states.attached(manifest, TERRAFORM)) is not None:
        text = re.sub(rf"(?<![\d.]){re.escape(HOST)}:{before.port}(?!\d)", f"{HOST}:{now.port}", state.read_text())
        _write(instance.terraform_state, text)
    if (ahead := states.attached(manifest, AHEAD)) is not None:
        _write(instance.ahead_file, ahead.read_text())
    else:
        instance.ahead_file.unlink(missing_ok=True)
    if (record := states.attached(manifest, DEPLOYED)) is not None:
        values: dict[str, Any] = json.loads(record.read_bytes())
        deployed_from = states.attached(manifest, VARIABLES)
        if deployed_from is not None and not _same(Path(str(values.get("var_file"))), deployed_from):
            own = instance.terraform_dir / "deployed.tfvars"
            _write(own, deployed_from.read_text())
            values["var_file"] = str(own)
        _write(instance.deployed_file, json.dumps(values))


def _variables_file(record: Path) -> Path | None:
    try:
        return Path(json.loads(record.read_text())["var_file"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _same(one: Path, other: Path) -> bool:
    try:
        return one.read_bytes() == other.read_bytes()
    except OSError:
        return False


def _write(target: Path, text: str) -> None:
    """At once, and for its owner only: Terraform's state has every secret."""
    partial = target.with_name(f".{target.name}.part")
    partial.touch(mode=0o600)
    partial.write_text(text)
    partial.replace(target)
