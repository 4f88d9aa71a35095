"""Writes log events to CloudWatch Logs in batches, off the request path.

Each line is one event; a line that the runtime joined with carriage returns (a traceback) stays one event, as on AWS.
Embedded metrics in the lines are published as CloudWatch metrics.
"""

import logging
import threading
import time
from collections import defaultdict
from typing import Any

from localstack.aws.connect import connect_to
from localstack.services.logs.models import get_moto_logs_backend
from localstack.services.plugins import SERVICE_PLUGINS
from moto.logs.exceptions import ResourceNotFoundException

from sluice_ext import settings
from sluice_ext.logs.limit import Limit
from sluice_ext.metrics import emf
from sluice_ext.pausing import GATE

LOG = logging.getLogger(__name__)
_Stream = tuple[str, str, str, str]

# PutLogEvents takes 10,000 events and 1,048,576 bytes, each event counted with 26 bytes extra.
_MAX_EVENTS, _MAX_BYTES, _EVENT_BYTES = 10_000, 1_000_000, 26


class LogWriter:
    """Collects log events of all streams; one thread writes them every SLUICE_LOG_FLUSH_MS."""

    def __init__(self) -> None:
        self._pending: dict[_Stream, list[dict[str, Any]]] = defaultdict(list)
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._limit = Limit(settings.LOG_BYTES)  # used under `_writing`

    def add(self, account: str, region: str, group: str, stream: str, text: str) -> None:
        """Queue lines for a log stream, for example those of one invocation."""
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": line + "\n"} for line in text.split("\n") if line]
        with self._changed:
            self._pending[(account, region, group, stream)] += events
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="lambda-log-writer", daemon=True)
                self._thread.start()
            self._changed.notify()

    def flush(self) -> None:
        """Write everything that is queued."""
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
            with GATE.work("writing logs"):
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
                self._put(where, batch)
            except (client.exceptions.ResourceNotFoundException, ResourceNotFoundException):
                self._create(client, group, stream)
                self._put(where, batch)

    def _put(self, where: _Stream, events: list[dict[str, Any]]) -> None:
        """PutLogEvents, straight into moto's memory."""
        account, region, group, stream = where
        SERVICE_PLUGINS.require("logs")  # changes moto's streams when it is loaded
        backend = get_moto_logs_backend(account, region)
        backend.put_log_events(group, stream, events)
        self._limit.added(backend.groups[group].streams[stream], len(events), sum(len(e["message"]) for e in events))

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
