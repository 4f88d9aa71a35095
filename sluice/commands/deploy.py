"""`sluice deploy`: builds and deploys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sluice import console
from sluice.commands._deployment import (
    Env,
    Var,
    VarFile,
    as_json,
    build_changes,
    input_of,
    place_of,
    reader_of_causes,
    summary_of,
)
from sluice.options import Json, Target

if TYPE_CHECKING:
    from sluice.terraform import Target as Place

PANEL, ORDER = "Deployment", 22


def deploy(
    target: Target = "local",
    env: Env = "dev",
    var_file: VarFile = None,
    var: Var = None,
    function: Annotated[
        str | None, typer.Option("--function", metavar="NAME", help="Only this function's code (as in `sluice logs`).")
    ] = None,
    json: Json = False,
) -> None:
    """Build what changed and deploy it; ends with where it is, what changed and what to do next."""
    import shutil
    import time

    from sluice import paths, terraform

    began = time.monotonic()
    place, given = place_of(target, env), input_of(env, var_file, var)
    cause = reader_of_causes(place)
    if function is None:
        build_changes(quiet=json)
        done = terraform.apply(place, *given, cause=cause)
    else:
        done = terraform.apply(place, *given, targets=_built(place, function, quiet=json), cause=cause)
    if json:
        console.print_json(as_json(done))
        return
    endpoint = None if isinstance(place, terraform.Account) else place.endpoint_url
    shell = "" if shutil.which("sluice") else paths.shell_line()
    for name, text in summary_of(done, endpoint, time.monotonic() - began, shell):
        print(f"{name:<9} {text}")


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
