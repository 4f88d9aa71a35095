"""The parts of LocalStack that event delivery replaces.

Replaced: `LambdaEventManager` in the Lambda service (see `async_events`), `SqsPoller` and `EsmWorker` where mappings
are made (see `sqs_mapping`), `LambdaService.invoke`, which does not limit the size of events, `notify` of S3's
`LambdaNotifier` and `SqsNotifier`, which make a request for each notification. Mappings: `mapping_rules`.
"""

import json
import logging
from collections.abc import Callable
from typing import Any

from localstack.aws.api import CommonServiceException
from localstack.aws.api.lambda_ import InvocationType
from localstack.services.lambda_.api_utils import function_locators_from_arn
from localstack.services.lambda_.event_source_mapping import esm_worker_factory
from localstack.services.lambda_.invocation import event_manager, lambda_service
from localstack.services.s3.notifications import LambdaNotifier, SqsNotifier
from localstack.utils.aws.arns import s3_bucket_arn
from localstack.utils.strings import long_uid

from sluice_ext.delivery import mapping_rules, service
from sluice_ext.delivery.async_events import AsyncEventManager
from sluice_ext.delivery.sqs_mapping import PromptEsmWorker, PromptSqsPoller
from sluice_ext.iam import deliveries
from sluice_ext.patching import UnexpectedEngine, plain_signature, replace
from sluice_ext.sqs import queues

LOG = logging.getLogger(__name__)
# Largest event of an invocation, by its type (bytes).
_EVENT_LIMITS = {"RequestResponse": 6_291_456, "Event": 1_048_576}


def install() -> None:
    """Replace the classes; raises UnexpectedEngine when LocalStack is not the version we know."""
    replace(lambda_service, "LambdaEventManager", AsyncEventManager, expect="(self, version_manager)")
    poller = "(self, source_arn, source_parameters, source_client, processor)"
    replace(esm_worker_factory, "SqsPoller", PromptSqsPoller, expect=poller)
    worker = "(self, esm_config, poller, enabled, user_state_reason)"
    replace(esm_worker_factory, "EsmWorker", PromptEsmWorker, expect=worker)
    for name, signature in (
        ("process_success_destination", "(self, sqs_invocation, invocation_result, event_invoke_config)"),
        (
            "process_failure_destination",
            "(self, sqs_invocation, invocation_result, event_invoke_config, failure_cause)",
        ),
        ("process_dead_letter_queue", "(self, sqs_invocation, invocation_result)"),
    ):
        if (found := plain_signature(getattr(event_manager.Poller, name))) != signature:
            raise UnexpectedEngine(f"Poller.{name} takes {found}, expected {signature}")
    mapping_rules.install()
    _refuse_large_events()
    replace(LambdaNotifier, "notify", notify_function, expect="(self, ctx, config)")
    replace(SqsNotifier, "notify", notify_queue, expect="(self, ctx, config)")


def notify_queue(self: Any, ctx: Any, config: Any) -> None:
    """Put an S3 notification into its queue without a request through the gateway."""
    arn = config["QueueArn"]
    body = json.dumps(self._get_event_payload(ctx, config.get("Id")))
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": ctx.xray}} if ctx.xray else {}
    _notify(ctx, deliveries.SEND, arn, lambda: queues.send(arn, ctx.bucket_account_id, body, trace))


def notify_function(self: Any, ctx: Any, config: Any) -> None:
    """Hand an S3 notification to its function without a request through the gateway."""
    arn = config["LambdaFunctionArn"]
    name, qualifier, account, region = function_locators_from_arn(arn)
    payload = self._get_event_payload(ctx, config.get("Id"))

    def invoke() -> None:
        service.lambda_service().invoke(
            function_name=name,
            qualifier=qualifier,
            region=region,
            account_id=account,
            invocation_type=InvocationType.Event,
            client_context=None,
            request_id=long_uid(),
            payload=json.dumps(payload).encode(),
        )

    _notify(ctx, deliveries.INVOKE, arn, invoke)


def _notify(ctx: Any, action: str, arn: str, deliver: Callable[[], None]) -> None:
    """Deliver a notification if the target's policy lets S3. S3 has no retries and no dead-letter queue for it."""
    try:
        bucket = s3_bucket_arn(ctx.bucket_name, ctx.region)
        deliveries.demand("s3", bucket, ctx.bucket_account_id, action, arn)
        deliver()
    except deliveries.NotPermitted as error:
        LOG.warning("S3 does not notify %s of %s in %s: %s", arn, ctx.key_name, ctx.bucket_name, error)
    except Exception:
        LOG.exception("S3 cannot notify %s of %s in %s", arn, ctx.key_name, ctx.bucket_name)


def _refuse_large_events() -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

    def invoke(self: Any, *args: Any, **kwargs: Any) -> Any:
        payload, kind = kwargs.get("payload") or b"", kwargs.get("invocation_type") or "RequestResponse"
        limit = _EVENT_LIMITS.get(kind, _EVENT_LIMITS["RequestResponse"])
        if len(payload) > limit:
            message = f"{len(payload)} byte payload is too large for the {kind} invocation type (limit {limit} bytes)"
            raise CommonServiceException("RequestEntityTooLargeException", message, status_code=413, sender_fault=True)
        return original(self, *args, **kwargs)

    signature = (
        "(self, function_name, qualifier, region, account_id, invocation_type, client_context, request_id, payload, "
        "trace_context, user_agent)"
    )
    original = replace(lambda_service.LambdaService, "invoke", invoke, expect=signature)
