"""One call of a target, with the rights of the schedule's role.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-templated.html
"""

import re
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from localstack.aws.connect import connect_to
from localstack.utils.aws.arns import sqs_queue_url_for_arn

from sluice_ext.iam import trust
from sluice_ext.scheduler import universal

SERVICE: Final = "scheduler.amazonaws.com"
_CLIENT_SECONDS: Final = 600  # an assumed role is used for so long
_THROTTLED: Final = re.compile("Throttl|TooManyRequests|LimitExceeded|SlowDown")


class Failed(Exception):
    """The target was not invoked."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code or "InternalError", message or code
        self.throttled = bool(_THROTTLED.search(self.code))


def _lambda(clients: Any, target: dict[str, Any], text: str) -> None:
    clients.get_client("lambda").invoke(FunctionName=target["Arn"], InvocationType="Event", Payload=text.encode())


def _sqs(clients: Any, target: dict[str, Any], text: str) -> None:
    group = (target.get("SqsParameters") or {}).get("MessageGroupId")
    clients.get_client("sqs").send_message(
        QueueUrl=sqs_queue_url_for_arn(target["Arn"]), MessageBody=text, **({"MessageGroupId": group} if group else {})
    )


def _sns(clients: Any, target: dict[str, Any], text: str) -> None:
    clients.get_client("sns").publish(TopicArn=target["Arn"], Message=text)


def _states(clients: Any, target: dict[str, Any], text: str) -> None:
    clients.get_client("stepfunctions").start_execution(stateMachineArn=target["Arn"], input=text)


def _events(clients: Any, target: dict[str, Any], text: str) -> None:
    entry = {
        "EventBusName": target["Arn"],
        "Source": target["EventBridgeParameters"]["Source"],
        "DetailType": target["EventBridgeParameters"]["DetailType"],
        "Detail": text,
    }
    answer = clients.get_client("events").put_events(Entries=[entry])
    if answer["FailedEntryCount"]:
        (failed,) = answer["Entries"]
        raise Failed(failed.get("ErrorCode", ""), failed.get("ErrorMessage", ""))


# What an ARN begins with after the partition -> how its service is called.
TEMPLATED: Final[dict[str, tuple[re.Pattern[str], Callable[[Any, dict[str, Any], str], None]]]] = {
    "lambda": (re.compile(r"lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_-]+(:[A-Za-z0-9$_-]+)?"), _lambda),
    "sqs": (re.compile(r"sqs:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]+(\.fifo)?"), _sqs),
    "sns": (re.compile(r"sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]+"), _sns),
    "states": (re.compile(r"states:[a-z0-9-]+:\d{12}:stateMachine:[^:]+(:[^:]+)?"), _states),
    "events": (re.compile(r"events:[a-z0-9-]+:\d{12}:event-bus/[A-Za-z0-9/._-]+"), _events),
}
# AWS takes these as targets, too; this engine does not call them.
UNAVAILABLE: Final = ("codebuild", "codepipeline", "ecs", "firehose", "inspector", "kinesis", "sagemaker")

_clients: dict[tuple[str, str], tuple[float, Any]] = {}
_lock = threading.Lock()


def clients_of(role: str, account: str, region: str, group_arn: str) -> Any:
    """Clients with the role's rights. Raises Failed when Scheduler may not assume it."""
    if not trust.assumable(role, account, (SERVICE,), source_arn=group_arn):
        raise Failed("AccessDenied", f"{SERVICE} is not authorized to perform: sts:AssumeRole on resource: {role}")
    with _lock:
        made, found = _clients.get((role, region), (0.0, None))
    if time.monotonic() - made < _CLIENT_SECONDS:
        return found
    found = connect_to.with_assumed_role(
        role_arn=role, service_principal="scheduler", session_name="EventBridgeScheduler", region_name=region
    )
    with _lock:
        _clients[role, region] = time.monotonic(), found
    return found


def invoke(target: dict[str, Any], text: str, account: str, region: str, group_arn: str) -> None:
    """Call the target. Raises Failed."""
    arn = str(target["Arn"])
    try:
        clients = clients_of(target["RoleArn"], account, region, group_arn)
        if universal.is_universal(arn):
            action = universal.parse(arn)
            getattr(clients.get_client(action.service), action.method)(**action.request(text))
        else:
            TEMPLATED[arn.split(":")[2]][1](clients, target, text)
    except ClientError as error:
        raise Failed(str(error.response["Error"].get("Code")), str(error.response["Error"].get("Message"))) from error
    except (BotoCoreError, universal.Refused) as error:
        raise Failed("ValidationException", str(error)) from error


def dead_letter(
    queue: str, body: str, attributes: dict[str, str], role: str, account: str, region: str, group_arn: str
) -> None:
    """Send what could not be delivered. Raises Failed."""
    try:
        clients_of(role, account, region, group_arn).get_client("sqs").send_message(
            QueueUrl=sqs_queue_url_for_arn(queue),
            MessageBody=body,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
        )
    except ClientError as error:
        raise Failed(str(error.response["Error"].get("Code")), str(error.response["Error"].get("Message"))) from error
    except BotoCoreError as error:
        raise Failed("InternalError", str(error)) from error
