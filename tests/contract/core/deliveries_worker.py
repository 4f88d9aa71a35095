"""Runs in the engine's interpreter: a target of EventBridge that throttles, and a clock that is moved past every wait.

Prints as JSON for each case how many events arrived, the metrics of the rule, and the attributes of its dead-letter
messages: throttled twice; throttled always, with two retries; throttled always, for a minute; throttled once, with a
saved state in between; a target that is gone.
"""

import json
import pickle
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError
from localstack.services.events.target import SqsTargetSender

from sluice_ext.events import deliveries
from sluice_ext.metrics.store import STORE, Metric
from sluice_ext.timeline.clock import CLOCK

QUEUE = "arn:aws:sqs:us-east-1:000000000000:queue"
METRICS = ("Invocations", "InvocationAttempts", "SuccessfulInvocationAttempts", "RetryInvocationAttempts",
           "FailedInvocations", "InvocationsSentToDlq")  # fmt: skip
THROTTLED = ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "SendMessage")
GONE = ClientError({"Error": {"Code": "AWS.SimpleQueueService.NonExistentQueue", "Message": "gone"}}, "SendMessage")


class Case:
    """A rule with one target, whose queue answers with these errors first."""

    def __init__(self, name: str, errors: list[Exception], **policy: int) -> None:
        self.name, self.errors, self.arrived = name, errors, 0
        self.dead: list[dict[str, Any]] = []
        target: Any = {"Id": "t", "Arn": QUEUE, "RetryPolicy": policy, "DeadLetterConfig": {"Arn": QUEUE + "-dlq"}}
        rule = f"arn:aws:events:us-east-1:000000000000:rule/bus/{name}"
        self.sender: Any = SqsTargetSender(target, rule, name, "sqs", "us-east-1", "000000000000")
        self.sender.send_event = self._send
        deliveries._senders = lambda: {self.sender.unique_id: self.sender}
        deliveries.sqs_queue_url_for_arn = lambda arn: arn
        deliveries.connect_to = lambda **_options: SimpleNamespace(
            sqs=SimpleNamespace(request_metadata=lambda **_more: SimpleNamespace(send_message=self._bury))
        )

    def _send(self, _event: Any, _trace: Any) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.arrived += 1

    def _bury(self, **message: Any) -> None:
        attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
        self.dead.append(attributes | {"body": json.loads(message["MessageBody"])})

    def run(self, moves: int = 12) -> dict[str, Any]:
        self.sender.process_event({"id": "e", "detail": {"n": 1}, "event-bus-name": "bus"}, None)
        for _ in range(moves):
            CLOCK.move(CLOCK.now() + timedelta(seconds=30))
        return self.found()

    def found(self) -> dict[str, Any]:
        dimensions = (("EventBusName", "bus"), ("RuleName", self.name))
        metrics = {}
        for metric in METRICS:
            samples = STORE.samples(Metric("000000000000", "us-east-1", "AWS/Events", metric, dimensions), 0, 1e11)
            metrics[metric] = samples.total if samples else 0
        return {"arrived": self.arrived, "dead": self.dead, **metrics}


def main() -> None:
    deliveries.install()
    answers = {
        "twice": Case("twice", [THROTTLED] * 2).run(),
        "always": Case("always", [THROTTLED] * 99, MaximumRetryAttempts=2).run(),
        "a minute": Case("minute", [THROTTLED] * 99, MaximumEventAgeInSeconds=60).run(),
        "gone": Case("gone", [GONE]).run(),
    }
    saved = Case("saved", [THROTTLED])
    saved.run(moves=0)
    state = pickle.loads(pickle.dumps(deliveries.PENDING.dump()))
    deliveries.PENDING._waiting.clear()
    CLOCK.move(CLOCK.now() + timedelta(minutes=5))
    assert saved.arrived == 0, "nothing waits any more"
    deliveries.PENDING.load(state)
    CLOCK.move(CLOCK.now() + timedelta(minutes=5))
    answers["saved"] = saved.found()
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
