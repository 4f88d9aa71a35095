"""AWS/SNS metrics of a topic: notifications delivered, failed, and moved to dead-letter queues.

https://docs.aws.amazon.com/sns/latest/dg/sns-monitoring-using-cloudwatch.html
https://docs.aws.amazon.com/sns/latest/dg/sns-dead-letter-queues.html

An error of the client (a policy that does not allow it, a target that is gone) is not retried, as on AWS; LocalStack
then sends to the subscription's dead-letter queue, if there is one. Replaced: what it calls after each delivery and to
fill that queue.
"""

import logging
from typing import Any

from localstack.services.sns import publisher

from sluice_ext.metrics.store import STORE, Metric
from sluice_ext.patching import replace

LOG = logging.getLogger(__name__)


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""

    def log_delivery(message: Any, subscriber: Any, success: bool, *args: Any, **kwargs: Any) -> Any:
        count(subscriber, f"NumberOfNotifications{'Delivered' if success else 'Failed'}")
        return original_log(message, subscriber, success, *args, **kwargs)

    def fail(sns_subscriber: Any, message: str, error: str, **kwargs: Any) -> Any:
        LOG.warning(
            "A message of %s did not reach %s: %s", sns_subscriber["TopicArn"], _endpoint(sns_subscriber), error
        )
        try:
            queue = original_fail(sns_subscriber, message, error, **kwargs)
        except Exception as refused:  # noqa: BLE001 - the message is lost, as on AWS; the metric says so
            LOG.warning("The dead-letter message of %s was not sent: %s", sns_subscriber["SubscriptionArn"], refused)
            count(sns_subscriber, "NumberOfNotificationsFailedToRedriveToDlq")
            return None
        if queue:
            count(sns_subscriber, "NumberOfNotificationsRedrivenToDlq")
        return queue

    delivered = "(message_context, subscriber, success, topic_attributes, delivery)"
    original_log = replace(publisher, "store_delivery_log", log_delivery, expect=delivered)
    failed = "(sns_subscriber, message, error, **kwargs)"
    original_fail = replace(publisher, "sns_error_to_dead_letter_queue", fail, expect=failed)


def count(subscriber: Any, name: str) -> None:
    """Add one to a metric of the subscription's topic."""
    _, _, _, region, account, topic = str(subscriber["TopicArn"]).split(":", 5)
    STORE.add(Metric(account, region, "AWS/SNS", name, (("TopicName", topic),)), 1, "Count")


def _endpoint(subscriber: Any) -> str:
    return str(subscriber.get("Endpoint") or "")
