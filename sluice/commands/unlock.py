"""`sluice unlock`: removes the lock that a dead run has left on an account's state."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice import console
from sluice.commands._deployment import Env, Var, VarFile, input_of
from sluice.options import Target, is_local

PANEL, ORDER = "Deployment", 26


def unlock(
    lock: Annotated[str, typer.Argument(metavar="LOCK", help="Its id, as `sluice preflight` names it.")],
    target: Target = "local",
    env: Env = "dev",
    var_file: VarFile = None,
    var: Var = None,
) -> None:
    """Remove the lock that a run has left on the state when it died. Make sure that it is dead."""
    from sluice.promotion import plans

    if is_local(target):
        console.fail("the engine's state has no lock: --target aws")
    held = plans.unlock(lock, env, *input_of(env, var_file, var))
    console.note(f"unlock  {held.who} had locked the state since {held.since}; it is free")
