"""Steps of LocalStack's request path that are skipped when they would do nothing.

Replaced:
- `_create_service_map` builds a router of hundreds of rules for every call that LocalStack makes to itself; here the
  router is cached for each service model.
- `ResponseLogger.__call__` builds a log record with all headers for every request, although only warnings are written
  (LS_LOG=warn).
- `LocalstackResourceHandler.__call__` searches its routes for every request, although all are under /_localstack.
"""

import contextlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from localstack.aws.handlers.internal import LocalstackResourceHandler
from localstack.aws.handlers.logging import ResponseLogger
from localstack.aws.protocol import op_router
from rolo.routing import router

from localstack import config, constants
from sluice_ext.patching import replace


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""
    make_map = replace(op_router, "_create_service_map", None, expect="(service)")
    op_router._create_service_map = lru_cache(None)(make_map)
    if config.LS_LOG in ("warn", "warning", "error") and not config.DEBUG:
        replace(ResponseLogger, "__call__", _log_nothing, expect="(self, _, context, response)")

    def serve(self: Any, chain: Any, context: Any, response: Any) -> None:
        if context.request.path.startswith(constants.INTERNAL_RESOURCE_PATH):
            original(self, chain, context, response)

    expect = "(self, chain, context, response)"
    original = replace(LocalstackResourceHandler, "__call__", serve, expect=expect)


@contextlib.contextmanager
def routes_added_in_place() -> Iterator[None]:
    """Until the server listens, no thread reads the routes, so each new one need not copy all the others.

    With the copies, loading the services of a whole stack takes a third longer.
    """
    copied = replace(router, "_clone_map_with_rules", lambda routes: routes, expect="(old)")
    try:
        yield
    finally:
        router._clone_map_with_rules = copied


def _log_nothing(_self: Any, _chain: Any, _context: Any, _response: Any) -> None:
    """Nothing to log at this level."""
