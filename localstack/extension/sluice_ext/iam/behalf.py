"""What Lambda does with a function's role without a call through the engine.

It polls the queue of an event source mapping and writes the function's log, as on AWS:
https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html
"""

import logging
from functools import lru_cache

from localstack.utils.aws.arns import parse_arn

from sluice_ext import settings

LOG = logging.getLogger(__name__)
POLL = ("sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:DeleteMessage")
WRITE_LOG = ("logs:CreateLogStream", "logs:PutLogEvents")


class NotAllowed(PermissionError):
    """The role does not allow what the service needs to do with it."""


def demand(role_arn: str, actions: tuple[str, ...], resource: str) -> None:
    """Record that the service uses these actions. Raises NotAllowed if policies are enforced and do not allow them."""
    if not settings.IAM_RECORDED:
        return
    # moto's IAM is large; an engine without SLUICE_IAM does not load it.
    from sluice_ext.caller.sessions import Session
    from sluice_ext.iam import gateway, policy

    region = resource.split(":")[3]
    for action in actions:
        if gateway.decide(Session(role_arn, "lambda"), action, resource, region) != policy.ALLOWED:
            raise NotAllowed(f"{role_arn} may not {action} on {resource}")


def may_write_log(role_arn: str, region: str, group: str, stream: str) -> bool:
    """Whether the role may write this log; what runs with one that may not has no log, as on AWS."""
    try:
        demand(role_arn, WRITE_LOG, log_stream(role_arn, region, group, stream))
    except NotAllowed as error:
        LOG.warning("Log of %s is lost: %s", stream, error)
        return False
    return True


def role_of_function(function_arn: str) -> str:
    """The present role of a function or of its version. Raises LookupError when there is no such function."""
    from localstack.services.lambda_.invocation.models import lambda_stores

    parsed = parse_arn(function_arn)
    name, _, qualifier = parsed["resource"].removeprefix("function:").partition(":")
    function = lambda_stores[parsed["account"]][parsed["region"]].functions.get(name)
    if function is None:
        raise LookupError(f"function {function_arn} does not exist")
    if qualifier in function.aliases:
        qualifier = function.aliases[qualifier].function_version
    version = function.versions.get(qualifier or "$LATEST") or function.versions["$LATEST"]
    return str(version.config.role)


@lru_cache(maxsize=4096)
def log_stream(role_arn: str, region: str, group: str, stream: str) -> str:
    """ARN of a log stream in the role's account."""
    partition, account = role_arn.split(":")[1], role_arn.split(":")[4]
    return f"arn:{partition}:logs:{region}:{account}:log-group:{group}:log-stream:{stream}"
