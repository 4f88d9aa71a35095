"""An event goes to a target: again after a transient error, otherwise to the target's dead-letter queue.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-event-delivery.html
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html

LocalStack tries a target once and drops what fails. Replaced: `TargetSender.process_event`. What waits for another
attempt follows `sluice_ext.timeline.clock` and is saved with the engine's state.
"""

import copy
import json
import logging
import random
import threading
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from localstack.aws.connect import connect_to
from localstack.services.events.target import TargetSender
from localstack.services.plugins import SERVICE_PLUGINS
from localstack.utils.aws.arns import sqs_queue_url_for_arn
from localstack.utils.xray.trace_header import TraceHeader

from sluice_ext.events import failures
from sluice_ext.iam import deliveries as policies
from sluice_ext.metrics.store import STORE, Metric
from sluice_ext.patching import replace
from sluice_ext.pausing import GATE
from sluice_ext.timeline.clock import CLOCK

LOG = logging.getLogger(__name__)
_LABEL: Final = "an event that is delivered again"
# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_RetryPolicy.html
_MAX_ATTEMPTS, _MAX_AGE = 185, 86_400
# 185 attempts take about a day, the longest age.
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 480.0
_MAX_BODY: Final = 240_000  # bytes; a message of SQS has 256 KiB with its attributes


@dataclass
class Delivery:
    """An event on its way to a target. ``event`` is what the rule matched, before the target's input is made of it."""

    sender: str  # its unique id: rule's ARN and target's id
    event: Any
    trace: str
    began: datetime
    due: datetime
    attempts: int = 0


def install() -> None:
    """Replace it; raises UnexpectedEngine when LocalStack is not the version we know."""

    def process(self: TargetSender, event: Any, trace_header: Any) -> None:
        given = copy.copy(event)  # it is changed on its way
        now = CLOCK.now()
        try:
            _send(self, event, trace_header)
        except Exception as error:  # noqa: BLE001 - whatever a service answers is an error of the target
            trace = trace_header.to_header_str() if trace_header else ""
            _failed(self, Delivery(self.unique_id, given, trace, now, now, 1), failures.of(error))

    global _original
    _original = replace(TargetSender, "process_event", process, expect="(self, event, trace_header)")


_original: Any = None


def _send(sender: TargetSender, event: Any, trace_header: Any) -> None:
    """Deliver once. Raises what the target answers."""
    count(sender, "InvocationAttempts")
    if role := sender.target.get("RoleArn"):
        try:
            policies.demand_role("events", str(role), sender.account_id, sender.rule_arn)
        except policies.NotPermitted as error:
            raise failures.RoleNotAssumed(str(error)) from error
    _original(sender, event, trace_header)
    count(sender, "SuccessfulInvocationAttempts")
    count(sender, "Invocations")


def _failed(sender: TargetSender, delivery: Delivery, failure: failures.Failure) -> None:
    """An attempt failed: the delivery waits, or has failed for good."""
    exhausted = _exhausted(sender, delivery) if failure.again else ""
    if failure.again and not exhausted:
        LOG.info("Attempt %d of %s: %s", delivery.attempts, sender.unique_id, failure.message)
        PENDING.add(delivery)
        return
    count(sender, "Invocations")
    count(sender, "FailedInvocations")
    LOG.warning("An event of %s did not reach %s: %s %s", sender.rule_name, sender.arn, failure.code, failure.message)
    if queue := (sender.target.get("DeadLetterConfig") or {}).get("Arn"):
        _to_dead_letter_queue(sender, delivery, failure, exhausted, str(queue))


def _exhausted(sender: TargetSender, delivery: Delivery) -> str:
    """Which limit of the retry policy is met; otherwise the next attempt is due later, and this is empty."""
    given = sender.target.get("RetryPolicy") or {}
    if delivery.attempts > given.get("MaximumRetryAttempts", _MAX_ATTEMPTS):
        return "MaximumRetryAttempts"
    wait = min(_FIRST_WAIT * 2 ** min(delivery.attempts - 1, 20), _LONGEST_WAIT)
    delivery.due = CLOCK.now() + timedelta(seconds=wait * random.uniform(0.5, 1.0))
    age = timedelta(seconds=given.get("MaximumEventAgeInSeconds", _MAX_AGE))
    return "MaximumEventAgeInSeconds" if delivery.due - delivery.began > age else ""


def _to_dead_letter_queue(
    sender: TargetSender, delivery: Delivery, failure: failures.Failure, exhausted: str, queue: str
) -> None:
    attributes = {
        "RULE_ARN": sender.rule_arn,
        "TARGET_ARN": sender.arn,
        "ERROR_CODE": failure.code,
        "ERROR_MESSAGE": failure.message[:2000] or failure.code,
    }
    if exhausted:
        attributes |= {"EXHAUSTED_RETRY_CONDITION": exhausted, "RETRY_ATTEMPTS": str(delivery.attempts - 1)}
    event = delivery.event
    if isinstance(event, dict):
        event = {name: value for name, value in event.items() if name != "event-bus-name"}
    text = event if isinstance(event, str) else json.dumps(event, default=str)
    account, region = queue.split(":")[4], queue.split(":")[3]
    client = connect_to(aws_access_key_id=account, region_name=region).sqs
    try:
        client.request_metadata(service_principal="events", source_arn=sender.rule_arn).send_message(
            QueueUrl=sqs_queue_url_for_arn(queue),
            MessageBody=text.encode()[:_MAX_BODY].decode(errors="ignore"),
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
        )
    except Exception as error:  # noqa: BLE001 - the event is lost, as on AWS; the metric says so
        LOG.warning("The dead-letter message of %s was not sent to %s: %s", sender.rule_name, queue, error)
        count(sender, "InvocationsFailedToBeSentToDlq")
        return
    count(sender, "InvocationsSentToDlq")


def count(sender: TargetSender, name: str) -> None:
    """Add one to a metric of the rule: a rule of the default bus has its name as dimension, others their bus, too."""
    _, _, path = sender.rule_arn.partition(":rule/")
    bus, _, _rule = path.rpartition("/")
    dimensions = (("EventBusName", bus),) if bus else ()
    metric = Metric(
        sender.account_id, sender.region, "AWS/Events", name, (*dimensions, ("RuleName", str(sender.rule_name)))
    )
    STORE.add(metric, 1, "Count")


class Pending:
    """What waits for another attempt. Thread-safe."""

    def __init__(self) -> None:
        self._waiting: dict[str, Delivery] = {}
        self._lock = threading.Lock()

    def add(self, delivery: Delivery) -> None:
        """Try it again when it is due."""
        number = str(uuid.uuid4())
        with self._lock:
            self._waiting[number] = delivery
        CLOCK.once(("event", number), delivery.due, lambda _due: self._again(number))

    def _again(self, number: str) -> None:
        with GATE.work(_LABEL, source=True):
            with self._lock:
                delivery = self._waiting.pop(number, None)
            sender = _senders().get(delivery.sender) if delivery else None
            if delivery is None or sender is None:  # the target was removed
                return
            delivery.attempts += 1
            count(sender, "RetryInvocationAttempts")
            try:
                trace = TraceHeader.from_header_str(delivery.trace).ensure_root_exists()
                _send(sender, copy.copy(delivery.event), trace)
            except Exception as error:  # noqa: BLE001 - whatever a service answers is an error of the target
                _failed(sender, delivery, failures.of(error))

    def dump(self) -> tuple[float, list[Delivery]]:
        """How far the clock is ahead (s), and everything that waits, for a saved state."""
        with self._lock:
            return CLOCK.moved_seconds, [copy.copy(one) for one in self._waiting.values()]

    def load(self, saved: tuple[float, list[Delivery]]) -> None:
        """Restore what `dump` returned, in the machine's time; what came due meanwhile is tried at once."""
        moved, waiting = saved
        for delivery in waiting:
            delivery.due = max(delivery.due - timedelta(seconds=moved), CLOCK.now())
            delivery.began -= timedelta(seconds=moved)
            self.add(delivery)


PENDING = Pending()


def _senders() -> dict[str, TargetSender]:
    senders: dict[str, TargetSender] = SERVICE_PLUGINS.require("events")._provider._target_sender_store
    return senders
