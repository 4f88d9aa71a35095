"""`sluice up`: starts the engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sluice import console
from sluice.commands._deployment import follow_ports
from sluice.options import Json, persists_state

if TYPE_CHECKING:
    from sluice.engine.instance import Instance
    from sluice.terraform import Deployed

PANEL, ORDER = "Engine", 10


def up(
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the AWS API (else 4566).")] = None,
    postgres_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port of PostgreSQL (else 5432).")] = None,
    faults: Annotated[bool, typer.Option("--faults", help="Allow fault control (tests).")] = False,
    json: Json = False,
) -> None:
    """Start LocalStack and PostgreSQL and wait until both answer; says so when they run already.

    What `sluice down` saved is restored. PERSISTENCE=0 in the environment begins empty. A deployment that was lost,
    because the engine was killed and nothing had been saved, is made again.
    """
    from dataclasses import asdict

    from sluice import engine, terraform
    from sluice.engine.instance import Instance
    from sluice.paths import shell_line

    instance = Instance.default()
    report = console.silent if json else console.note
    before = terraform.deployed(instance)
    empty = not persists_state()
    info = engine.up(instance, faults=faults, port=port, postgres_port=postgres_port, empty=empty, report=report)
    if before is not None and not empty and not terraform.outputs(instance):
        _deploy_again(instance, before, report)
    elif info.moved:
        follow_ports(instance, info, report)
    if json:
        console.print_json(asdict(engine.status(instance)))
    else:
        console.note(f"shell   {shell_line()}")
        deployed = bool(terraform.outputs(instance))
        console.note("next    " + ("`sluice status`, `make demo`" if deployed else "`make deploy`, or `make demo`"))


def _deploy_again(instance: Instance, before: Deployed, report: Callable[[str], None]) -> None:
    """Deploys what the engine held before it ended without `sluice down`: its memory is empty now."""
    from sluice import build, terraform

    file = Path(before.var_file)
    if not file.exists():
        report(f"engine  began empty, and {file} is gone: `make deploy`")
        return
    report(f"engine  ended without `make down` and began empty: deploying {file.name} again")
    build.build()
    done = terraform.apply(instance, file, before.variables, report=report)
    report(f"deploy  {done.added} added ({done.seconds:.0f} s); LocalStack's data is gone, PostgreSQL's is not")
