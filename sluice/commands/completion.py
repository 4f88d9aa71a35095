"""`sluice completion`: completion of verbs, options and names of datasets in a shell."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice import console

PANEL, ORDER = "Checkout", 62

SHELLS = ("bash", "zsh", "fish")


def completion(shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish", help="Your shell.")]) -> None:
    """Print the completion for a shell: eval "$(sluice completion bash)", in ~/.bashrc for every shell."""
    from typer._completion_shared import get_completion_script

    if shell not in SHELLS:
        console.fail(f"shell {shell!r} is not known: use bash, zsh or fish")
    print(get_completion_script(prog_name="sluice", complete_var="_SLUICE_COMPLETE", shell=shell))
