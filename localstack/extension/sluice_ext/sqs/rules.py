"""What SQS refuses: attributes of queues, redrive policies, delays and visibility timeouts out of their ranges.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html

LocalStack stores any number, and a dead-letter queue that is not there. Replaced: `create_queue`,
`set_queue_attributes`, `change_message_visibility`, `receive_message` and `_put_message` of `SqsProvider`, which check
first, and `check_attributes`, which does not count.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from localstack.services.sqs import provider
from localstack.services.sqs.exceptions import InvalidAttributeValue, InvalidParameterValueException
from localstack.services.sqs.provider import SqsProvider

from sluice_ext.patching import replace
from sluice_ext.sqs.queues import queue_of

_RANGES: Final = {
    "DelaySeconds": (0, 900),
    "KmsDataKeyReusePeriodSeconds": (60, 86_400),
    "MaximumMessageSize": (1024, 1_048_576),
    "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "VisibilityTimeout": (0, 43_200),
}
_WORDS: Final = {
    "ContentBasedDeduplication": ("true", "false"),
    "DeduplicationScope": ("messageGroup", "queue"),
    "FifoThroughputLimit": ("perQueue", "perMessageGroupId"),
    "SqsManagedSseEnabled": ("true", "false"),
}
# SQS takes "True", too, and answers "true".
_BOOLEANS: Final = ("ContentBasedDeduplication", "FifoQueue", "SqsManagedSseEnabled")
_MAX_RECEIVES: Final = 1000
_MAX_MESSAGE_ATTRIBUTES: Final = 10


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""

    def create(self: Any, context: Any, queue_name: str, attributes: Any = None, *args: Any, **kwargs: Any) -> Any:
        attributes = plain(attributes)
        check(f"arn:aws:sqs:{context.region}:{context.account_id}:{queue_name}", attributes or {})
        return original_create(self, context, queue_name, attributes, *args, **kwargs)

    def change(self: Any, context: Any, queue_url: str, attributes: Any, **kwargs: Any) -> Any:
        attributes = plain(attributes)
        check(self._resolve_queue(context, queue_url=queue_url).arn, attributes or {})
        return original_change(self, context, queue_url, attributes, **kwargs)

    def change_visibility(
        self: Any, context: Any, queue_url: str, receipt_handle: str, visibility_timeout: int, **kwargs: Any
    ) -> Any:
        check_visibility(visibility_timeout)
        return original_visibility(self, context, queue_url, receipt_handle, visibility_timeout, **kwargs)

    def receive(self: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
        if (timeout := kwargs.get("visibility_timeout")) is not None:
            check_visibility(timeout)
        return original_receive(self, context, *args, **kwargs)

    def put(
        self: Any, queue: Any, context: Any, message_body: str, delay_seconds: Any = None, *args: Any, **kw: Any
    ) -> Any:
        if delay_seconds is not None and not 0 <= int(delay_seconds) <= 900:
            raise InvalidParameterValueException(
                f"Value {delay_seconds} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and "
                "<= 900."
            )
        return original_put(self, queue, context, message_body, delay_seconds, *args, **kw)

    def check_count(message_attributes: Any) -> Any:
        if message_attributes and len(message_attributes) > _MAX_MESSAGE_ATTRIBUTES:
            raise InvalidParameterValueException(
                f"Number of message attributes [{len(message_attributes)}] exceeds the allowed maximum "
                f"[{_MAX_MESSAGE_ATTRIBUTES}]."
            )
        return original_attributes(message_attributes)

    made_of = "(self, context, queue_name, attributes, tags, **kwargs)"
    original_create = replace(SqsProvider, "create_queue", create, expect=made_of)
    changed = "(self, context, queue_url, attributes, **kwargs)"
    original_change = replace(SqsProvider, "set_queue_attributes", change, expect=changed)
    timed = "(self, context, queue_url, receipt_handle, visibility_timeout, **kwargs)"
    original_visibility = replace(SqsProvider, "change_message_visibility", change_visibility, expect=timed)
    original_receive = replace(SqsProvider, "receive_message", receive)
    original_put = replace(SqsProvider, "_put_message", put)
    original_attributes = replace(provider, "check_attributes", check_count, expect="(message_attributes)")


def plain(attributes: Any) -> Any:
    """The attributes with true and false in small letters."""
    return attributes and {
        name: value.lower() if name in _BOOLEANS and isinstance(value, str) else value
        for name, value in attributes.items()
    }


def check_visibility(seconds: int) -> None:
    """Raises InvalidParameterValue for more than 12 hours."""
    low, high = _RANGES["VisibilityTimeout"]
    if not low <= seconds <= high:
        raise InvalidParameterValueException(
            f"Value {seconds} for parameter VisibilityTimeout is invalid. Reason: Must be >= {low} and <= {high}, if "
            "provided."
        )


def check(arn: str, attributes: Mapping[str, str]) -> None:
    """Raises InvalidAttributeValue or InvalidParameterValue for attributes that a queue cannot have."""
    for name, value in attributes.items():
        if name in _RANGES:
            low, high = _RANGES[name]
            text = str(value)
            if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
                raise InvalidAttributeValue(f"Invalid value for the parameter {name}.")
        elif name in _WORDS and str(value) not in _WORDS[name]:
            raise InvalidAttributeValue(f"Invalid value for the parameter {name}.")
    if attributes.get("Policy") and _document(attributes["Policy"]) is None:
        raise InvalidAttributeValue("Invalid value for the parameter Policy.")
    if attributes.get("RedrivePolicy"):
        _check_redrive(arn, attributes["RedrivePolicy"])
    if attributes.get("RedriveAllowPolicy"):
        _check_allowed(attributes["RedriveAllowPolicy"])


def _document(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _check_redrive(arn: str, text: str) -> None:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html"""

    def refuse(reason: str) -> InvalidParameterValueException:
        return InvalidParameterValueException(f"Value {text} for parameter RedrivePolicy is invalid. Reason: {reason}")

    policy = _document(text)
    if policy is None:
        raise refuse("Redrive policy is not a valid JSON map.")
    for name in ("maxReceiveCount", "deadLetterTargetArn"):
        if policy.get(name) in (None, ""):
            raise refuse(f"Redrive policy does not contain mandatory attribute: {name}.")
    receives = str(policy["maxReceiveCount"])
    if not (receives.isascii() and receives.isdigit() and 1 <= int(receives) <= _MAX_RECEIVES):
        raise refuse(
            f"Invalid value for maxReceiveCount: {receives}, valid values are from 1 to {_MAX_RECEIVES} both inclusive."
        )
    target = str(policy["deadLetterTargetArn"])
    if target.endswith(".fifo") != arn.endswith(".fifo"):
        raise refuse("Dead-letter queue must be same type of queue as the source.")
    # Same Region and account: arn:aws:sqs:region:account:name.
    if target.count(":") != 5 or target.split(":")[2:5] != arn.split(":")[2:5]:
        raise refuse("Dead-letter target should be in same region and account as the source.")
    try:
        queue = queue_of(target)
    except LookupError:
        raise refuse("Dead letter target does not exist.") from None
    if not _allows(queue, arn):
        raise refuse(f"Queue {target} does not allow {arn} to use it as a dead-letter queue.")


def _allows(queue: Any, source: str) -> bool:
    allowed = _document(queue.attributes.get("RedriveAllowPolicy") or "{}") or {}
    permission = allowed.get("redrivePermission", "allowAll")
    return bool(
        permission == "allowAll" or (permission == "byQueue" and source in (allowed.get("sourceQueueArns") or []))
    )


def _check_allowed(text: str) -> None:
    policy = _document(text) or {}
    permission, sources = policy.get("redrivePermission"), policy.get("sourceQueueArns")
    by_queue = isinstance(sources, list) and 1 <= len(sources) <= 10
    if permission not in ("allowAll", "denyAll", "byQueue") or (by_queue if permission != "byQueue" else not by_queue):
        raise InvalidParameterValueException(
            f"Value {text} for parameter RedriveAllowPolicy is invalid. Reason: Amazon SQS can't create the redrive "
            "allow policy, as it's in an unsupported format."
        )
