"""A version's code stays until the last invocation of the version has ended, even when an update has replaced it.

https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html: invocations run the former code until the update has
ended. One that began just before may import a module of it later. LocalStack removes the code with the update.
"""

import contextlib
import functools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from localstack.services.lambda_ import provider
from localstack.services.lambda_.invocation import lambda_service

from sluice_ext.patching import replace

_lock = threading.Lock()
_uses: Counter[str] = Counter()
_later: dict[str, Callable[[], None]] = {}


def install() -> None:
    """Replace the removal; raises UnexpectedEngine when LocalStack is not the version we know."""
    original = lambda_service.destroy_code_if_not_used

    def destroy(code: Any, function: Any) -> None:
        with _lock:
            if _uses.get(code.id):
                _later[code.id] = functools.partial(original, code, function)
                return
        original(code, function)

    for module in (lambda_service, provider):
        replace(module, "destroy_code_if_not_used", destroy, expect="(code, function)")


@contextlib.contextmanager
def used(code: Any) -> Iterator[None]:
    """An invocation uses the code, a `S3Code`, or None of an image."""
    if code is None:
        yield
        return
    with _lock:
        _uses[code.id] += 1
    try:
        yield
    finally:
        with _lock:
            _uses[code.id] -= 1
            remove = None
            if not _uses[code.id]:
                del _uses[code.id]
                remove = _later.pop(code.id, None)
        if remove:
            remove()
