"""A function's change lasts a while: another one is refused meanwhile, and invocations run what was there before.

https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html: after CreateFunction the State is Pending, and
invocations are refused; after an update the LastUpdateStatus is InProgress, and invocations get the former code and
configuration. In both, UpdateFunctionCode, UpdateFunctionConfiguration and PublishVersion are refused with
ResourceConflictException.

LocalStack has these states, but its changes end within milliseconds, and it stores an update before it refuses it.
Replaced: how `LambdaService` starts a version (`SLUICE_LAMBDA_UPDATE_SECONDS` later), and the three operations.
"""

import functools
import threading
from typing import Any

from localstack.aws.api.lambda_ import LastUpdateStatus, ResourceConflictException, State
from localstack.services.lambda_ import api_utils
from localstack.services.lambda_.invocation.lambda_service import LambdaService
from localstack.services.lambda_.invocation.models import lambda_stores
from localstack.services.lambda_.provider import LambdaProvider

from sluice_ext import settings
from sluice_ext.patching import replace
from sluice_ext.pausing import GATE

_thread = threading.local()


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""
    _start_later()
    request = "(self, context, request)"
    publish = "(self, context, function_name, code_sha256, description, revision_id, publish_to, **kwargs)"
    for operation, expect in (
        ("update_function_code", request),
        ("update_function_configuration", request),
        ("publish_version", publish),
    ):
        _refuse_during_change(operation, expect)


def is_pending(version: Any) -> bool:
    """Whether the version is being created."""
    return bool(version.config.state.state == State.Pending)


def is_updating(version: Any) -> bool:
    """Whether an update of the version is in progress."""
    update = version.config.last_update
    return bool(update and update.status == LastUpdateStatus.InProgress)


def _start_later() -> None:
    start, publish = LambdaService._start_lambda_version, LambdaService.publish_version

    def start_later(self: Any, version_manager: Any) -> None:
        if getattr(_thread, "at_once", False) or settings.LAMBDA_UPDATE_SECONDS <= 0:
            start(self, version_manager)
            return

        def run() -> None:
            with GATE.work("a change of a function", source=True):
                for one in _of_one_change(self, version_manager):
                    if _claimed(self, one):
                        start(self, one)

        # The service's few threads must not sleep: a deployment makes dozens of functions at once.
        timer = threading.Timer(settings.LAMBDA_UPDATE_SECONDS, run)
        timer.daemon = True
        timer.start()

    @functools.wraps(publish)
    def publish_version(self: Any, function_version: Any) -> None:
        """A published version is Active in the answer: what it consists of is there already."""
        _thread.at_once = True
        try:
            publish(self, function_version)
        finally:
            _thread.at_once = False

    replace(LambdaService, "_start_lambda_version", start_later, expect="(self, version_manager)")
    replace(LambdaService, "publish_version", publish_version, expect="(self, function_version)")


def _of_one_change(service: Any, version_manager: Any) -> list[Any]:
    """The version, after those that were published with it: when $LATEST is ready, they are."""
    identity = version_manager.function_version.id
    if identity.qualifier != "$LATEST":
        return [version_manager]
    arn, starting = identity.unqualified_arn(), list(service.lambda_starting_versions.values())
    published = [one for one in starting if one.function_version.id.unqualified_arn() == arn]
    return [*(one for one in published if one is not version_manager), version_manager]


def _claimed(service: Any, version_manager: Any) -> bool:
    """Whether the caller is the one to start the version. A function that was deleted meanwhile has it no more."""
    with service.lambda_version_manager_lock:
        if service.lambda_starting_versions.get(version_manager.function_arn) is not version_manager:
            return False
        first, version_manager.begun = not version_manager.begun, True
        return bool(first)


def _refuse_during_change(operation: str, expect: str) -> None:
    original = getattr(LambdaProvider, operation)

    @functools.wraps(original)
    def changed(self: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
        given = context.service_request["FunctionName"]
        account, region = api_utils.get_account_and_region(given, context)
        function = lambda_stores[account][region].functions.get(api_utils.get_function_name(given, context))
        if function is None:
            return original(self, context, *args, **kwargs)
        with function.lock:  # of two updates at once, one is the first
            _check(function.versions["$LATEST"])
            return original(self, context, *args, **kwargs)

    replace(LambdaProvider, operation, changed, expect=expect)


def _check(version: Any) -> None:
    reason = "The operation cannot be performed at this time."
    if is_pending(version):
        state = version.config.state.state
        raise ResourceConflictException(
            f"{reason} The function is currently in the following state: {state}", Type="User"
        )
    if is_updating(version):
        arn = version.id.unqualified_arn()
        raise ResourceConflictException(f"{reason} An update is in progress for resource: {arn}", Type="User")
