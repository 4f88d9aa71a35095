"""Init, plan, apply, destroy and outputs, for an instance and for a real account."""

from __future__ import annotations

import fcntl
import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from sluice.console import SluiceError, fail, note
from sluice.instance import Instance
from sluice.paths import CACHE_DIR
from sluice.terraform import aws, runner, settings, varfile
from sluice.terraform.settings import Workspace

OVERRIDE = "localstack_providers_override.tf"
Report = Callable[[str], None]


@dataclass(frozen=True)
class Change:
    """One planned change: create, update, replace, delete, read."""

    action: str
    address: str


@dataclass(frozen=True)
class Plan:
    """Empty when `changes` is."""

    changes: tuple[Change, ...]
    seconds: float


@dataclass(frozen=True)
class Applied:
    """How many resources were made, altered and removed, and the outputs after it."""

    added: int
    changed: int
    removed: int
    seconds: float
    outputs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Deployed:
    """What a deployment to an instance was made from: the tfvars file and more variables."""

    var_file: str
    variables: dict[str, Any]


def apply(
    instance: Instance,
    var_file: Path,
    extra_vars: Mapping[str, Any] | None = None,
    infra_dir: Path | None = None,
    *,
    report: Report = note,
) -> Applied:
    """Deploys to an instance. Raises SluiceError: code 2 when variables are wrong, 1 when Terraform fails."""
    done = _apply(settings.local_workspace(instance, infra_dir), var_file, extra_vars, report)
    record = Deployed(str(var_file.resolve()), dict(extra_vars or {}))
    _record(instance).write_text(json.dumps(asdict(record)))
    return done


def deployed(instance: Instance) -> Deployed | None:
    """What the instance's last deployment was made from, as long as its state says that there is one."""
    if not outputs(instance):
        return None
    try:
        return Deployed(**json.loads(_record(instance).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _record(instance: Instance) -> Path:
    return instance.terraform_dir / "deployed.json"


def plan(
    instance: Instance,
    var_file: Path,
    extra_vars: Mapping[str, Any] | None = None,
    infra_dir: Path | None = None,
    *,
    report: Report = note,
) -> Plan:
    """What a deployment to an instance would change."""
    return _plan(settings.local_workspace(instance, infra_dir), var_file, extra_vars, report)


def destroy(
    instance: Instance,
    var_file: Path,
    extra_vars: Mapping[str, Any] | None = None,
    infra_dir: Path | None = None,
    *,
    report: Report = note,
) -> Applied:
    """Removes what was deployed to an instance."""
    return _destroy(settings.local_workspace(instance, infra_dir), var_file, extra_vars, report)


def outputs(instance: Instance) -> dict[str, Any]:
    """Outputs of what is deployed to an instance; empty when nothing is."""
    return _outputs_of(settings.state_file(instance))


def ensure_init(instance: Instance, *, report: Report = note) -> None:
    """Initialises an instance's Terraform where that is still to do."""
    space = settings.local_workspace(instance)
    with _exclusive(space):
        _init(space, report)


def aws_apply(
    env: str, var_file: Path, extra_vars: Mapping[str, Any] | None = None, *, report: Report = note
) -> Applied:
    """Deploys to the account whose credentials the environment holds."""
    return _apply(aws.workspace(env), var_file, extra_vars, report)


def aws_plan(env: str, var_file: Path, extra_vars: Mapping[str, Any] | None = None, *, report: Report = note) -> Plan:
    """What a deployment to the account would change."""
    return _plan(aws.workspace(env), var_file, extra_vars, report)


def aws_destroy(
    env: str, var_file: Path, extra_vars: Mapping[str, Any] | None = None, *, report: Report = note
) -> Applied:
    """Removes what was deployed to the account."""
    return _destroy(aws.workspace(env), var_file, extra_vars, report)


def aws_outputs(env: str) -> dict[str, Any]:
    """Outputs of what is deployed to the account; empty when nothing is."""
    space = aws.workspace(env)
    if space.state is not None:
        return _outputs_of(space.state)
    with _exclusive(space):
        _init(space, note)
        return _read_outputs(space)


def _apply(space: Workspace, var_file: Path, extra: Mapping[str, Any] | None, report: Report) -> Applied:
    arguments = _variables(space, var_file, extra)
    with _exclusive(space):
        _init(space, report)
        # Planned first and apart: where nothing changes, the providers need not be started a second time.
        planned = space.data / "deploy.tfplan"
        try:
            found = runner.execute(space, "plan", ["-detailed-exitcode", f"-out={planned}", *arguments], report, "plan")
            if found.returncode == 0:
                return Applied(0, 0, 0, found.seconds, _read_outputs(space))
            run = runner.execute(space, "apply", [str(planned)], report, "deploy", total=found.total)
        finally:
            planned.unlink(missing_ok=True)  # it holds every value, secret ones too
    counts = {key: int(run.summary.get(key, 0)) for key in ("add", "change", "remove")}
    seconds = found.seconds + run.seconds
    return Applied(counts["add"], counts["change"], counts["remove"], seconds, run.outputs)


def _plan(space: Workspace, var_file: Path, extra: Mapping[str, Any] | None, report: Report) -> Plan:
    arguments = _variables(space, var_file, extra)
    with _exclusive(space):
        _init(space, report)
        run = runner.execute(space, "plan", ["-detailed-exitcode", *arguments], report, "plan")
    changes = tuple(Change(action, address) for address, action in sorted(run.planned.items()))
    if run.returncode == 2 and not changes:
        changes = (Change("update", "outputs"),)
    return Plan(changes, run.seconds)


def _destroy(space: Workspace, var_file: Path, extra: Mapping[str, Any] | None, report: Report) -> Applied:
    if space.state is not None and not space.state.exists():
        return Applied(0, 0, 0, 0.0)
    arguments = _variables(space, var_file, extra)
    with _exclusive(space):
        _init(space, report)
        run = runner.execute(space, "destroy", ["-auto-approve", *arguments], report, "destroy")
    return Applied(0, 0, int(run.summary.get("remove", 0)), run.seconds)


def _variables(space: Workspace, var_file: Path, extra: Mapping[str, Any] | None) -> list[str]:
    varfile.check(var_file, space.stack)
    arguments = [f"-var-file={var_file.resolve()}"]
    for name, value in (extra or {}).items():
        arguments += ["-var", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    return arguments


def _read_outputs(space: Workspace) -> dict[str, Any]:
    """Outputs of an initialised workspace: from the local state, or asked of Terraform."""
    if space.state is not None:
        return _outputs_of(space.state)
    command = [*space.command, "output", "-json"]
    done = subprocess.run(command, cwd=space.stack, env=space.environment, capture_output=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        fail(f"terraform output failed: {lines[-1] if lines else 'no output'}", 1)
    return {name: entry["value"] for name, entry in json.loads(done.stdout).items()}


def _outputs_of(state: Path) -> dict[str, Any]:
    try:
        found = json.loads(state.read_text()).get("outputs", {})
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SluiceError(f"Terraform's state cannot be read ({state}): {error}") from error
    return {name: entry.get("value") for name, entry in found.items()}


def _init(space: Workspace, report: Report) -> None:
    """Runs `terraform init` when code, backend or Terraform changed since the last one."""
    stamp = space.data / "sluice-init"
    wanted = _init_key(space)
    # Without the lock, which lies beside the code, Terraform does not know the providers that it has.
    if (space.stack / settings.LOCK).exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    report("deploy  initialising Terraform")
    CACHE_DIR.mkdir(parents=True, exist_ok=True)
    space.data.mkdir(parents=True, exist_ok=True)
    # The providers' cache is not safe for two at once.
    with (CACHE_DIR / ".terraform-init.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        backend = [f"-backend-config={value}" for value in space.backend]
        command = [settings.executable(), "init", "-input=false", "-no-color", "-reconfigure", *backend]
        done = subprocess.run(
            command, cwd=space.stack, env=space.environment, capture_output=True, text=True, check=False
        )
    if done.returncode != 0:
        text = done.stderr or done.stdout
        lines = [line.strip(" ╷│╵") for line in text.splitlines() if line.strip(" ╷│╵")]
        first = next((n for n, line in enumerate(lines) if line.startswith("Error")), 0)
        fail(f"terraform init failed: {' '.join(lines[first : first + 4])}", 1)
    stamp.write_text(wanted)


def _init_key(space: Workspace) -> str:
    digest = hashlib.sha256("\0".join((settings.executable(), str(space.stack), *space.backend)).encode())
    for path in sorted(space.stack.parent.rglob("*.tf")):
        if ".terraform" not in path.parts and path.name != OVERRIDE:
            digest.update(f"\0{path.relative_to(space.stack.parent)}\0".encode() + path.read_bytes())
    config = space.environment.get("TF_CLI_CONFIG_FILE")
    digest.update(Path(config).read_bytes() if config else b"")
    return digest.hexdigest()


@contextmanager
def _exclusive(space: Workspace) -> Iterator[None]:
    """One run at a time per workspace. Removes tflocal's file when a killed run left it: it would refuse to start."""
    space.data.mkdir(parents=True, exist_ok=True)
    with (space.data / ".sluice.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        override = space.stack / OVERRIDE
        if override.exists():
            if _somebody_works_in(space.stack):
                fail(f"another tflocal runs in {space.stack}: wait for it to end", 1)
            override.unlink()
        yield


def _somebody_works_in(folder: Path) -> bool:
    for process in psutil.process_iter(["cwd", "cmdline"]):
        words = " ".join(process.info["cmdline"] or ())
        if process.info["cwd"] == str(folder) and ("tflocal" in words or "terraform" in words or "tofu" in words):
            return True
    return False
