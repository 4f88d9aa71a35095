"""The `sluice` command: finds the verbs, and turns every error into one line and an exit code.

A verb is a module of `sluice.commands`, and is called what the user types. A branch's verb is
`sluice.branches.<branch>.commands`, and is called like the branch. The module has `PANEL` and `ORDER`, its place in the
help, and a function or a typer.Typer of the verb's name. It imports nothing heavy at its top: boto3, pyarrow and the
like belong inside the functions, so that `sluice --help` stays instant.
"""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from sluice import __version__, paths
from sluice.arguments import convert_lazily
from sluice.console import FAILED, OK, SluiceError, debugging
from sluice.environment import make_printable
from sluice.tables import safe

COMMANDS, BRANCHES = "sluice.commands", "sluice.branches"
COMPLETE = "_SLUICE_COMPLETE"
"""Set by the shell's completion (`sluice completion`)."""

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
    home: Annotated[
        Path | None, typer.Option("--home", help="Work on the engine of this home, even if another checkout's.")
    ] = None,
) -> None:
    del version  # its callback has ended the command
    paths.ask_for_home(home)


class Verb(NamedTuple):
    """Sorted by its place in the help."""

    order: int
    name: str
    module: str


def find_verbs(commands: str = COMMANDS, branches: str = BRANCHES, only: str | None = None) -> list[Verb]:
    """The verbs in these packages, in the order of the help; with `only` the one of that name, all when there is none.

    Raises ImportError for a module that is broken, AttributeError for one that is no verb.
    """
    found = dict(_modules(commands, branches))
    names = [only] if only in found else list(found)
    return sorted(_verb(name, found[name]) for name in names)


def _modules(commands: str, branches: str) -> Iterator[tuple[str, str]]:
    for found in pkgutil.iter_modules(importlib.import_module(commands).__path__):
        if not found.name.startswith("_"):  # parts that several verbs share
            yield found.name, f"{commands}.{found.name}"
    for branch in pkgutil.iter_modules(importlib.import_module(branches).__path__):
        inside = importlib.import_module(f"{branches}.{branch.name}").__path__
        if any(found.name == "commands" for found in pkgutil.iter_modules(inside)):
            yield branch.name, f"{branches}.{branch.name}.commands"


def _verb(name: str, module: str) -> Verb:
    loaded = importlib.import_module(module)
    if not hasattr(loaded, name):
        raise AttributeError(f"{module} has no verb: it must have a function or a typer.Typer called {name}")
    return Verb(int(loaded.ORDER), name, module)


def register_verbs(commands: str = COMMANDS, branches: str = BRANCHES, only: str | None = None) -> None:
    """Adds all verbs to the command, or `only` the one that was asked for: the others' modules are then not loaded.

    Safe to repeat.
    """
    known = {command.name for command in app.registered_commands} | {group.name for group in app.registered_groups}
    for verb in find_verbs(commands, branches, only):
        if verb.name in known:
            continue
        module = importlib.import_module(verb.module)
        found = getattr(module, verb.name)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=verb.name, rich_help_panel=module.PANEL)
        else:
            app.command(verb.name, rich_help_panel=module.PANEL)(found)


def home_first(arguments: Sequence[str]) -> list[str]:
    """The arguments with --home before the verb: it may be given anywhere, as in `make deploy ARGS="--home ..."`."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    moved: list[str] = []
    others: list[str] = []
    words = iter(arguments[:end])
    for word in words:
        if word == "--home":
            moved += [word, *([value] if (value := next(words, None)) is not None else [])]
        elif word.startswith("--home="):
            moved.append(word)
        else:
            others.append(word)
    return [*moved, *others, *arguments[end:]]


def verb_of(arguments: Sequence[str]) -> str | None:
    """The verb that the arguments name, or None: the help and completion need all verbs."""
    if COMPLETE in os.environ:
        return None
    words = iter(home_first(arguments))
    for word in words:
        if word == "--home":
            next(words, None)
        elif not word.startswith("-"):
            return word
        elif not word.startswith("--home="):
            return None
    return None


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    given = home_first(sys.argv[1:] if arguments is None else arguments)
    if COMPLETE in os.environ:
        from typer._completion_classes import completion_init

        completion_init()
    try:
        result = app(args=given, prog_name="sluice", standalone_mode=False)
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
        stop = "" if message.endswith("?") else "."
        return _report(f"{message.removesuffix('.')}{stop} See `sluice --help`.", error.exit_code)
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
    typer.echo(f"sluice: {safe(message, keep=chr(10))}", err=True)  # it may quote a key or a value
    return code


def main() -> None:
    """Entry point of the command."""
    make_printable()
    for name in (
        "PYTHONHOME",
        "PYTHONPATH",
    ):  # another project's, which would break the Python programs that verbs start
        os.environ.pop(name, None)
    gc.set_threshold(20_000)  # imports make many objects that stay: a tenth of a verb's time went into looking at them
    convert_lazily()
    if sys.argv[1:] != ["--version"]:  # which is the same whatever verbs there are
        register_verbs(only=verb_of(sys.argv[1:]))
    sys.exit(run())


if __name__ == "__main__":
    main()
