"""Whether a service may deliver to another: the policies of the target, and of the key that encrypts it.

With SLUICE_IAM=enforce a delivery that no policy allows is refused; otherwise the log warns of it, once for each cause.
A delivery with a role is the role's call, which `sluice_ext.iam.gateway` judges.

S3: https://docs.aws.amazon.com/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html
S3 Inventory: https://docs.aws.amazon.com/AmazonS3/latest/userguide/configure-inventory.html
EventBridge: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
SNS to SQS: https://docs.aws.amazon.com/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html
CloudWatch to SNS: https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html
Keys of topics and queues: https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
Functions: https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html
"""

import logging
import threading
from functools import lru_cache
from typing import Any, Final

from localstack.aws.api import CommonServiceException, RequestContext
from localstack.constants import INTERNAL_AWS_ACCESS_KEY_ID
from localstack.http import Response
from localstack.utils.aws.request_context import extract_access_key_id_from_auth_header

from sluice_ext import settings
from sluice_ext.iam import policy, principals, resources, trust
from sluice_ext.iam.actions import Where, needed
from sluice_ext.kms import managed

LOG = logging.getLogger(__name__)
INVOKE: Final = "lambda:InvokeFunction"
SEND: Final = "sqs:SendMessage"
# What services ask of a target without a role: (name that the target signs with, operation).
_DELIVERIES: Final = {
    ("sqs", "SendMessage"),
    ("sqs", "SendMessageBatch"),
    ("sns", "Publish"),
    ("sns", "PublishBatch"),
    ("lambda", "Invoke"),
    ("logs", "CreateLogStream"),
    ("logs", "PutLogEvents"),
}
_USE_OF_KEY: Final = ("kms:GenerateDataKey", "kms:Decrypt")
# An alarm that invokes a function: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-actions-Lambda.html
_ALARM_TO_LAMBDA: Final = "lambda.alarms.cloudwatch.amazonaws.com"


class NotPermitted(PermissionError):
    """The target does not let the service deliver to it. The message says who, which action, which target, and why."""


def install() -> None:
    """Judge every call that a service of the engine makes to another."""
    from localstack.aws.handlers import serve_custom_service_request_handlers

    serve_custom_service_request_handlers.append(_on_request)


def demand(service: str, source: str, account: str, action: str, target: str) -> None:
    """Raises NotPermitted if policies are enforced and the target's do not let the service deliver to it.

    service: "s3", "events", ...; source: ARN of the bucket, rule, topic, alarm or method, in ``account``.
    """
    why = _refused(service, source, account, action, target)
    if not why:
        return
    if settings.IAM_ENFORCED:
        raise NotPermitted(why)
    _warn(why)


def demand_role(service: str, role: str, account: str, source: str) -> None:
    """Raises NotPermitted if policies are enforced and the role's trust policy does not let the service assume it."""
    if trust.assumable(role, account, (f"{service}.amazonaws.com",), source_arn=source):
        return
    why = f"{service}.amazonaws.com for {source}: the role {role} does not let it sts:AssumeRole"
    if settings.IAM_ENFORCED:
        raise NotPermitted(why)
    _warn(why)


def _refused(service: str, source: str, account: str, action: str, target: str) -> str:
    """Why the delivery is not permitted; empty when it is."""
    text = resources.policy_of(target) or ""
    decision = _decide(text, service, source, account, action, target)
    if decision != policy.ALLOWED:
        what = "is denied by a statement of" if decision == policy.DENIED else "is allowed by no statement of"
        return f"{_principal(service, target)} for {source}: {action} on {target} {what} the target's policy"
    return _refused_key(service, source, account, target) if action != INVOKE else ""


def _refused_key(service: str, source: str, account: str, target: str) -> str:
    key = resources.key_of(target)
    if not key:
        return ""
    name = _principal(service, target)
    if managed.is_managed(account, target.split(":")[3], key):
        return f"{name} for {source}: {target} is encrypted with {key}, which only the target's own service may use"
    arn = resources.key_arn(key, account, target.split(":")[3])
    text = resources.policy_of(arn) if arn else None
    for action in _USE_OF_KEY:
        if not arn or not text or _decide(text, service, source, account, action, arn, target) != policy.ALLOWED:
            return f"{name} for {source}: {action} is allowed by no statement of the key {key} of {target}"
    return ""


@lru_cache(maxsize=4096)
def _decide(text: str, service: str, source: str, account: str, action: str, resource: str, target: str = "") -> str:
    """The decision of a policy (JSON), which stays as long as its text. ``target``: where the key is the resource."""
    statements = policy.statements(text) if text else []
    # Neither the topic's policy nor its key's may have conditions that EventBridge would have to meet:
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions
    # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    plain = service == "events" and ":sns:" in (target or resource)
    if plain:
        statements = [one for one in statements if one.get("Effect") != "Allow" or not one.get("Condition")]
    caller = principals.service(_principal(service, target or resource), account, *_also(service, resource))
    return principals.decide(statements, caller, action, resource, _context(service, source, account, plain, caller))


def _context(service: str, source: str, account: str, plain: bool, caller: principals.Caller) -> dict[str, str]:
    context = {
        "aws:securetransport": "true",
        "aws:principalisawsservice": "true",
        "aws:principalservicename": caller.services[0],
        "aws:viaawsservice": "false",
    }
    if not plain:
        context |= {"aws:sourcearn": source, "aws:sourceaccount": account}
    if service == "s3":
        # Of an inventory, which hands its files to the bucket's owner:
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/configure-inventory.html
        context["s3:x-amz-acl"] = "bucket-owner-full-control"
    if service == "cloudwatch":
        # The default policy of a topic asks for it, and alarms of the account arrive with that.
        context["aws:sourceowner"] = account
    return context


def _principal(service: str, target: str) -> str:
    if service == "cloudwatch" and ":lambda:" in target:
        return _ALARM_TO_LAMBDA
    return f"{service}.amazonaws.com"


def _also(service: str, target: str) -> tuple[str, ...]:
    """Further names of the principal: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html"""
    return (f"logs.{target.split(':')[3]}.amazonaws.com",) if service == "logs" else ()


_warned: set[str] = set()
_lock = threading.Lock()
_MAX_WARNINGS: Final = 10_000


def _warn(why: str) -> None:
    with _lock:
        if why in _warned or len(_warned) >= _MAX_WARNINGS:
            return
        _warned.add(why)
    LOG.warning("AWS would not deliver: %s", why)


# Calls through the engine


def _on_request(_chain: Any, context: RequestContext, _response: Response) -> None:
    sent = context.internal_request_params
    if sent is None or context.operation is None:
        return
    service, source = str(sent.get("service_principal") or ""), str(sent.get("source_arn") or "")
    signed, operation = context.service.signing_name, context.operation.name
    # What Lambda itself does is its function's role's.
    if not source or service in ("", "lambda") or (signed, operation) not in _DELIVERIES or _has_role(context):
        return
    if service == "sns" and source.count(":") == 6:
        source = source.rpartition(":")[0]  # a subscription: its dead-letter queue's policy names the topic
    where = Where(context.partition, context.region, context.account_id)
    [(action, target)] = needed(signed, operation, context.service_request or {}, where)
    try:
        demand(service, source, _account(source), action, target)
    except NotPermitted as error:
        raise refusal(signed, str(error)) from error


def _has_role(context: RequestContext) -> bool:
    """Services call with the engine's own key, or with an account's id for one; a role has a key of its own."""
    key = extract_access_key_id_from_auth_header(context.request.headers) or ""
    return not (key.isdigit() or key == INTERNAL_AWS_ACCESS_KEY_ID)


def _account(source: str) -> str:
    """Whose the source is; the ARN of a bucket does not say."""
    return source.split(":")[4] or resources.owner_of(source)


def refusal(service: str, message: str) -> CommonServiceException:
    """The error in the form that SNS, SQS and Lambda use."""
    code = {"sns": "AuthorizationError", "sqs": "AccessDenied"}.get(service, "AccessDeniedException")
    return CommonServiceException(code, message, status_code=403, sender_fault=True)
