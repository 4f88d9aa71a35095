"""Verbs of the engine: up, down, logs, env (status is in sluice.ops)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sluice import console
from sluice.options import Json

if TYPE_CHECKING:
    from sluice.instance import Instance
    from sluice.terraform import Deployed

PANEL = "Engine"


def register(app: typer.Typer) -> None:
    """Adds the verbs of this module."""
    for verb in (up, down, logs, env):
        app.command(rich_help_panel=PANEL)(verb)


def up(
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the AWS API (else 4566).")] = None,
    postgres_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port of PostgreSQL (else 5432).")] = None,
    faults: Annotated[bool, typer.Option("--faults", help="Allow fault control (tests).")] = False,
    json: Json = False,
) -> None:
    """Start LocalStack and PostgreSQL and wait until both answer; says so when they run already.

    What was deployed and is gone, for the engine was killed or its container started again, is deployed again.
    """
    from sluice import engine, terraform
    from sluice.instance import Instance

    instance = Instance.default()
    report = _quiet if json else console.note
    before = terraform.deployed(instance)
    engine.up(instance, faults=faults, port=port, postgres_port=postgres_port, report=report)
    if before is not None and not terraform.outputs(instance):
        _deploy_again(instance, before, report)
    if json:
        _print_status()
    else:
        console.note(f'engine  for your shell: eval "$(sluice env)"; home {instance.home}')


def _deploy_again(instance: Instance, before: Deployed, report: Callable[[str], None]) -> None:
    """Deploys what an engine held that ended without `sluice down`: it began again with nothing in its memory."""
    from sluice import build, terraform

    file = Path(before.var_file)
    if not file.exists():
        report(f"engine  began empty, and {file} is gone: `make deploy`")
        return
    report(f"engine  ended without `make down` and began empty: deploying {file.name} again")
    build.build()
    done = terraform.apply(instance, file, before.variables, report=report)
    report(f"deploy  {done.added} added ({done.seconds:.0f} s); LocalStack's data is gone, PostgreSQL's is not")


def _quiet(_: str) -> None:
    """Takes a message and says nothing."""


def down(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing when nothing runs.")] = False,
    json: Json = False,
) -> None:
    """Stop LocalStack and PostgreSQL; leaves no process behind. PostgreSQL's data stays."""
    from sluice import engine
    from sluice.instance import Instance

    stopped = engine.down(Instance.default())
    if json:
        console.print_json({"stopped": stopped})
    elif stopped:
        console.note("engine  stopped")
    elif not quiet:
        console.note("engine  nothing runs")


def _print_status() -> int:
    from dataclasses import asdict

    from sluice import engine
    from sluice.instance import Instance

    found = engine.status(Instance.default())
    console.print_json(asdict(found))
    return console.OK if found.running and found.healthy else console.FAILED


def logs(
    what: Annotated[str, typer.Argument(help="engine, postgres, or the name of a function.")] = "engine",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until interrupted.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many lines to begin with.")] = 100,
    json: Json = False,
) -> None:
    """Show the logs of the engine, of PostgreSQL, or of a function (CloudWatch)."""
    from sluice import logs as reader
    from sluice.instance import Instance

    instance = Instance.default()
    info = instance.info()
    if what in ("engine", "postgres") and info is not None and info.kind == "docker":
        reader.show_container(getattr(info, what), lines=lines, follow=follow, as_json=json)
    elif what in ("engine", "postgres"):
        reader.show_file(instance.logs_dir / f"{what}.log", lines=lines, follow=follow, as_json=json)
    else:
        reader.show_function(instance, what, lines=lines, follow=follow, as_json=json)


def env(json: Json = False) -> None:
    """Print shell exports with which any AWS client, and tflocal in infra/stack, reaches the running engine.

    Use it as: eval "$(sluice env)"
    """
    import shlex

    from sluice import terraform
    from sluice.instance import Instance
    from sluice.paths import BIN_DIR, link_commands

    instance = Instance.default()
    variables = terraform.shell_environment(instance)
    terraform.ensure_init(instance)
    link_commands()
    if json:
        console.print_json({**variables, "PATH": f"{BIN_DIR}{os.pathsep}{os.environ.get('PATH', '')}"})
        return
    # Another account's profile or session would be mixed with the engine's keys.
    foreign = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "TF_CLI_CONFIG_FILE")
    unset = [name for name in foreign if name in os.environ and name not in variables]
    if unset:
        print(f"unset {' '.join(unset)}")
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")
    if str(BIN_DIR) not in os.environ.get("PATH", "").split(os.pathsep):
        print(f'export PATH={shlex.quote(str(BIN_DIR))}:"$PATH"')
