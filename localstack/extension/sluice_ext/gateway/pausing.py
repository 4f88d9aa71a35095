"""Calls wait while the engine is paused (see `sluice_ext.pausing`).

Replaced: `LocalstackAwsGateway.process` (calls over HTTP) and `handle` (calls that services make to each other).
"""

from typing import Any

from localstack.aws.app import LocalstackAwsGateway
from localstack.utils.aws.request_context import extract_access_key_id_from_auth_header

from sluice_ext.caller.functions import caller_of
from sluice_ext.patching import replace
from sluice_ext.pausing import GATE

# Control routes, which end a pause, too.
_NOT_PAUSED = ("/_sluice/", "/_localstack/")


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""

    def process(self: Any, request: Any, response: Any) -> None:
        if request.path.startswith(_NOT_PAUSED):
            original_process(self, request, response)
            return
        by_function = caller_of(extract_access_key_id_from_auth_header(request.headers)) is not None
        name = request.headers.get("X-Amz-Target") or request.path
        with GATE.work(f"{request.method} {name}", source=not by_function):
            original_process(self, request, response)

    def handle(self: Any, context: Any, response: Any) -> None:
        with GATE.work(context.operation.name if context.operation else "an internal call"):
            original_handle(self, context, response)

    original_process = replace(LocalstackAwsGateway, "process", process, expect="(self, request, response)")
    original_handle = replace(LocalstackAwsGateway, "handle", handle, expect="(self, context, response)")
