"""`make e2e TARGET=aws ENV=dev`: which end-to-end tests an account's deployed stack can be asked, and what they leave.

Nothing lists them: a test is one of them when it uses a pipeline (whose keys have a prefix of its own) and neither it,
nor its fixtures, nor what they call in their modules reaches for an engine, for fault control, for the settings of what
is deployed, or for another process.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

import pytest

from sluice.console import SluiceError
from sluice.pipeline import withdrawal
from sluice.pipeline.stack import Stack
from tests.support.pipeline import until

if TYPE_CHECKING:
    from tests.support.pipeline import Pipeline

PIPELINE: Final = "pipe"
LEAVES: Final = frozenset({PIPELINE, "stack", "mailbox"})
"""Fixtures that an account has in another way: what they need of an engine does not count."""
ENGINES: Final = frozenset(
    {"instance", "infra", "snapshot", "turn", "embedded_only", "docker_only", "half", "small_chunks"}
)
# Of the project, a test of an account calls only these, of others anything but what starts or reaches other processes.
OWN: Final = ("sluice", "tests", "localstack", "sluice_ext")
ALLOWED: Final = ("sluice.pipeline", "sluice.polling", "tests.support.pipeline", "tests.support.mailbox",
                  "tests.support.expected", "tests.support.reading")  # fmt: skip
REACHING: Final = ("subprocess", "socket", "urllib.request", "http", "multiprocessing")
# Attributes by which a test breaks calls, or changes what is deployed and everybody uses.
CHANGES: Final = ("update_function", "update_event_source", "update_item", "delete_item", "put_bucket", "put_rule",
                  "disable_rule", "set_queue", "set_alarm", "purge_", "delete_function")  # fmt: skip
FAULTS: Final = frozenset(
    {"has_faults", "fault", "set_fault", "clear_faults", "faults", "unmet_faults", "fault_hits", "timeout_of",
     "forget_idempotency"}
)  # fmt: skip


def suits(item: pytest.Item) -> bool:
    """Whether the test can be asked of an account."""
    return isinstance(item, pytest.Function) and not item.get_closest_marker("sweep") and not why_not(item)


def why_not(item: pytest.Function) -> str:
    """What hinders it; empty when nothing does."""
    definitions = item._fixtureinfo.name2fixturedefs
    names, seen = list(item._fixtureinfo.initialnames), set()
    functions: list[Callable[..., Any]] = [item.function]
    while names:
        name = names.pop()
        if name in seen or name in LEAVES:
            seen.add(name)
            continue
        seen.add(name)
        for definition in definitions.get(name, ())[-1:]:
            names += definition.argnames
            functions.append(definition.func)
    if found := seen & ENGINES:
        return f"the fixture {min(found)}"
    if PIPELINE not in seen:
        return "no pipeline, so no prefix of its own"
    return next((reason for one in functions for reason in _Reach().of(one)), "")


@dataclass
class _Reach:
    """What a function calls, and the functions and classes of its module that it calls, and so on."""

    seen: set[int] = field(default_factory=set)

    def of(self, function: Any) -> Iterator[str]:
        function = inspect.unwrap(function)
        if id(function) in self.seen:
            return
        self.seen.add(id(function))
        if inspect.isclass(function):
            members = [one for one in vars(function).values() if isinstance(one, FunctionType | property)]
            for member in (*members, *function.__bases__):
                yield from self.of(member.fget if isinstance(member, property) else member)
            return
        if not isinstance(function, FunctionType):
            return
        home = function.__module__
        for name in _names(function.__code__):
            if name in FAULTS or name.startswith(CHANGES):
                yield f"it calls {name}"
            target = function.__globals__.get(name)
            module = target.__name__ if isinstance(target, ModuleType) else str(getattr(target, "__module__", ""))
            if _begins(module, REACHING) or (_begins(module, OWN) and module != home and not _begins(module, ALLOWED)):
                yield f"it uses {name} of {module}"
            elif module == home:
                yield from self.of(target)


def _names(code: CodeType) -> Iterator[str]:
    """Globals and attributes that a function's code names, in its inner functions, too."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _begins(module: str, names: tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)


def refusal(env: str, stack: Stack | None) -> str:
    """Why no test runs there; empty when they may. ``stack``: None before it is asked for."""
    if env == "prod":
        return "the end-to-end tests are not for prod: ENV=dev names another environment; `sluice smoke` is for prod"
    if stack is not None and not stack.outputs:
        return f"nothing is deployed in {env}: `make plan TARGET=aws ENV={env}` and `make deploy TARGET=aws ENV={env}`"
    return ""


def load(env: str) -> Stack:
    """The deployed stack, or the end of the session with one line."""
    try:
        stack = Stack.load(env=env)
    except SluiceError as error:
        pytest.exit(f"sluice e2e: {error}", 1)
    if reason := refusal(env, stack):
        pytest.exit(f"sluice e2e: {reason}", 1)
    return stack


def clean(pipe: Pipeline, seconds: float = 300) -> None:
    """Takes everything out that the test has put into bronze, with its rows, files and ledger entries."""
    listed = pipe.s3.list_objects_v2(Bucket=pipe.stack["bronze_bucket"], Prefix="bronze/", Delimiter="/")
    prefixes = [f"{one['Prefix']}{pipe.run}/" for one in listed.get("CommonPrefixes", [])]

    def withdrawn() -> bool:
        try:
            withdrawal.withdraw(pipe.stack, withdrawal.find(pipe.stack, prefixes), seconds=seconds)
        except SluiceError:  # an object that is still being processed
            return False
        return True

    until("the test's objects to be taken out", withdrawn, seconds)
