"""Function logs to CloudWatch Logs, gathered for a moment and written off the request path.

Embedded metrics among them become CloudWatch metrics here.

One event per line; a line that the runtime joined with carriage returns (a traceback) stays one event, as on AWS.
"""

import logging
import threading
import time
from collections import defaultdict
from typing import Any

from localstack.aws.connect import connect_to
from localstack.services.logs.models import get_moto_logs_backend
from localstack.services.plugins import SERVICE_PLUGINS
from localstack.utils.bootstrap import is_api_enabled
from moto.logs.exceptions import ResourceNotFoundException

from sluice_ext import settings
from sluice_ext.iam import behalf
from sluice_ext.metrics import emf

LOG = logging.getLogger(__name__)
_Stream = tuple[str, str, str, str]

# PutLogEvents takes 10,000 events and 1,048,576 bytes, each event counted with 26 bytes extra.
_MAX_EVENTS, _MAX_BYTES, _EVENT_BYTES = 10_000, 1_000_000, 26


class LogWriter:
    """All functions' logs; one thread writes them."""

    def __init__(self) -> None:
        self._pending: dict[_Stream, list[dict[str, Any]]] = defaultdict(list)
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, account: str, region: str, group: str, stream: str, text: str) -> None:
        """Take the log of one invocation."""
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": line + "\n"} for line in text.split("\n") if line]
        with self._changed:
            self._pending[(account, region, group, stream)] += events
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="lambda-log-writer", daemon=True)
                self._thread.start()
            self._changed.notify()

    def flush(self) -> None:
        """Write everything taken so far."""
        with self._writing:
            with self._changed:
                pending, self._pending = self._pending, defaultdict(list)
            for stream, events in pending.items():
                emf.publish(stream[0], stream[1], (event["message"] for event in events))
                try:
                    self._write(stream, events)
                except Exception as error:  # noqa: BLE001 - one stream must not stop the others
                    LOG.warning("Cannot write %d log events to %s: %s", len(events), stream[2], error)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._pending:
                    self._changed.wait()
            time.sleep(settings.LOG_FLUSH_SECONDS)
            self.flush()

    def _write(self, where: _Stream, events: list[dict[str, Any]]) -> None:
        account, region, group, stream = where
        client = connect_to(aws_access_key_id=account, region_name=region).logs
        while events:
            size, count = 0, 0
            for event in events[:_MAX_EVENTS]:
                size += len(event["message"].encode()) + _EVENT_BYTES
                if count and size > _MAX_BYTES:
                    break
                count += 1
            batch, events = events[:count], events[count:]
            try:
                self._put(client, where, batch)
            except (client.exceptions.ResourceNotFoundException, ResourceNotFoundException):
                self._create(client, group, stream)
                self._put(client, where, batch)

    @staticmethod
    def _put(client: Any, where: _Stream, events: list[dict[str, Any]]) -> None:
        """PutLogEvents: straight into the service's memory, where nothing of LocalStack's own looks at the events."""
        account, region, group, stream = where
        SERVICE_PLUGINS.require("logs")  # changes moto's streams when it is loaded
        backend = get_moto_logs_backend(account, region)
        if backend.filters.metric_filters:
            client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
        else:
            backend.put_log_events(group, stream, events)

    @staticmethod
    def _create(client: Any, group: str, stream: str) -> None:
        for create, names in (
            (client.create_log_group, {"logGroupName": group}),
            (client.create_log_stream, {"logGroupName": group, "logStreamName": stream}),
        ):
            try:
                create(**names)
            except client.exceptions.ResourceAlreadyExistsException:
                continue


WRITER = LogWriter()


class GatheringLogHandler:
    """Takes the place of LocalStack's LogHandler (one for each function version)."""

    def __init__(self, role_arn: str, region: str) -> None:
        self.role_arn, self.region = role_arn, region
        self.account = role_arn.split(":")[4] if role_arn.count(":") >= 5 else "000000000000"

    def start_subscriber(self) -> None:
        """Nothing to start."""

    def add_logs(self, log_item: Any) -> None:
        """Take the log of one invocation."""
        if is_api_enabled("logs") and self._may_write(log_item.log_group, log_item.log_stream):
            WRITER.add(self.account, self.region, log_item.log_group, log_item.log_stream, log_item.logs)

    def _may_write(self, group: str, stream: str) -> bool:
        """A function whose role may not write logs runs without, as on AWS."""
        try:
            behalf.demand(self.role_arn, behalf.WRITE_LOG, behalf.log_stream(self.role_arn, self.region, group, stream))
        except behalf.NotAllowed as error:
            LOG.warning("Log of %s is lost: %s", stream, error)
            return False
        return True

    def stop(self) -> None:
        """The version goes: write now, so that a log group deleted next is not created again."""
        WRITER.flush()
