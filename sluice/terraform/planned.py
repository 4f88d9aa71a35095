"""Plans that are stored in a file, and what is done with them: show, apply, compare with what is deployed (drift).

https://developer.hashicorp.com/terraform/tutorials/automation/automate-terraform
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluice.console import fail
from sluice.terraform import api, aws, runner
from sluice.terraform.api import Account, Applied, Change, Report
from sluice.terraform.settings import Workspace


@dataclass(frozen=True)
class Serial:
    """Which state a plan was made from. Both are empty where nothing was deployed.

    https://developer.hashicorp.com/terraform/language/backend#manual-state-pull-push
    """

    lineage: str = ""
    serial: int = 0


@dataclass(frozen=True)
class Stored:
    """A plan in a file: its changes with the attributes that they change, and Terraform's own document of it."""

    changes: tuple[Change, ...]
    attributes: Mapping[str, tuple[str, ...]]
    """By address, of what is changed or replaced."""
    document: Mapping[str, Any]
    made_from: Serial
    seconds: float


@contextmanager
def opened(target: api.Target, report: Report, *, offline: bool = False) -> Iterator[Workspace]:
    """The target's workspace, as `api.opened`; what an earlier run could not store in the bucket is stored first.

    offline: of an account that is not asked anything.
    """
    if not isinstance(target, Account):
        with api.opened(api.workspace(target), report) as space:
            yield space
        return
    with api.opened(aws.offline(target.env) if offline else api.workspace(target), report) as space:
        if not offline:
            store_waiting(space, target.env, report)
        yield space


def make(space: Workspace, var_file: Path, extra: Mapping[str, Any], out: Path, report: Report) -> Stored:
    """Plans into a file, which the user alone may read: it has every value, secret ones too."""
    arguments = api.variables(space, var_file, extra, report)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.unlink(missing_ok=True)
    out.touch(mode=0o600)
    run = runner.execute(space, "plan", [f"-out={out}", *arguments], report, "plan")
    document = show(space, out)
    found = [one for one in document.get("resource_changes", ()) if one["change"]["actions"] != ["no-op"]]
    changed = {one["address"]: _different(one["change"]) for one in found}
    changes = api.changes_of(run)
    if not changes and _outputs_change(document):
        changes = (Change("update", "outputs"),)
    return Stored(changes, changed, document, serial(space), run.seconds)


def show(space: Workspace, plan: Path) -> dict[str, Any]:
    """https://developer.hashicorp.com/terraform/internals/json-format#plan-representation"""
    found: dict[str, Any] = json.loads(_output(space, "show", "-json", str(plan)))
    return found


def text(space: Workspace, plan: Path) -> str:
    """The plan as Terraform shows it to people, attribute by attribute; secret values are left out."""
    return _output(space, "show", "-no-color", str(plan))


def apply(space: Workspace, plan: Path, changes: tuple[Change, ...], report: Report, cause: runner.Cause) -> Applied:
    """Applies exactly this plan. Raises SluiceError (code 1); a state that could not be stored is then rescued."""
    planned = runner.Run("plan", planned={one.address: one.action for one in changes})
    planned.total = len([one for one in changes if one.action != "read"])
    run = runner.execute(space, "apply", [str(plan)], report, "deploy", planned=planned, cause=cause)
    return api.applied(run, run.seconds, changes)


def serial(space: Workspace) -> Serial:
    """Which state it is now."""
    found = api.read_state(space)
    return Serial(str(found.get("lineage", "")), int(found.get("serial", 0))) if found.get("resources") else Serial()


def drift(
    space: Workspace, var_file: Path, extra: Mapping[str, Any], report: Report
) -> list[tuple[Change, tuple[str, ...]]]:
    """What is there and differs from the state: the change that was made to it, and the attributes.

    https://developer.hashicorp.com/terraform/cli/commands/plan#planning-modes
    """
    arguments = api.variables(space, var_file, extra, report)
    out = space.data / "drift.tfplan"
    try:
        runner.execute(space, "plan", ["-refresh-only", f"-out={out}", *arguments], report, "drift")
        document = show(space, out)
    finally:
        out.unlink(missing_ok=True)
    found = []
    for one in document.get("resource_drift", ()):
        actions, names = one["change"]["actions"], _different(one["change"])
        if one["type"] == "aws_lambda_alias":  # `sluice shift` and `sluice rollback` point it at a version
            names = tuple(name for name in names if name not in ("description", "function_version", "routing_config"))
        if one["mode"] == "managed" and actions != ["no-op"] and (names or actions != ["update"]):
            found.append((Change("removed" if actions == ["delete"] else "changed", one["address"]), names))
    return sorted(found, key=lambda pair: pair[0].address)


def store_waiting(space: Workspace, env: str, report: Report) -> None:
    """Brings states that a fault left on this machine to the bucket. Terraform refuses one that is another's or older.

    https://developer.hashicorp.com/terraform/cli/commands/state/push
    """
    for file in aws.waiting_states(env):
        store(space, file, report)


def store(space: Workspace, file: Path, report: Report) -> None:
    """Brings one state to the bucket; what is on this machine is then called .stored. Safe to repeat."""
    if _has_resources(file):
        done = _run(space, "state", "push", str(file))
        if done.returncode != 0:
            fail(f"{file} is not in the state's bucket, and cannot be stored there: {_last(done.stderr)}", 1)
        report(f"state   {file.name} is in the bucket now")
    file.rename(file.with_name(f"{file.name}.stored"))


def _has_resources(file: Path) -> bool:
    try:
        return bool(json.loads(file.read_text()).get("resources"))
    except (OSError, ValueError, AttributeError):
        return True  # Terraform says what is wrong with it


def _outputs_change(document: Mapping[str, Any]) -> bool:
    return any(one["actions"] != ["no-op"] for one in document.get("output_changes", {}).values())


def _different(change: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the attributes that differ; those that are not known before the change are none."""
    before, after = change.get("before") or {}, change.get("after") or {}
    if not before or not after:
        return ()
    return tuple(sorted(name for name in before.keys() & after.keys() if before[name] != after[name]))


def _output(space: Workspace, *words: str) -> str:
    done = _run(space, *words)
    if done.returncode != 0:
        fail(f"terraform {' '.join(words[:2])} failed: {_last(done.stderr)}", 1)
    return done.stdout


def _run(space: Workspace, *words: str) -> subprocess.CompletedProcess[str]:
    command = [*space.command, *words]
    return subprocess.run(command, cwd=space.stack, env=space.environment, capture_output=True, text=True, check=False)


def _last(text: str) -> str:
    lines = [line.strip(" ╷│╵") for line in text.splitlines() if line.strip(" ╷│╵")]
    first = next((line for line in lines if line.startswith("Error")), None)
    return first or (lines[-1] if lines else "no output")
