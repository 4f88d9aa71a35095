"""Replaces parts of LocalStack, and raises an error when the replaced part is not the expected one."""

import inspect
from typing import Any

_STARS: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}


class UnexpectedEngine(RuntimeError):
    """LocalStack differs from the version this extension was written for."""


def replace(owner: Any, name: str, new: Any, expect: str | None = None) -> Any:
    """Set ``owner.name`` to ``new`` and return the old value.

    ``expect`` is the old value's signature as `inspect.signature` writes it without annotations, for example
    ``(self, role_arn, region)``; for a class it is the signature of its constructor.
    """
    where = f"{getattr(owner, '__name__', owner)}.{name}"
    if not hasattr(owner, name):
        raise UnexpectedEngine(f"{where} does not exist; this extension needs localstack-core 4.14.0")
    old = getattr(owner, name)
    if expect is not None:
        found = plain_signature(old)
        if found != expect:
            raise UnexpectedEngine(
                f"{where} takes {found}, expected {expect}; this extension needs localstack-core 4.14.0"
            )
    setattr(owner, name, new)
    return old


def plain_signature(function: Any) -> str:
    """Parameter names of a function or a class's constructor, without annotations and defaults."""
    target = function.__init__ if inspect.isclass(function) else function
    names = []
    for parameter in inspect.signature(target).parameters.values():
        names.append(_STARS.get(parameter.kind, "") + parameter.name)
    return f"({', '.join(names)})"
