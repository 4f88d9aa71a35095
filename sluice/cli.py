"""The `sluice` command: collects the verbs and turns every error into one line and an exit code.

A module of verbs has `register(app: typer.Typer)` and imports nothing heavy at its top: boto3, pyarrow and the like
belong inside the functions, so that `sluice --help` stays instant.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from sluice import __version__
from sluice.console import FAILED, OK, SluiceError, debugging

VERB_MODULES = (
    "sluice.verbs.engine",
    "sluice.verbs.deployment",
    "sluice.data.cli",
    "sluice.data.verbs",
    "sluice.ops",
    "sluice.branches",
    "sluice.bench.verbs",
    "sluice.verbs.housekeeping",
)

app = typer.Typer(
    name="sluice",
    help="Serverless ELT on AWS, local first: the same Terraform on a laptop and in an account.",
    epilog="Exit codes: 0 done, 1 failed or a difference was found, 2 wrong use. SLUICE_DEBUG=1 shows tracebacks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"sluice {__version__}")
        raise typer.Exit(OK)


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def register_verbs(modules: Sequence[str] = VERB_MODULES) -> None:
    """Lets each module add its verbs. A module that is not there is left out; one that is broken is an error."""
    for name in modules:
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
                continue
            raise
        module.register(app)


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    try:
        result = app(args=None if arguments is None else list(arguments), prog_name="sluice", standalone_mode=False)
        return result if isinstance(result, int) else OK
    except SluiceError as error:
        if debugging():
            raise
        return _report(str(error), error.code)
    except typer.TyperException as error:
        message = error.format_message()
        # Called without a verb, the "error" is the help text itself.
        if "\n" in message or not message:
            typer.echo(message, err=True)
            return error.exit_code
        return _report(f"{message.rstrip('.')}. See `sluice --help`.", error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        return _report("interrupted", 130)
    except BrokenPipeError:
        return FAILED
    except Exception as error:  # the last resort: whatever it is, the user gets one line
        if debugging():
            raise
        text = " ".join(str(error).split()) or type(error).__name__
        return _report(f"{type(error).__name__}: {text} (SLUICE_DEBUG=1 shows where)", FAILED)


def _report(message: str, code: int) -> int:
    typer.echo(f"sluice: {message}", err=True)
    return code


def main() -> None:
    """Entry point of the command."""
    register_verbs()
    sys.exit(run())


if __name__ == "__main__":
    main()
