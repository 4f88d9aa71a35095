"""Replace parts of LocalStack, and fail loudly when what is replaced is not what we expect."""

import inspect
from typing import Any


class UnexpectedEngine(RuntimeError):
    """LocalStack differs from the version this extension was written for."""


def replace(owner: Any, name: str, new: Any, expect: str | None = None) -> Any:
    """Set ``owner.name`` to ``new`` and return the old value.

    ``expect`` is the old value's signature as `inspect.signature` writes it without annotations, for example
    ``(self, role_arn, region)``; for a class it is the signature of its constructor.
    """
    where = f"{getattr(owner, '__name__', owner)}.{name}"
    if not hasattr(owner, name):
        raise UnexpectedEngine(f"{where} is gone; this extension needs localstack-core 4.14.0")
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
        prefix = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        names.append(prefix + parameter.name)
    return f"({', '.join(names)})"
