"""LocalStack's queues in this process, for what needs no request through the gateway."""

from localstack.services.sqs.models import SqsQueue, sqs_stores
from localstack.utils.aws.arns import parse_arn


def queue_of(arn: str) -> SqsQueue:
    """The queue with this ARN. Raises LookupError when there is none."""
    parsed = parse_arn(arn)
    queue = sqs_stores[parsed["account"]][parsed["region"]].queues.get(parsed["resource"])
    if queue is None:
        raise LookupError(f"queue {arn} does not exist")
    return queue
