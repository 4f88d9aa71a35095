"""What a scenario needs: put an object, wait for the ledger, read everything back, and break things on purpose."""

from __future__ import annotations

import hashlib
import io
import json
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fixtures import aws_events
from sluice.pipeline import queues, storage, verify
from sluice.pipeline.ledger import Entry, LedgerView
from sluice.pipeline.stack import Stack
from sluice.pipeline.waiting import wait_for
from sluice.polling import poll
from sluice_pipeline.events.messages import ChunkMessage
from sluice_pipeline.objects.chunks import Chunk
from sluice_pipeline.objects.identity import ObjectRef, Origin
from tests.support.mailbox import Mailbox

DEADLINE = 90.0  # seconds; generous, for a test that waits is a test that polls


def until[T](what: str, look: Callable[[], T | None], deadline: float = DEADLINE) -> T:
    """The first result of ``look`` that is true, looked for again and again until the deadline."""
    found = poll(look, seconds=deadline, interval=0.1).value
    assert found, f"{what}: not within {deadline:.0f} s"
    return found


def idempotency_hash(origin: Origin) -> str:
    """How Powertools names the record of an object: the MD5 of its uri as JSON."""
    return hashlib.md5(json.dumps(origin.uri).encode()).hexdigest()


@dataclass(frozen=True)
class Put:
    """An object version in bronze."""

    ref: ObjectRef

    @property
    def origin(self) -> Origin:
        return self.ref.as_origin()

    @property
    def object_id(self) -> str:
        return self.origin.object_id

    def message(self, index: int = 0, start: int = 0, end: int | None = None, count: int = 1) -> ChunkMessage:
        whole = self.ref.size if end is None else end
        return ChunkMessage(self.ref, self.origin, self.ref.key.split("/")[1], Chunk(index, start, whole, count))


class Pipeline:
    """The deployed pipeline, seen by one test; every test has a prefix of its own."""

    def __init__(self, stack: Stack, mailbox: Mailbox, faults: bool) -> None:
        self.stack = stack
        self.mail = mailbox
        self.has_faults = faults
        self.run = uuid.uuid4().hex[:10]
        self.s3, self.sqs = stack.client("s3"), stack.client("sqs")
        self.lambda_ = stack.client("lambda", read_timeout=120)
        self.dynamodb = stack.client("dynamodb")
        self.ledger = LedgerView(self.dynamodb, stack["ledger_table"])

    # -- in ----------------------------------------------------------------------------------------------------------

    def key(self, dataset: str, name: str = "rows.jsonl") -> str:
        return f"bronze/{dataset}/{self.run}/{name}"

    def put(self, dataset: str, body: bytes, name: str = "rows.jsonl", **options: Any) -> Put:
        return self.put_key(self.key(dataset, name), body, **options)

    def put_key(self, key: str, body: bytes, **options: Any) -> Put:
        bucket = self.stack["bronze_bucket"]
        answer = self.s3.put_object(Bucket=bucket, Key=key, Body=body, **options)
        return Put(ObjectRef(bucket, key, answer["VersionId"], answer["ETag"].strip('"'), len(body)))

    def origin_of(self, key: str, body: bytes) -> Origin:
        """The origin that an object will have, before it is uploaded."""
        return Origin(self.stack["bronze_bucket"], key, hashlib.md5(body).hexdigest())

    def event(self, put: Put) -> dict[str, Any]:
        """The notification that S3 sends for an object."""
        ref = put.ref
        return aws_events.object_created(
            ref.bucket, ref.key, version_id=ref.version_id, etag=ref.etag, size=ref.size, region=self.stack.region
        )

    def deliver(self, put: Put) -> dict[str, Any]:
        """Delivers an object's event to ingest once more and waits for the answer."""
        return self.invoke_ingest(self.event(put))

    def invoke_ingest(self, event: dict[str, Any]) -> dict[str, Any]:
        """Ingest's answer to an event."""
        payload = json.dumps(event).encode()
        answer = self.lambda_.invoke(FunctionName=self.stack["ingest_function"], Payload=payload)
        return {"error": answer.get("FunctionError"), "payload": json.loads(answer["Payload"].read() or b"null")}

    def deliver_later(self, put: Put) -> None:
        """Delivers an object's event as S3 does: through ingest's queue."""
        self.send(json.dumps(self.event(put)), "ingest_queue_url")

    def send(self, body: str, output: str = "chunk_queue_url") -> None:
        self.sqs.send_message(QueueUrl=self.stack[output], MessageBody=body)

    def send_together(self, bodies: list[str]) -> None:
        entries = [{"Id": str(i), "MessageBody": body} for i, body in enumerate(bodies)]
        answer = self.sqs.send_message_batch(QueueUrl=self.stack["chunk_queue_url"], Entries=entries)
        assert not answer.get("Failed")

    def replay(self, put: Put) -> Put:
        """A copy that carries its origin, as a replay makes it."""
        key = f"bronze/{put.ref.key.split('/')[1]}/replay-{uuid.uuid4().hex[:10]}/{put.ref.key.rsplit('/', 1)[-1]}"
        body = self.s3.get_object(Bucket=put.ref.bucket, Key=put.ref.key, VersionId=put.ref.version_id)["Body"].read()
        return self.put_key(key, body, Metadata=put.origin.to_metadata())

    def forget_idempotency(self, put: Put) -> None:
        """Removes ingest's record of an object, as its expiry does."""
        table, name = self.stack["idempotency_table"], idempotency_hash(put.origin)
        for page in self.dynamodb.get_paginator("scan").paginate(TableName=table):
            for item in page["Items"]:
                if item["id"]["S"].endswith(name):
                    self.dynamodb.delete_item(TableName=table, Key={"id": item["id"]})

    # -- waiting -----------------------------------------------------------------------------------------------------

    def wait(self, *puts: Put, deadline: float = DEADLINE) -> list[dict[str, Any]]:
        """The ledger's items once all objects are committed, failed or missing, and chunks and loads do not wait."""
        items = wait_for(self.stack, [put.object_id for put in puts], deadline=deadline)
        return [items[put.object_id] for put in puts]

    def wait_for_run(self, put: Put, run: int, deadline: float = DEADLINE) -> dict[str, Any]:
        """The object's item once the run of this number is committed."""

        def committed() -> dict[str, Any] | None:
            entry = self.ledger.one(put.object_id)
            done = entry and entry.number("run") == run and entry.state == "committed"
            return entry.item if entry and done else None

        return until(f"run {run} of {put.ref.key}", committed, deadline)

    # -- out ---------------------------------------------------------------------------------------------------------

    def entry(self, put: Put) -> Entry:
        found = self.ledger.one(put.object_id)
        assert found is not None, f"the ledger does not know {put.ref.key}"
        return found

    def keys(self, kind: str) -> list[str]:
        """Every key in silver or quarantine."""
        return list(storage.files(self.s3, self.stack[f"{kind}_bucket"], f"{kind}/"))

    def files(self, put: Put, kind: str = "silver", listed: list[str] | None = None) -> dict[str, bytes]:
        """Every file in silver (or quarantine) that belongs to the object, whatever the ledger says.

        ``listed`` spares the listing of the bucket where many objects are looked at: what `keys` found.
        """
        bucket = self.stack[f"{kind}_bucket"]
        found = self.keys(kind) if listed is None else listed
        keys = [key for key in found if storage.owner_of(key) == put.object_id]
        return {key: self.s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in sorted(keys)}

    def rows(self, put: Put, listed: list[str] | None = None) -> list[dict[str, Any]]:
        """The object's silver rows in the order of the source; ``listed`` as in `files`."""
        tables = [pq.read_table(io.BytesIO(body)) for body in self.files(put, listed=listed).values()]
        rows = [row for table in tables for row in table.to_pylist()]
        return sorted(rows, key=lambda row: int(row["_source_offset"]))

    def table(self, put: Put, dataset: str) -> pa.Table:
        files = [body for key, body in self.files(put).items() if key.startswith(f"silver/{dataset}/")]
        return pa.concat_tables([pq.read_table(io.BytesIO(body)) for body in files])

    def quarantined(self, put: Put, listed: list[str] | None = None) -> list[dict[str, Any]]:
        bodies = self.files(put, "quarantine", listed).values()
        rows = [json.loads(line) for body in bodies for line in body.decode().splitlines()]
        return sorted(rows, key=lambda row: int(row["offset"]))

    def receive_messages(
        self, output: str, wanted: Callable[[str], bool], deadline: float = DEADLINE
    ) -> list[dict[str, Any]]:
        """Receives and deletes the wanted messages of a dead-letter queue, at least one, and leaves the others."""
        url = self.stack[output]
        received: list[dict[str, Any]] = []

        def look() -> bool:
            answer = self.sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=1, AttributeNames=["All"]
            )
            for message in answer.get("Messages", []):
                if wanted(message["Body"]):
                    received.append({"body": message["Body"], "attributes": message["Attributes"]})
                    self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            return bool(received)

        until(f"a message in {output}", look, deadline)
        return received

    def receive_messages_about(self, *puts: Put, output: str = "chunk_dlq_url") -> list[Put]:
        """Empties a dead-letter queue of messages about these objects, if there are any: the object of each.

        Fails when any other message is there.
        """
        url = self.stack[output]
        received: list[Put] = []

        def emptied() -> bool:
            if not self.depth(output):
                return True
            answer = self.sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=1, WaitTimeSeconds=1
            )
            for message in answer.get("Messages", []):
                if own := [put for put in puts if put.ref.key in message["Body"]]:
                    received.extend(own)
                    self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            return False

        until(f"{output} empty but for messages about {[put.ref.key for put in puts]}", emptied, 30)
        return received

    def depth(self, output: str = "chunk_queue_url") -> int:
        return queues.depth(self.sqs, self.stack[output]).total

    def verified(self, *prefixes: str) -> verify.Report:
        """Reconciles what this test brought in; fails with the differences."""
        report = verify.verify(self.stack, prefixes=prefixes)
        assert report.ok, "\n".join(difference.line() for difference in report.differences)
        return report

    def timeout_of(self, function: str) -> int:
        """A function's timeout in seconds."""
        name = self.stack[f"{function}_function"]
        return int(self.lambda_.get_function_configuration(FunctionName=name)["Timeout"])

    # -- breaking ----------------------------------------------------------------------------------------------------

    @contextmanager
    def fault(self, function: str, service: str, operation: str, action: str, **more: Any) -> Iterator[None]:
        """One fault (see the engine's fault control) while the block runs."""
        name = self.stack[f"{function}_function"]
        self.set_fault({"function": name, "service": service, "operation": operation, "action": action} | more)
        try:
            yield
        finally:
            self.clear_faults()

    def set_fault(self, fault: dict[str, Any]) -> int:
        """Sets a fault (see the engine's fault control) until all are cleared; its id."""
        return int(self._faults("POST", fault)["id"])

    def clear_faults(self) -> None:
        self._faults("DELETE")

    def fault_hits(self) -> int:
        return sum(int(fault["hits"]) for fault in self.faults())

    def faults(self) -> list[dict[str, Any]]:
        """The faults that are set, with how often each was met (``hits``)."""
        found: list[dict[str, Any]] = self._faults("GET")["faults"]
        return found

    def unmet_faults(self) -> list[dict[str, Any]]:
        """The faults that no call has met yet."""
        return [fault for fault in self.faults() if not fault["hits"]]

    def _faults(self, method: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self.stack.endpoint_url}/_sluice/faults",
            method=method,
            data=json.dumps(body).encode() if body else None,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.loads(answer.read())
        return found
