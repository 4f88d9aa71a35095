"""Work that a service hands to another thread: a pause of the engine waits until it has run.

Replaced: where S3 hands over its notifications, SNS its messages, EventBridge its events. See
`sluice_ext.pausing`.
"""

from typing import Any

from localstack.services.events import provider as events
from localstack.services.s3.notifications import NotificationDispatcher
from localstack.services.sns.publisher import PublishDispatcher

from sluice_ext.patching import replace
from sluice_ext.pausing import GATE


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""

    def notify(self: Any, notifier: Any, ctx: Any, config: Any) -> None:
        self.executor.submit(GATE.follow_up("a notification of S3", notifier.notify), ctx, config)

    def start_worker(method: Any, *args: Any, **kwargs: Any) -> Any:
        return original_start(GATE.follow_up("rules of EventBridge", method), *args, **kwargs)

    def dispatcher(self: Any, *args: Any, **kwargs: Any) -> None:
        original_dispatcher(self, *args, **kwargs)
        for executor in (self.executor, self.topic_partitioned_executor):
            _wrap(executor)

    replace(NotificationDispatcher, "_submit_notification", notify, expect="(self, notifier, ctx, config)")
    original_start = replace(events, "start_worker_thread", start_worker, expect="(method, params, name)")
    original_dispatcher = replace(PublishDispatcher, "__init__", dispatcher, expect="(self, num_thread)")


def _wrap(executor: Any) -> None:
    submit = executor.submit

    def follow_up(call: Any, *args: Any, **kwargs: Any) -> Any:
        return submit(GATE.follow_up("a message of SNS", call), *args, **kwargs)

    executor.submit = follow_up
