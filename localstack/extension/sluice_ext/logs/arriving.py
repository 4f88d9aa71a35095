"""What happens to events that arrive: metric filters count them, subscription filters pass them on.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html

LocalStack passes on to a second filter what the first one has left, and a destination that fails fails PutLogEvents.
Replaced: `LogStream.put_log_events` of moto, which LocalStack has replaced; its own still sends, to one filter at a
time.
"""

import copy
import logging
from types import SimpleNamespace
from typing import Any

from localstack.services.logs.models import get_moto_logs_backend
from moto.logs.models import LogStream

from sluice_ext.logs import metric_filters
from sluice_ext.logs.filters import InvalidFilter, compile_filter
from sluice_ext.patching import replace

LOG = logging.getLogger(__name__)


def install() -> None:
    """Replace it; raises UnexpectedEngine when LocalStack is not the version we know."""

    def put(self: Any, log_events: list[dict[str, Any]]) -> Any:
        group = self.log_group
        metric_filters.publish(get_moto_logs_backend(group.account_id, group.region), group.name, log_events)
        filters = list(group.subscription_filters.values())
        if not filters:
            return original(self, log_events)
        self.log_group = _only(group, {})
        try:
            token = original(self, log_events)
        finally:
            self.log_group = group
        for one in filters:
            _send(self, group, one, log_events)
        return token

    def _send(stream: Any, group: Any, one: Any, log_events: list[dict[str, Any]]) -> None:
        try:
            wanted = compile_filter(one.filter_pattern or "")
            matching = [event for event in log_events if wanted(event["message"]) is not None]
            if matching:
                sender = copy.copy(stream)
                sender.events, sender.log_group = [], _only(group, {one.name: one})
                original(sender, matching)
        except InvalidFilter as error:
            LOG.warning("Subscription filter %s gets nothing: %s", one.name, error)
        except Exception as error:  # noqa: BLE001 - the events are stored, and the other filters get theirs
            LOG.warning("Subscription filter %s was not delivered to: %s", one.name, error)

    original = replace(LogStream, "put_log_events", put)


def _only(group: Any, filters: dict[str, Any]) -> Any:
    """What sending reads of a log group, with only these filters."""
    return SimpleNamespace(name=group.name, subscription_filters=filters)
