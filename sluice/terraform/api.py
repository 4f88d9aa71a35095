"""Init, plan, apply, destroy and outputs, for an instance of the engine and for a real account."""

from __future__ import annotations

import fcntl
import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from sluice.console import SluiceError, fail, note
from sluice.engine.instance import Instance
from sluice.paths import CACHE_DIR
from sluice.terraform import ahead, aws, inputs, override, provider, runner, settings, varfile
from sluice.terraform.settings import Workspace
from sluice.terraform.variables import Known

Report = Callable[[str], None]


@dataclass(frozen=True)
class Account:
    """The AWS account whose credentials the environment holds; `env` names its stack. known: where it goes, when more
    than the environment's own file says so."""

    env: str
    known: Known | None = None


type Target = Instance | Account


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
    """How many resources were made, altered and removed, which ones, and the outputs after it."""

    added: int
    changed: int
    removed: int
    seconds: float
    outputs: dict[str, Any] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Deployed:
    """What a deployment to an instance was made from: the tfvars file and more variables."""

    var_file: str
    variables: dict[str, Any]


def apply(
    target: Target,
    var_file: Path,
    extra_vars: Mapping[str, Any] | None = None,
    infra_dir: Path | None = None,
    *,
    report: Report = note,
    cause: runner.Cause | None = None,
    targets: Sequence[str] = (),
) -> Applied:
    """Deploys. infra_dir: another copy of infra/ for an instance. cause: reads why a function has failed.

    targets: addresses; with some, only these resources and what they need are read and deployed.

    Raises SluiceError: code 2 when variables are wrong, 1 when Terraform fails.
    """
    space = workspace(target, infra_dir)
    refresh = False
    if isinstance(target, Instance) and (refresh := bool(ahead.read(target))):
        ahead.repair(target, Path(space.environment[inputs.ARTIFACTS_DIR]))
    done = _apply(space, var_file, extra_vars, report, cause, targets, refresh=refresh)
    if isinstance(target, Instance) and not targets:
        ahead.write(target, ())
        record = Deployed(str(var_file.resolve()), dict(extra_vars or {}))
        target.deployed_file.write_text(json.dumps(asdict(record)))
    return done


def deployed(instance: Instance) -> Deployed | None:
    """What the instance's last deployment was made from, as long as its state says that there is one."""
    if not outputs(instance):
        return None
    try:
        return Deployed(**json.loads(instance.deployed_file.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def plan(
    target: Target,
    var_file: Path,
    extra_vars: Mapping[str, Any] | None = None,
    infra_dir: Path | None = None,
    *,
    report: Report = note,
) -> Plan:
    """What a deployment would change. Arguments and errors are those of `apply`."""
    return _plan(workspace(target, infra_dir), var_file, extra_vars, report)


def destroy(
    target: Target,
    var_file: Path,
    extra_vars: Mapping[str, Any] | None = None,
    infra_dir: Path | None = None,
    *,
    report: Report = note,
) -> Applied:
    """Removes what was deployed. Arguments and errors are those of `apply`."""
    return _destroy(workspace(target, infra_dir), var_file, extra_vars, report)


def outputs(target: Target) -> dict[str, Any]:
    """Outputs of what is deployed; empty when nothing is."""
    if isinstance(target, Instance):
        return settings.outputs_of(settings.state_file(target))
    space = aws.workspace(target.env, target.known)
    if space.state is not None:
        return settings.outputs_of(space.state)
    with _exclusive(space):
        _init(space, note)
        return read_outputs(space)


def state(target: Target) -> dict[str, Any]:
    """The state, as Terraform stores it; empty when nothing is deployed."""
    space = workspace(target, None)
    if space.state is not None:
        return read_state(space)
    with _exclusive(space):
        _init(space, note)
        return read_state(space)


def read_state(space: Workspace) -> dict[str, Any]:
    """`state` of an initialised workspace. Raises SluiceError (code 1) when it cannot be read."""
    if space.state is not None:
        try:
            found: dict[str, Any] = json.loads(space.state.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise SluiceError(f"Terraform's state cannot be read ({space.state}): {error}") from error
        return found
    command = [*space.command, "state", "pull"]
    done = subprocess.run(command, cwd=space.stack, env=space.environment, capture_output=True, check=False)
    if done.returncode != 0:
        fail(f"terraform state pull failed: {done.stderr.decode(errors='replace').strip()[-200:]}", 1)
    return json.loads(done.stdout) if done.stdout.strip() else {}


def ensure_init(instance: Instance, *, report: Report = note) -> None:
    """Initialises an instance's Terraform where that is still to do; otherwise it waits for no deployment."""
    space = settings.local_workspace(instance)
    if _is_initialised(space, _init_key(space)) and _is_locked(space):
        return
    with _exclusive(space):
        _init(space, report)


def workspace(target: Target, infra_dir: Path | None = None) -> Workspace:
    """Where the target's Terraform runs."""
    if isinstance(target, Instance):
        return settings.local_workspace(target, infra_dir)
    return aws.workspace(target.env, target.known)


@contextmanager
def opened(space: Workspace, report: Report) -> Iterator[Workspace]:
    """The workspace, initialised and ready to run Terraform in, which nothing else uses meanwhile."""
    with _exclusive(space), ExitStack() as placed:
        _init(space, report)
        placed.enter_context(override.in_place(space))
        yield placed.enter_context(provider.started(space))


def _apply(
    space: Workspace,
    var_file: Path,
    extra: Mapping[str, Any] | None,
    report: Report,
    cause: runner.Cause | None,
    targets: Sequence[str] = (),
    *,
    refresh: bool = False,
) -> Applied:
    """refresh: read everything, whatever the last deployment was made from."""
    arguments = variables(space, var_file, extra, report)
    with opened(space, report) as space:
        if targets:
            chosen = [f"-target={address}" for address in targets]
            run = runner.execute(space, "apply", ["-auto-approve", *chosen, *arguments], report, "deploy", cause=cause)
            return applied(run, run.seconds, changes_of(run))
        made_of = inputs.of(space, arguments, _init_key(space))
        if not refresh and inputs.only_datasets_changed(space, made_of):
            report("deploy  only the datasets changed: what is deployed otherwise is not read again")
            # One start of Terraform, which plans and applies.
            words = ["-auto-approve", "-refresh=false", *arguments]
            run = runner.execute(space, "apply", words, report, "deploy", cause=cause)
            inputs.record(space, made_of)
            return applied(run, run.seconds, changes_of(run))
        if inputs.nothing_deployed(space):
            # Something is created for certain: one run plans and applies.
            run = runner.execute(space, "apply", ["-auto-approve", *arguments], report, "deploy", cause=cause)
            inputs.record(space, made_of)
            return applied(run, run.seconds, changes_of(run))
        # Planned first and apart: where nothing changes, the providers need not be started a second time.
        planned = space.data / "deploy.tfplan"
        try:
            found = runner.execute(space, "plan", ["-detailed-exitcode", f"-out={planned}", *arguments], report, "plan")
            if found.returncode == 0:
                inputs.record(space, made_of)
                return Applied(0, 0, 0, found.seconds, read_outputs(space))
            run = runner.execute(space, "apply", [str(planned)], report, "deploy", planned=found, cause=cause)
            inputs.record(space, made_of)
        finally:
            planned.unlink(missing_ok=True)  # it holds every value, secret ones too
    return applied(run, found.seconds + run.seconds, changes_of(found))


def applied(run: runner.Run, seconds: float, changes: tuple[Change, ...]) -> Applied:
    """What an apply has done, as far as Terraform counts it."""
    counts = {key: int(run.summary.get(key, 0)) for key in ("add", "change", "remove")}
    return Applied(counts["add"], counts["change"], counts["remove"], seconds, run.outputs, changes)


def _plan(space: Workspace, var_file: Path, extra: Mapping[str, Any] | None, report: Report) -> Plan:
    arguments = variables(space, var_file, extra, report)
    with opened(space, report) as space:
        run = runner.execute(space, "plan", ["-detailed-exitcode", *arguments], report, "plan")
    changes = changes_of(run)
    if run.returncode == 2 and not changes:
        changes = (Change("update", "outputs"),)
    return Plan(changes, run.seconds)


def changes_of(run: runner.Run) -> tuple[Change, ...]:
    """What a run has planned, by address."""
    return tuple(Change(action, address) for address, action in sorted(run.planned.items()))


def _destroy(space: Workspace, var_file: Path, extra: Mapping[str, Any] | None, report: Report) -> Applied:
    if space.state is not None and not space.state.exists():
        return Applied(0, 0, 0, 0.0)
    arguments = variables(space, var_file, extra, report)
    with opened(space, report) as space:
        return remove_all(space, arguments, report)


def remove_all(space: Workspace, arguments: Sequence[str], report: Report) -> Applied:
    """Removes everything that the state of an opened workspace has."""
    run = runner.execute(space, "destroy", ["-auto-approve", *arguments], report, "destroy")
    return Applied(0, 0, int(run.summary.get("remove", 0)), run.seconds)


def variables(space: Workspace, var_file: Path, extra: Mapping[str, Any] | None, report: Report) -> list[str]:
    """The options with which Terraform gets the variables. Names those that it takes from the shell."""
    varfile.check(var_file, space.stack)
    shell = varfile.taken_from_shell(space.environment, var_file, space.stack, extra or ())
    if shell:
        report(f"deploy  with {', '.join(shell)} of this shell")
    arguments = [f"-var-file={var_file.resolve()}"]
    for name, value in (extra or {}).items():
        arguments += ["-var", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    return arguments


def read_outputs(space: Workspace) -> dict[str, Any]:
    """Outputs of an initialised workspace: from the local state, or asked of Terraform."""
    if space.state is not None:
        return settings.outputs_of(space.state)
    command = [*space.command, "output", "-json"]
    done = subprocess.run(command, cwd=space.stack, env=space.environment, capture_output=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        fail(f"terraform output failed: {lines[-1] if lines else 'no output'}", 1)
    return {name: entry["value"] for name, entry in json.loads(done.stdout).items()}


def _init(space: Workspace, report: Report) -> None:
    """Runs `terraform init` when code, backend or Terraform changed since the last one."""
    wanted = _init_key(space)
    if _is_initialised(space, wanted):
        return
    report("deploy  initialising Terraform")
    CACHE_DIR.mkdir(parents=True, exist_ok=True)
    space.data.mkdir(parents=True, exist_ok=True)
    # The providers' cache is not safe for two at once.
    with (CACHE_DIR / ".terraform-init.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        backend = [f"-backend-config={value}" for value in space.backend]
        command = [settings.executable(), "init", "-input=false", "-no-color", *backend]
        if space.state is not None:
            command.append("-reconfigure")  # an engine's home may have moved; the state of an account is never left
        done = subprocess.run(
            command, cwd=space.stack, env=space.environment, capture_output=True, text=True, check=False
        )
    if done.returncode != 0:
        text = done.stderr or done.stdout
        lines = [line.strip(" ╷│╵") for line in text.splitlines() if line.strip(" ╷│╵")]
        first = next((n for n, line in enumerate(lines) if line.startswith("Error")), 0)
        fail(f"terraform init failed: {' '.join(lines[first : first + 4])}", 1)
    _stamp(space).write_text(wanted)


def _stamp(space: Workspace) -> Path:
    return space.data / "sluice-init"


def _is_initialised(space: Workspace, wanted: str) -> bool:
    # Without the lock, which is beside the code, Terraform does not know the providers that it has.
    stamp = _stamp(space)
    return (space.stack / settings.LOCK).exists() and stamp.exists() and stamp.read_text() == wanted


def _init_key(space: Workspace) -> str:
    digest = hashlib.sha256("\0".join((settings.executable(), str(space.stack), *space.backend)).encode())
    for path in sorted(space.stack.parent.rglob("*.tf")):
        if ".terraform" not in path.parts and path.name != override.FILE:
            digest.update(f"\0{path.relative_to(space.stack.parent)}\0".encode() + path.read_bytes())
    config = space.environment.get("TF_CLI_CONFIG_FILE")
    digest.update(Path(config).read_bytes() if config else b"")
    return digest.hexdigest()


def _lock_file(space: Workspace) -> Path:
    return space.data / ".sluice.lock"


def _is_locked(space: Workspace) -> bool:
    """Whether another run uses the workspace now."""
    try:
        with _lock_file(space).open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextmanager
def _exclusive(space: Workspace) -> Iterator[None]:
    """One run at a time per workspace. Removes tflocal's file when a killed run left it: it would refuse to start."""
    space.data.mkdir(parents=True, exist_ok=True)
    with _lock_file(space).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        left = space.stack / override.FILE
        if left.exists():
            if _is_in_use(space.stack):
                fail(f"another tflocal runs in {space.stack}: wait for it to end", 1)
            left.unlink()
        yield


def _is_in_use(folder: Path) -> bool:
    for process in psutil.process_iter(["cwd", "cmdline"]):
        words = " ".join(process.info["cmdline"] or ())
        if process.info["cwd"] == str(folder) and ("tflocal" in words or "terraform" in words or "tofu" in words):
            return True
    return False
