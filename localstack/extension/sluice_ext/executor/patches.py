"""The parts of LocalStack that the executor replaces.

Replaced: `AssignmentService` and `LambdaVersionManager` as the Lambda service uses them (see `pool` and `versions` for
why), and `LogHandler` as version managers use it (`sluice_ext.logs`: LocalStack calls CloudWatch Logs for every
invocation, the writer collects many). `LambdaProvider.invoke` says whether a function waits for the invocation (see
`nesting`). Function URLs are in `urls`, aliases in `aliases`, the time that changes last in
`changes`.
"""

import functools
from typing import Any

from localstack.services.lambda_.invocation import lambda_service, version_manager
from localstack.services.lambda_.provider import LambdaProvider
from localstack.utils.aws.request_context import extract_access_key_id_from_auth_header

from sluice_ext.caller.functions import caller_of
from sluice_ext.executor import aliases, changes, code_in_use, limits, nesting, urls
from sluice_ext.executor.pool import Pool
from sluice_ext.executor.versions import VersionManager
from sluice_ext.logs.handler import BatchingLogHandler
from sluice_ext.patching import replace


def install() -> None:
    """Replace the classes; raises UnexpectedEngine when LocalStack is not the version we know."""
    manager = "(self, function_arn, function_version, function, counting_service, assignment_service)"
    replace(lambda_service, "AssignmentService", Pool, expect="(self)")
    replace(lambda_service, "LambdaVersionManager", VersionManager, expect=manager)
    replace(version_manager, "LogHandler", BatchingLogHandler, expect="(self, role_arn, region)")
    _see_nested_invocations()
    urls.install()
    aliases.install()
    limits.install()
    changes.install()
    code_in_use.install()


def _see_nested_invocations() -> None:
    original = LambdaProvider.invoke

    @functools.wraps(original)
    def invoke(self: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
        if caller_of(extract_access_key_id_from_auth_header(context.request.headers)):
            with nesting.invoked_by_function():
                return original(self, context, *args, **kwargs)
        return original(self, context, *args, **kwargs)

    expect = (
        "(self, context, function_name, invocation_type, log_type, client_context, durable_execution_name, payload, "
        "qualifier, tenant_id, **kwargs)"
    )
    replace(LambdaProvider, "invoke", invoke, expect=expect)
