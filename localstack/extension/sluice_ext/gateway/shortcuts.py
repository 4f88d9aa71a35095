"""Steps of LocalStack's request path that are skipped where they have nothing to do.

Replaced: `_create_service_map`, which makes a router of hundreds of rules anew for every call that LocalStack makes to
itself (here it is kept for each service model); `ResponseLogger.__call__`, which builds a log record with all headers
for every request although nothing below a warning is written (LS_LOG=warn); `LocalstackResourceHandler.__call__`, which
searches its routes, all of them under /_localstack, for every request.
"""

from functools import lru_cache
from typing import Any

from localstack.aws.handlers.internal import LocalstackResourceHandler
from localstack.aws.handlers.logging import ResponseLogger
from localstack.aws.protocol import op_router

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


def _log_nothing(_self: Any, _chain: Any, _context: Any, _response: Any) -> None:
    """What would be logged is not shown."""
