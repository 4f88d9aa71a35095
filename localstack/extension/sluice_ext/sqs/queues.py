"""LocalStack's queues in this process, for what needs no request through the gateway."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from localstack.services.plugins import SERVICE_PLUGINS
from localstack.services.sqs.models import SqsQueue, sqs_stores
from localstack.utils.aws.arns import parse_arn


def queue_of(arn: str) -> SqsQueue:
    """The queue with this ARN. Raises LookupError when there is none."""
    parsed = parse_arn(arn)
    queue = sqs_stores[parsed["account"]][parsed["region"]].queues.get(parsed["resource"])
    if queue is None:
        raise LookupError(f"queue {arn} does not exist")
    return queue


def send(arn: str, sender: str, body: str, system_attributes: Mapping[str, Any]) -> None:
    """Put a message into the queue with this ARN, as SendMessage does; ``sender``: the account that sends it.

    Raises LookupError when there is no such queue, and what SendMessage raises of the message.
    """
    provider = SERVICE_PLUGINS.require("sqs")._provider
    context = SimpleNamespace(account_id=sender, request=SimpleNamespace(headers={}))
    provider._put_message(queue_of(arn), context, body, None, None, dict(system_attributes))
