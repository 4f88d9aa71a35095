"""`sluice deploy`: builds and deploys to the engine; to an account, it applies the plan that `sluice plan` has made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sluice import console
from sluice.commands._deployment import (
    Env,
    Var,
    VarFile,
    as_json,
    ask_for_name,
    build_changes,
    input_of,
    place_of,
    reader_of_causes,
    refuse_other_name,
    summary_of,
)
from sluice.options import Confirm, Json, Target, is_local

if TYPE_CHECKING:
    from sluice.terraform import Applied
    from sluice.terraform import Target as Place
    from sluice.terraform.runner import Cause

PANEL, ORDER = "Deployment", 22
_NAMED = 3  # functions, of those whose versions were removed


def deploy(
    target: Target = "local",
    env: Env = "dev",
    var_file: VarFile = None,
    var: Var = None,
    function: Annotated[
        str | None, typer.Option("--function", metavar="NAME", help="Only this function's code (as in `sluice logs`).")
    ] = None,
    plan: Annotated[
        Path | None, typer.Option("--plan", help="A file of `sluice plan` (aws: .sluice/aws/<env>/plan.tfplan).")
    ] = None,
    confirm: Confirm = None,
    untested: Annotated[
        bool, typer.Option("--untested", help="To an account, also what the suites did not pass with (not to prod).")
    ] = False,
    json: Json = False,
) -> None:
    """Build what changed and deploy it; ends with where it is, what changed and what to do next.

    To an account goes the plan that `sluice plan --target aws` has stored, and nothing else.
    """
    import shutil
    import time

    from sluice import paths, terraform

    began = time.monotonic()
    place = place_of(target, env)
    planned = plan is not None or not is_local(target)
    if planned and (function or var_file or var):
        console.fail(
            "--function, --var-file and --var are not for a plan: it has its variables, `sluice plan` gets them"
        )
    given = input_of(env, var_file, var)
    cause = reader_of_causes(place)
    if planned:
        if not is_local(target):
            from sluice.build import tested
            from sluice.build.artifacts import load_manifest

            tested.require(load_manifest(), env, untested=untested)
        done = _apply(place, env, plan, confirm, cause, quiet=json)
    elif function is None:
        build_changes(quiet=json)
        done = terraform.apply(place, *given, cause=cause)
    else:
        done = terraform.apply(place, *given, targets=_built(place, function, quiet=json), cause=cause)
    endpoint = None if isinstance(place, terraform.Account) else place.endpoint_url
    _prune(endpoint, done, quiet=json)
    if json:
        console.print_json(as_json(done))
        return
    shell = "" if shutil.which("sluice") else paths.shell_line()
    for name, text in summary_of(done, endpoint, time.monotonic() - began, shell, env):
        print(f"{name:<9} {text}")


def _apply(place: Place, env: str, plan: Path | None, confirm: str | None, cause: Cause, *, quiet: bool) -> Applied:
    """Applies a plan's file, after all that can be checked has been."""
    from sluice import terraform
    from sluice.promotion import plans, record

    of_account = isinstance(place, terraform.Account)
    again = f"make plan TARGET=aws ENV={env}" if of_account else f"sluice plan --env {env} --out {plan}"
    file = plan or record.plan_file(env)
    report = console.silent if quiet else console.note
    refuse_other_name(env, confirm)
    found = plans.ready(place, env, file, again, report)
    if of_account:
        ask_for_name(env, confirm, f"Deploy {len(found.changes)} changes to {found.made_for}", found.facts.protected)
    return plans.apply(place, found, file, again, report, cause)


def _prune(endpoint: str | None, done: Applied, *, quiet: bool) -> None:
    """Removes versions of functions that nothing needs any more, and says so."""
    from sluice.engine.instance import region
    from sluice.pipeline.stack import Stack
    from sluice.release import prune

    stack = Stack(endpoint, str(done.outputs.get("region") or region()), done.outputs)
    gone = prune.prune(stack, lambda line: console.note(f"deploy  {line}"))
    count = sum(len(one.versions) for one in gone)
    if count and not quiet:
        more = ", ..." if len(gone) > _NAMED else ""
        named = ", ".join(f"{one.function} {one.versions[0]} to {one.versions[-1]}" for one in gone[:_NAMED])
        console.note(f"deploy  {count} old versions of functions removed ({named}{more})")


def _built(place: Place, function: str, *, quiet: bool) -> list[str]:
    """Builds the function's code, and returns the addresses of what is to be deployed for it.

    Raises SluiceError (code 2) when no function of this name is deployed.
    """
    from sluice import terraform
    from sluice.names import unknown
    from sluice.pipeline.branches import OUTPUT, Branches
    from sluice.terraform import resources

    declared = terraform.outputs(place).get(OUTPUT) or {}
    functions = Branches.parse(declared).functions
    name = next((one.name for one in functions.values() if function in (one.key, one.name)), None)
    if name is None:
        hint = "" if functions else " (nothing is deployed: `make deploy`)"
        console.fail(unknown("function", function, functions) + hint)
    found = resources.read(terraform.state(place))
    built = build_changes(quiet=quiet, only=[resources.artifacts_of(found)[name]])
    return resources.targets(found, [name], {key: artifact.sha256 for key, artifact in built.artifacts.items()})
