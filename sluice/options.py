"""Options that several verbs share, and what they name: a stack, and how to print."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from sluice.console import fail, set_wide

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack

LOCAL, AWS = "local", "aws"

Target = Annotated[
    str, typer.Option("--target", envvar="TARGET", metavar="local|aws", help="The engine or an account.")
]


def complete_dataset(incomplete: str) -> list[str]:
    """Names of datasets for a shell's completion; none when the folder cannot be read."""
    from sluice.paths import DATASETS_DIR

    return sorted(file.stem for file in DATASETS_DIR.glob("*.yaml") if file.stem.startswith(incomplete))


Env = Annotated[str | None, typer.Option("--env", help="Environment of the account (aws only; dev).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Confirm = Annotated[
    str | None, typer.Option("--confirm", metavar="ENV", help="The environment's name, where it is asked for (prod).")
]
Wide = Annotated[bool, typer.Option("--wide", help="Show every column, and cut nothing to the screen's width.")]


@dataclass(frozen=True)
class Where:
    """The stack that --target and --env name, and whether --json was given."""

    target: str
    env: str
    json: bool

    @cached_property
    def stack(self) -> Stack:
        """Raises SluiceError: code 2 for another target than local or aws, 1 when the engine does not run."""
        from sluice.pipeline import stack

        return stack.choose(self.target, self.env)


def on_stack(verb: Callable[..., None]) -> Callable[..., None]:
    """Gives a verb the options --target, --env and --json; it gets them as ``where``, its last argument. A parameter
    called ``dataset`` is completed with the names of datasets."""
    return _with_options(verb, asked=False)


def with_tables(verb: Callable[..., None]) -> Callable[..., None]:
    """As ``on_stack``, for a verb that prints tables: it has --wide, too."""
    return _with_options(verb, asked=True)


def _with_options(verb: Callable[..., None], *, asked: bool) -> Callable[..., None]:
    hints = get_type_hints(verb, include_extras=True)
    for info in getattr(hints.get("dataset"), "__metadata__", ()):
        info.autocompletion = info.autocompletion or complete_dataset
    own = [
        parameter.replace(annotation=hints[name])
        for name, parameter in inspect.signature(verb).parameters.items()
        if name != "where"
    ]
    options = [("target", LOCAL, Target), ("env", None, Env), ("json", False, Json)]
    options += [("wide", False, Wide)] if asked else []
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, default, kind in options
    ]

    @functools.wraps(verb)
    def run(*, target: str, env: str | None, json: bool, wide: bool = False, **given: Any) -> None:
        set_wide(wide if asked else None)
        verb(**given, where=Where(target, environment(target, env), json))

    del run.__wrapped__  # Typer would read the signature of the verb itself
    run.__signature__ = inspect.Signature([*own, *shared], return_annotation=None)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *shared)}
    return run


def environment(target: str, env: str | None) -> str:
    """The environment that --env names. Ends with code 2 when it is given for the engine, which has only one stack."""
    if env is not None and target == LOCAL:
        fail("--env names an environment of an account: add --target aws")
    return env or "dev"


def persists_state() -> bool:
    """Whether `sluice down` saves what the engine holds and `sluice up` restores it: PERSISTENCE=0 says no.

    Ends with code 2 for another value than 0 or 1.
    """
    value = os.environ.get("PERSISTENCE") or "1"
    if value not in ("0", "1"):
        fail(f"PERSISTENCE={value} is not known: use 1 (the default) or 0")
    return value == "1"


def is_local(target: str) -> bool:
    """Whether --target is the engine. Ends with code 2 when it is neither local nor aws."""
    if target not in (LOCAL, AWS):
        fail(f"target {target!r} is not known: use local or aws")
    return target == LOCAL
