"""Steps of LocalStack's request path that are skipped where they have nothing to do.

Replaced: `ResponseLogger.__call__`, which builds a log record with all headers for every request although nothing below
a warning is written (LS_LOG=warn), and `LocalstackResourceHandler.__call__`, which searches its routes, all of them
under /_localstack, for every request.
"""

from typing import Any

from localstack.aws.handlers.internal import LocalstackResourceHandler
from localstack.aws.handlers.logging import ResponseLogger

from localstack import config, constants
from sluice_ext.patching import replace


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""
    if config.LS_LOG in ("warn", "warning", "error") and not config.DEBUG:
        replace(ResponseLogger, "__call__", _log_nothing, expect="(self, _, context, response)")

    def serve(self: Any, chain: Any, context: Any, response: Any) -> None:
        if context.request.path.startswith(constants.INTERNAL_RESOURCE_PATH):
            original(self, chain, context, response)

    expect = "(self, chain, context, response)"
    original = replace(LocalstackResourceHandler, "__call__", serve, expect=expect)


def _log_nothing(_self: Any, _chain: Any, _context: Any, _response: Any) -> None:
    """What would be logged is not shown."""
