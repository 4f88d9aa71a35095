"""Where in its state an expression stands: ``Output/a/b[0]``, as errors name it.

LocalStack's components know only their own names. Replaced: the evaluation of the components that hold others.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from localstack.services.stepfunctions.asl.component.common.assign.assign_decl import AssignDecl
from localstack.services.stepfunctions.asl.component.common.assign.assign_template_binding import AssignTemplateBinding
from localstack.services.stepfunctions.asl.component.common.assign.assign_template_value_array import (
    AssignTemplateValueArray,
)
from localstack.services.stepfunctions.asl.component.common.catch.catch_decl import CatchDecl
from localstack.services.stepfunctions.asl.component.common.catch.catcher_decl import CatcherDecl
from localstack.services.stepfunctions.asl.component.common.jsonata.jsonata_template_binding import (
    JSONataTemplateBinding,
)
from localstack.services.stepfunctions.asl.component.common.jsonata.jsonata_template_value_array import (
    JSONataTemplateValueArray,
)
from localstack.services.stepfunctions.asl.component.common.outputdecl import Output
from localstack.services.stepfunctions.asl.component.common.parargs import Arguments
from localstack.services.stepfunctions.asl.component.state.state_choice.choice_rule import ChoiceRule
from localstack.services.stepfunctions.asl.component.state.state_choice.choices_decl import ChoicesDecl
from localstack.services.stepfunctions.asl.component.state.state_choice.comparison.comparison import (
    ConditionStringJSONata,
)

from sluice_ext.patching import replace

_HERE: Final = threading.local()


def field(otherwise: str | None) -> str:
    """The place of what is evaluated now in this thread; ``otherwise``: the field that LocalStack evaluates."""
    parts: list[str] = getattr(_HERE, "parts", [])
    return "".join(parts).lstrip("/") or (otherwise or "").removesuffix("JSONata").removesuffix("String")


@contextmanager
def inside(part: str) -> Iterator[None]:
    """What is evaluated in the block stands under this part, in this thread."""
    if not hasattr(_HERE, "parts"):
        _HERE.parts = []
    _HERE.parts.append(part)
    try:
        yield
    finally:
        _HERE.parts.pop()


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""
    _wrap(Output, lambda _self: "/Output")
    _wrap(Arguments, lambda _self: "/Arguments")
    _wrap(AssignDecl, lambda _self: "/Assign")
    _wrap(ConditionStringJSONata, lambda _self: "/Condition")
    for kind in (JSONataTemplateBinding, AssignTemplateBinding):
        _wrap(kind, lambda self: f"/{self.identifier}")
    for kind in (JSONataTemplateValueArray, AssignTemplateValueArray):
        replace(kind, "_eval_body", _elements, expect="(self, env)")
    _number(ChoicesDecl, "rules")
    _number(CatchDecl, "catchers")
    _wrap(ChoiceRule, lambda self: f"/Choices[{getattr(self, 'sluice_index', 0)}]")
    _wrap(CatcherDecl, lambda self: f"/Catch[{getattr(self, 'sluice_index', 0)}]")


def _number(kind: Any, name: str) -> None:
    """Its members know their place."""

    def made(self: Any, **members: list[Any]) -> None:
        original(self, **members)
        for index, member in enumerate(members[name]):
            member.sluice_index = index

    original = replace(kind, "__init__", made, expect=f"(self, {name})")


def _wrap(kind: Any, part: Callable[[Any], str]) -> None:
    def evaluated(self: Any, env: Any) -> None:
        with inside(part(self)):
            original(self, env)

    original = replace(kind, "_eval_body", evaluated, expect="(self, env)")


def _elements(self: Any, env: Any) -> None:
    found = []
    for index, value in enumerate(self.values):
        with inside(f"[{index}]"):
            value.eval(env)
        found.append(env.stack.pop())
    env.stack.append(found)
