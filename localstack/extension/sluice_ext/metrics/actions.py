"""What an alarm does when its state changes: each action for itself, with CloudWatch's permission to do it.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-actions.html

LocalStack runs an alarm's actions as the account itself, and the first that fails ends the others and SetAlarmState.
Replaced: `connect_to` in its CloudWatch provider, which uses it for actions only.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from localstack.services.cloudwatch import provider_v2

from sluice_ext.patching import replace

LOG = logging.getLogger(__name__)
_alarm: ContextVar[str] = ContextVar("alarm", default="")


def install() -> None:
    """Replace it; raises UnexpectedEngine when LocalStack is not the version we know."""

    def connect(*args: Any, **kwargs: Any) -> _Services:
        return _Services(original(*args, **kwargs))

    original = replace(provider_v2, "connect_to", connect)


@contextmanager
def of(alarm_arn: str) -> Iterator[None]:
    """What runs inside are the actions of this alarm."""
    token = _alarm.set(alarm_arn)
    try:
        yield
    finally:
        _alarm.reset(token)


class _Services:
    """Clients for actions."""

    def __init__(self, clients: Any) -> None:
        self._clients = clients

    def __getattr__(self, service: str) -> Any:
        return _Client(getattr(self._clients, service), _alarm.get())


class _Client:
    """A client whose calls are an alarm's actions: one that fails is written to the log and stops no other."""

    def __init__(self, client: Any, alarm: str) -> None:
        self._client, self._alarm = client, alarm

    def __getattr__(self, operation: str) -> Any:
        client = self._client
        if self._alarm:
            client = client.request_metadata(service_principal="cloudwatch", source_arn=self._alarm)
        call = getattr(client, operation)

        def act(**request: Any) -> Any:
            try:
                return call(**request)
            except Exception as error:  # noqa: BLE001 - whatever the target answers
                target = request.get("TopicArn") or request.get("FunctionName")
                LOG.warning("Failed to execute action %s of %s: %s", target, self._alarm, error)
                return None

        return act
