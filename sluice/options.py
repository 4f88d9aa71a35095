"""Options that several verbs share."""

from __future__ import annotations

from typing import Annotated

import typer

Target = Annotated[str, typer.Option("--target", envvar="TARGET", help="local (the engine) or aws.")]
Env = Annotated[str, typer.Option("--env", help="Environment of the account (aws only).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
