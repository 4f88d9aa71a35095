"""Typer without pydantic where nothing is to be converted: loading it takes a third of a verb that prints a file.

Typer makes a pydantic adapter for every option, also for one that is not given. Ours is made when a value needs one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from typer import core

if TYPE_CHECKING:
    from collections.abc import Callable

_PLAIN = (str, int, float, bool)


def _is_plain(value: object, wanted: object) -> bool:
    """Whether a value is of a plain type already. Of texts only ASCII: other bytes may be none that Unicode has."""
    return type(value) is wanted and wanted in _PLAIN and (not isinstance(value, str) or value.isascii())


def convert_lazily() -> None:
    """Has Typer make its adapters late. Without effect on a Typer that is built otherwise."""
    original = getattr(core, "build_runtime_param", None)
    if original is None or getattr(original, "is_lazy", False):
        return
    from typer._coercion import RuntimeParam

    @dataclass(frozen=True)
    class Late(RuntimeParam):
        """Passes a value on that has its type already, as texts and defaults have: what a user types is a text."""

        make: Callable[[], Any]

        def _coerce_value(self, value: Any, param: Any, ctx: Any) -> Any:
            if self.parameter_info.parser is None and _is_plain(value, self.annotation):
                return value
            return self.make()._coerce_value(value, param=param, ctx=ctx)

    def build(descriptor: Any) -> Any:
        return Late(
            annotation=descriptor.annotation,
            parameter_info=descriptor.parameter_info,
            make=lambda: original(descriptor),
        )

    build.is_lazy = True  # type: ignore[attr-defined]
    vars(core)["build_runtime_param"] = build
