"""Verbs around what is deployed: build, plan, deploy, destroy, outputs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice import console
from sluice.options import Json

if TYPE_CHECKING:
    from sluice.build import BuiltArtifact
    from sluice.terraform import Applied

PANEL = "Deployment"
Target = Annotated[
    str, typer.Option("--target", envvar="TARGET", metavar="local|aws", help="The engine or an account.")
]
Env = Annotated[str, typer.Option("--env", help="Environment: infra/envs/<env>.tfvars.")]
VarFile = Annotated[Path | None, typer.Option("--var-file", help="Another tfvars file than the environment's.")]
Var = Annotated[list[str] | None, typer.Option("--var", metavar="NAME=VALUE", help="One more variable; repeatable.")]


def register(app: typer.Typer) -> None:
    """Adds the verbs of this module."""
    for verb in (build, plan, deploy, destroy, outputs):
        app.command(rich_help_panel=PANEL)(verb)


def build(
    json: Json = False,
    force: Annotated[bool, typer.Option("--force", help="Build everything, changed or not.")] = False,
) -> None:
    """Package the functions and layers as reproducible zips; only what changed is built."""
    from dataclasses import asdict

    from sluice import build as builder

    manifest = builder.build(report=None if json else show_artifact, force=force)
    if json:
        artifacts = {name: asdict(artifact) for name, artifact in manifest.artifacts.items()}
        console.print_json({"folder": manifest.folder, "artifacts": artifacts})


def show_artifact(artifact: BuiltArtifact) -> None:
    """One line for an artifact: name, size, rebuilt or unchanged, seconds."""
    state = "rebuilt" if artifact.rebuilt else "unchanged"
    size = f"{console.human_bytes(artifact.zipped)} ({console.human_bytes(artifact.unzipped)} unzipped)"
    console.note(f"build   {artifact.name:<12} {size:<32} {state:<9} {artifact.seconds:5.1f} s")


def plan(
    target: Target = "local",
    env: Env = "dev",
    var_file: VarFile = None,
    var: Var = None,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 when there are changes.")] = False,
    json: Json = False,
) -> None:
    """Show what a deployment would change."""
    from dataclasses import asdict

    from sluice import terraform
    from sluice.instance import Instance

    local, file, variables = _arguments(target, env, var_file, var)
    _build_quietly(json)
    if local:
        found = terraform.plan(Instance.default(), file, variables)
    else:
        found = terraform.aws_plan(env, file, variables)
    if json:
        console.print_json({"changes": [asdict(c) for c in found.changes], "seconds": round(found.seconds, 1)})
    elif found.changes:
        console.print_table(("action", "resource"), [(c.action, c.address) for c in found.changes])
        console.note(f"plan    {len(found.changes)} changes ({found.seconds:.0f} s)")
    else:
        console.note(f"plan    no changes ({found.seconds:.0f} s)")
    raise typer.Exit(console.FAILED if check and found.changes else console.OK)


def deploy(
    target: Target = "local", env: Env = "dev", var_file: VarFile = None, var: Var = None, json: Json = False
) -> None:
    """Build what changed and deploy it; prints the outputs."""
    from sluice import terraform
    from sluice.instance import Instance

    local, file, variables = _arguments(target, env, var_file, var)
    _build_quietly(json)
    if local:
        done = terraform.apply(Instance.default(), file, variables)
    else:
        done = terraform.aws_apply(env, file, variables)
    if json:
        console.print_json(_applied(done))
        return
    console.note(f"deploy  {done.added} added, {done.changed} changed, {done.removed} removed ({done.seconds:.0f} s)")
    console.print_table(("output", "value"), [(k, v) for k, v in sorted(done.outputs.items()) if v is not None])


def destroy(
    target: Target = "local",
    env: Env = "dev",
    var_file: VarFile = None,
    var: Var = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask (TARGET=aws asks).")] = False,
    json: Json = False,
) -> None:
    """Remove what was deployed."""
    from sluice import terraform
    from sluice.instance import Instance

    local, file, variables = _arguments(target, env, var_file, var)
    if local:
        done = terraform.destroy(Instance.default(), file, variables)
    else:
        if not yes:
            typer.confirm(f"Remove the {env} stack from the AWS account?", abort=True, err=True)
        done = terraform.aws_destroy(env, file, variables)
    if json:
        console.print_json(_applied(done))
    else:
        console.note(f"destroy {done.removed} removed ({done.seconds:.0f} s)")


def outputs(target: Target = "local", env: Env = "dev", json: Json = False) -> None:
    """Print the outputs of what is deployed, with endpoint_url and region."""
    from sluice.stack import Stack

    described = (Stack.load() if _is_local(target) else Stack.load(env=env)).describe()
    if json:
        console.print_json(described)
    else:
        console.print_table(("output", "value"), [(k, v) for k, v in described.items() if v is not None])
    if len(described) <= 2:
        console.note("nothing is deployed: run `make deploy`")
        raise typer.Exit(console.FAILED)


def _is_local(target: str) -> bool:
    if target not in ("local", "aws"):
        console.fail(f"target {target!r} is not known: use local or aws")
    return target == "local"


def _arguments(
    target: str, env: str, var_file: Path | None, var: list[str] | None
) -> tuple[bool, Path, dict[str, Any]]:
    """Whether the target is local, the tfvars file, and the variables of --var. Wrong ones end with code 2."""
    from sluice.paths import ENVS_DIR

    local = _is_local(target)
    file = var_file or ENVS_DIR / f"{env}.tfvars"
    if var_file is None and not file.exists():
        known = ", ".join(sorted(path.stem for path in ENVS_DIR.glob("*.tfvars"))) or "none"
        console.fail(f"there is no environment {env!r}: infra/envs has {known}")
    variables = {}
    for word in var or []:
        name, equals, value = word.partition("=")
        if not equals or not name:
            console.fail(f"--var {word!r}: expected NAME=VALUE")
        variables[name] = value
    return local, file, variables


def _build_quietly(json: bool) -> None:
    """Builds what changed; says only what was rebuilt."""
    from sluice import build as builder

    builder.build(report=None if json else lambda artifact: show_artifact(artifact) if artifact.rebuilt else None)


def _applied(done: Applied) -> dict[str, Any]:
    return {
        "added": done.added,
        "changed": done.changed,
        "removed": done.removed,
        "seconds": round(done.seconds, 1),
        "outputs": done.outputs,
    }
