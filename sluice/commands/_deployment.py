"""What build, plan, deploy and destroy share: the options that say what is deployed where, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice import console
from sluice.options import is_local
from sluice.tables import layout

if TYPE_CHECKING:
    from sluice.build import BuiltArtifact, Manifest
    from sluice.engine.instance import EngineInfo, Instance
    from sluice.terraform import Applied
    from sluice.terraform import Target as Place
    from sluice.terraform.runner import Cause

Env = Annotated[str, typer.Option("--env", help="Environment: infra/envs/<env>.tfvars.")]
VarFile = Annotated[Path | None, typer.Option("--var-file", help="Another tfvars file than the environment's.")]
Var = Annotated[list[str] | None, typer.Option("--var", metavar="NAME=VALUE", help="One more variable; repeatable.")]

OUTPUTS = layout("output", "value:fold")


def place_of(target: str, env: str) -> Place:
    """The instance of the engine, or the account, that --target and --env name."""
    from sluice import terraform
    from sluice.engine.instance import Instance

    if not is_local(target):
        return terraform.Account(env)
    instance = Instance.default()
    instance.refuse_other_endpoint()
    return instance


def input_of(env: str, var_file: Path | None, var: list[str] | None) -> tuple[Path, dict[str, Any]]:
    """The tfvars file, and the variables of --var. Wrong ones end with code 2."""
    from sluice.names import unknown
    from sluice.paths import ENVS_DIR

    file = var_file or ENVS_DIR / f"{env}.tfvars"
    if var_file is None and not file.exists():
        console.fail(unknown("environment", env, [path.stem for path in ENVS_DIR.glob("*.tfvars")]))
    variables = {}
    for word in var or []:
        name, equals, value = word.partition("=")
        if not equals or not name:
            console.fail(f"--var {word!r}: expected NAME=VALUE")
        variables[name] = value
    return file, variables


def refuse_other_name(env: str, confirm: str | None) -> None:
    """Ends with code 2 when --confirm names another environment than --env."""
    if confirm is not None and confirm != env:
        console.fail(f"--confirm says {confirm}, --env says {env}")


def ask_for_name(env: str, confirm: str | None, question: str, protected: bool) -> None:
    """Where data matters, has the environment's name typed, or given with --confirm. Ends with code 2 without it."""
    import sys

    if confirm == env or not (protected or env == "prod"):
        return
    if not sys.stdin.isatty():
        console.fail(f"{env} asks for its name: --confirm {env}")
    if typer.prompt(f"{question}? Type the environment's name", err=True).strip() != env:
        console.fail(f"that is not {env}: nothing was changed")


def reader_of_causes(place: Place) -> Cause:
    """Reads the last error in the log of a function that a deployment has invoked."""
    from datetime import UTC, datetime

    from sluice import terraform
    from sluice.engine.instance import region

    began = datetime.now(UTC)

    def cause(function: str) -> str:
        from botocore.exceptions import BotoCoreError, ClientError

        from sluice.pipeline.logs import last_error
        from sluice.pipeline.stack import Stack

        endpoint = None if isinstance(place, terraform.Account) else place.endpoint_url
        try:
            return last_error(Stack(endpoint, region()).client("logs"), function, began)
        except (BotoCoreError, ClientError):  # Terraform says it in the end
            return ""

    return cause


def build_changes(*, quiet: bool, only: Collection[str] | None = None) -> Manifest:
    """Builds what changed, and shows only what was rebuilt. only: as for `sluice.build.build`."""
    from sluice import build as builder

    return builder.build(
        report=None if quiet else lambda artifact: show_artifact(artifact) if artifact.rebuilt else None, only=only
    )


def follow_ports(instance: Instance, info: EngineInfo, report: Callable[[str], None]) -> None:
    """Deploys a restored stack again whose settings name the addresses of the engine that saved it."""
    from dataclasses import replace

    from sluice import terraform

    record = terraform.deployed(instance)
    if record is not None:
        file = Path(record.var_file)
        report(f"engine  has other addresses than the saved state: deploying {file.name}, whose settings name them")
        done = terraform.apply(instance, file, record.variables, report=report)
        report(f"deploy  {done.changed} changed ({done.seconds:.0f} s)")
    instance.write_info(replace(info, moved=False))


def show_artifact(artifact: BuiltArtifact) -> None:
    """One line for an artifact: name, size, rebuilt or unchanged, seconds."""
    state = "rebuilt" if artifact.rebuilt else "unchanged"
    size = f"{console.human_bytes(artifact.zipped)} ({console.human_bytes(artifact.unzipped)} unzipped)"
    console.note(f"build   {artifact.name:<12} {size:<32} {state:<9} {artifact.seconds:5.1f} s")


NAMED_CHANGES = 3  # more of them do not fit on a line


def summary_of(
    done: Applied, endpoint_url: str | None, seconds: float, shell: str, env: str = "dev"
) -> list[tuple[str, str]]:
    """What a reader wants to know after a deployment, in five lines: where it is, where to upload, what changed, how
    long it took, and the next command. shell: what prepares the shell, empty when it is prepared. seconds: of all.
    """
    outputs = done.outputs
    place = endpoint_url or f"{outputs.get('account_id', '-')}, {outputs.get('region', '-')}"
    first = f"{shell}; " if shell else ""
    next_one = f"{first}sluice seed shipping --rows 500; sluice runs"
    if endpoint_url is None:
        next_one = f"sluice status --target aws --env {env}"
    return [
        ("endpoint" if endpoint_url else "account", place),
        ("bucket", f"s3://{outputs.get('bronze_bucket', '-')}; upload to bronze/<dataset>/"),
        ("changed", _changed(done)),
        ("time", f"{console.human_seconds(seconds)}, {console.human_seconds(done.seconds)} of it Terraform's"),
        ("next", f"{next_one} (sluice outputs: all {len(outputs)} outputs)"),
    ]


def _changed(done: Applied) -> str:
    counts = ((done.added, "added"), (done.changed, "changed"), (done.removed, "removed"))
    said = ", ".join(f"{count} {word}" for count, word in counts if count)
    if not said:
        return "nothing"
    named = [change.address for change in done.changes if change.action not in ("read", "noop")]
    if not named or len(named) > 4 * NAMED_CHANGES:
        return said
    more = len(named) - NAMED_CHANGES
    return f"{said}: {', '.join(named[:NAMED_CHANGES])}" + (f" and {more} more" if more > 0 else "")


def show_outputs(outputs: Mapping[str, Any]) -> None:
    """The outputs as a table; of `branches`, a map of maps, the names."""
    from sluice.pipeline.branches import OUTPUT

    shown = {
        name: ", ".join(value) if name == OUTPUT else value for name, value in outputs.items() if value is not None
    }
    console.print_table(OUTPUTS, list(shown.items()))


def as_json(done: Applied) -> dict[str, Any]:
    """The outcome of deploy and destroy."""
    return {
        "added": done.added,
        "changed": done.changed,
        "removed": done.removed,
        "seconds": round(done.seconds, 1),
        "outputs": done.outputs,
    }
