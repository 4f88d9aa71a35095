"""What Lambda does in the name of a function's role without a call of its own through the engine.

It polls the queue of an event source mapping and writes the function's log with the function's role, as on AWS:
https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html
"""

from functools import lru_cache

from localstack.utils.aws.arns import parse_arn

from sluice_ext import settings

POLL = ("sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:DeleteMessage")
WRITE_LOG = ("logs:CreateLogStream", "logs:PutLogEvents")


class NotAllowed(PermissionError):
    """The role may not do what the service needs to do in its name."""


def demand(role_arn: str, actions: tuple[str, ...], resource: str) -> None:
    """The service is about to use these actions. Raises NotAllowed when policies are enforced and do not allow them."""
    if not settings.IAM_RECORDED:
        return
    from sluice_ext.iam import gateway, policy, roles

    region = resource.split(":")[3]
    for action in actions:
        if gateway.decide(roles.Session(role_arn, "lambda"), action, resource, region) != policy.ALLOWED:
            raise NotAllowed(f"{role_arn} may not {action} on {resource}")


def role_of_function(function_arn: str) -> str:
    """The role that a function (or its version) has now. Raises LookupError when there is no such function."""
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
