"""Sends objects to ingest's queue in S3's own form, each once while ingest may not have got to it."""

import json
import time
from collections.abc import Sequence
from typing import Any, Final

from core.reconcile.unannounced import Unannounced
from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.events.batches import send_all
from sluice_pipeline.events.notifications import s3_event

WAITING_SECONDS: Final = 24 * 60 * 60  # for which ingest may be behind; after it, an object is announced again


class Announcer:
    """``records``: the table of events already processed, whose items expire by themselves."""

    def __init__(self, sqs: Any, queue_url: str, records: Table) -> None:
        self._sqs = sqs
        self._url = queue_url
        self._records = records

    def new(self, found: Sequence[Unannounced]) -> list[Unannounced]:
        """Those that were not announced within WAITING_SECONDS."""
        now = time.time()  # an expired item may still be there for days, AWS says
        sent = {
            item["id"]
            for item in self._records.read({"id": {"S": _id(one)}} for one in found)
            if int(item["expiration"]) > now
        }
        return [one for one in found if _id(one) not in sent]

    def send(self, found: Sequence[Unannounced]) -> None:
        """Raises RuntimeError when SQS rejects a message; what was sent with it is sent again then."""
        send_all(self._sqs, self._url, (json.dumps(s3_event(one.ref)) for one in found), "announcements")

    def record(self, found: Sequence[Unannounced]) -> None:
        """That they were sent."""
        expiration = int(time.time()) + WAITING_SECONDS
        self._records.put_all([{"id": _id(one), "expiration": expiration} for one in found])


def _id(one: Unannounced) -> str:
    return f"reconcile#{one.ref.as_origin().object_id}#{one.ref.version_id}"
