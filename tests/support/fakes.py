"""S3, DynamoDB, SQS and Lambda in memory: as much of them as the data verbs use."""

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from sluice.build.artifacts import compiled_datasets
from sluice.paths import DATASETS_DIR
from sluice_pipeline.ledger.shards import HEAD, RECEIVED, Index, keys, received_key
from tests.support.ledger_table import INCLUDED

OUTPUTS: dict[str, Any] = {
    "bronze_bucket": "bronze-b",
    "silver_bucket": "silver-b",
    "quarantine_bucket": "quarantine-b",
    "artifacts_bucket": "artifacts-b",
    "datasets_key": "config/datasets.json",
    "chunk_queue_url": "http://sqs/chunks",
    "chunk_dlq_url": "http://sqs/chunks-dlq",
    "ingest_queue_url": "http://sqs/ingest",
    "ingest_dlq_url": "http://sqs/ingest-dlq",
    "ledger_table": "ledger",
    "ingest_function": "ingest",
    "branches": {
        "core": {
            "functions": {"ingest": {"name": "s-ingest", "log_group": "/aws/lambda/s-ingest", "alarms": True}},
            "queues": {
                "chunks": {"name": "chunks", "url": "http://sqs/chunks", "dlq_name": "chunks-dlq",
                           "dlq_url": "http://sqs/chunks-dlq", "label": "chunk"},
                "ingest": {"name": "ingest", "url": "http://sqs/ingest", "dlq_name": "ingest-dlq",
                           "dlq_url": "http://sqs/ingest-dlq", "label": "ingest"},
            },
            "workflows": {}, "tables": {"ledger": "ledger"}, "notices": ["dead.letter"], "outputs": {},
        }
    },
}  # fmt: skip


@dataclass
class Stored:
    body: bytes
    version_id: str
    metadata: dict[str, str]

    @property
    def etag(self) -> str:
        return hashlib.md5(self.body).hexdigest()


@dataclass
class FakeS3:
    """Versioned buckets; a delete leaves nothing behind."""

    objects: dict[tuple[str, str], list[Stored]] = field(default_factory=dict)
    modified: dict[str, datetime] = field(default_factory=dict)
    """When what is under a key came; of all others S3 says nothing."""
    uploads: list[str] = field(default_factory=list)

    def put_object(self, Bucket: str, Key: str, Body: bytes, Metadata: dict[str, str] | None = None) -> dict[str, Any]:  # noqa: N803
        versions = self.objects.setdefault((Bucket, Key), [])
        versions.append(Stored(Body, f"v{len(versions) + 1}", Metadata or {}))
        return {"ETag": f'"{versions[-1].etag}"', "VersionId": versions[-1].version_id}

    def copy_object(self, Bucket: str, Key: str, CopySource: dict[str, str], **rest: Any) -> None:  # noqa: N803
        source = self._find(CopySource["Bucket"], CopySource["Key"], CopySource.get("VersionId"))
        self.put_object(Bucket, Key, source.body, rest["Metadata"])

    def get_object(self, Bucket: str, Key: str, VersionId: str | None = None) -> dict[str, Any]:  # noqa: N803
        found = self._find(Bucket, Key, VersionId)
        return {"Body": io.BytesIO(found.body), "ETag": f'"{found.etag}"', "VersionId": found.version_id}

    def head_object(self, Bucket: str, Key: str, VersionId: str | None = None) -> dict[str, Any]:  # noqa: N803
        found = self._find(Bucket, Key, VersionId)
        return {"Metadata": found.metadata, "ETag": f'"{found.etag}"', "VersionId": found.version_id} | {
            "ContentLength": len(found.body),
            "LastModified": self.modified.get(Key),
        }

    def delete(self, bucket: str, key: str) -> None:
        del self.objects[bucket, key]

    def delete_object(self, Bucket: str, Key: str) -> None:  # noqa: N803
        self.delete(Bucket, Key)

    def upload_file(self, Filename: str, Bucket: str, Key: str, **given: Any) -> None:  # noqa: N803
        body = Path(Filename).read_bytes()
        self.put_object(Bucket, Key, body, given["ExtraArgs"]["Metadata"])
        self.uploads.append(Key)
        if given.get("Callback"):
            given["Callback"](len(body))

    def get_paginator(self, operation: str) -> Any:
        return _Pages(self, operation)

    def _find(self, bucket: str, key: str, version_id: str | None) -> Stored:
        for stored in reversed(self.objects.get((bucket, key), [])):
            if version_id in (None, stored.version_id):
                return stored
        raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")


@dataclass
class ConditionalS3:
    """S3 without versions, as far as it compares before it writes; an object of a version is one of ``bodies``.

    ``before`` is called before each call of what is written; ``refuse`` is what every PUT is answered.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
    """

    bodies: dict[str, bytes] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None
    refuse: ClientError | None = None
    objects: dict[tuple[str, str], Stored] = field(default_factory=dict)

    def contents(self, bucket: str) -> dict[str, bytes]:
        return {key: stored.body for (place, key), stored in sorted(self.objects.items()) if place == bucket}

    def get_object(self, Bucket: str, Key: str, VersionId: str, Range: str) -> dict[str, Any]:  # noqa: N803
        del Bucket, Key
        start, _, end = Range.removeprefix("bytes=").partition("-")
        return {"Body": io.BytesIO(self.bodies[VersionId][int(start) : int(end) + 1])}

    def head_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        self.before()
        found = self.objects.get((Bucket, Key))
        if found is None:
            raise ClientError({"Error": {"Code": "404"}}, "HeadObject")
        return {"ETag": f'"{found.etag}"', "Metadata": found.metadata}

    def put_object(
        self,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        Body: bytes,  # noqa: N803
        Metadata: dict[str, str],  # noqa: N803
        IfMatch: str = "",  # noqa: N803
        IfNoneMatch: str = "",  # noqa: N803
    ) -> None:
        self.before()
        if self.refuse:
            raise self.refuse
        self._compare(Bucket, Key, IfMatch, IfNoneMatch, "PutObject")
        self.objects[Bucket, Key] = Stored(Body, "", Metadata)

    def delete_object(self, Bucket: str, Key: str, IfMatch: str) -> None:  # noqa: N803
        self.before()
        self._compare(Bucket, Key, IfMatch, "", "DeleteObject")
        del self.objects[Bucket, Key]

    def _compare(self, bucket: str, key: str, match: str, none_match: str, operation: str) -> None:
        found = self.objects.get((bucket, key))
        if match and found is None:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, operation)
        if (none_match and found) or (match and found and match != f'"{found.etag}"'):
            raise ClientError({"Error": {"Code": "PreconditionFailed"}}, operation)


@dataclass
class _Pages:
    s3: FakeS3
    operation: str

    def paginate(self, Bucket: str, Prefix: str, Delimiter: str = "") -> Iterator[dict[str, Any]]:  # noqa: N803
        """One entry a page, so that a caller which stops at the first page is found out."""
        folders = set()
        for (bucket, key), versions in list(self.s3.objects.items()):
            if bucket != Bucket or not key.startswith(Prefix):
                continue
            if Delimiter and Delimiter in key[len(Prefix) :]:
                folder = Prefix + key[len(Prefix) :].split(Delimiter)[0] + Delimiter
                if folder not in folders:
                    folders.add(folder)
                    yield {"CommonPrefixes": [{"Prefix": folder}]}
            elif self.operation == "list_objects_v2":
                size, modified = len(versions[-1].body), self.s3.modified.get(key)
                yield {"Contents": [{"Key": key, "Size": size, "LastModified": modified}]}
            else:
                modified = self.s3.modified.get(key)
                yield {"Versions": [_version(key, stored) | {"LastModified": modified} for stored in versions]}
        yield {}


def _version(key: str, stored: Stored) -> dict[str, Any]:
    return {"Key": key, "VersionId": stored.version_id, "ETag": f'"{stored.etag}"', "Size": len(stored.body)}


FOUND_ALL = {"pk": HEAD[0], "sk": HEAD[1], "complete": True}
"""The head item of a ledger whose objects are all in the indexes."""


def keys_of(item: dict[str, Any]) -> dict[str, str]:
    """The index keys of an object's item, as the ledger sets them where an index has one shard."""
    return keys(item["state"], 0) | received_key(item["dataset"], 0)


@dataclass
class FakeDynamo:
    """One table of items as Python values; pages hold two items."""

    items: list[dict[str, Any]] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    read: int = 0
    """Keys that BatchGetItem has answered."""

    def scan(self, **request: Any) -> dict[str, Any]:
        return self._page(self.indexed(RECEIVED) if "IndexName" in request else self.items, request)

    def query(self, **request: Any) -> dict[str, Any]:
        self.calls.append(request)
        values = {name: _read(value) for name, value in request["ExpressionAttributeValues"].items()}
        if "IndexName" not in request:
            return self._page([item for item in self.items if item["pk"] == values[":pk"]], request)
        names = request["ExpressionAttributeNames"]
        [index] = [one for one in INCLUDED if one.name == request["IndexName"]]
        assert names["#key"] == index.key
        found = [item for item in self.indexed(index) if item[index.key] == values[":key"]]
        if ":since" in values:
            assert names["#order"] == index.order
            found = [item for item in found if item[index.order] >= values[":since"]]
        newest_first = request.get("ScanIndexForward") is False
        return self._page(sorted(found, key=lambda item: str(item[index.order]), reverse=newest_first), request)

    def indexed(self, index: Index) -> list[dict[str, Any]]:
        """What an index of one shard has, with the attributes that it includes."""
        keys = {id(item): keys_of(item) for item in self.items if item["sk"] == "object"}
        found = [item | keys[id(item)] for item in self.items if index.key in keys.get(id(item), {})]
        included = {"pk", "sk", index.key, index.order, *INCLUDED[index]}
        return [{name: value for name, value in item.items() if name in included} for item in found]

    def get_item(self, Key: dict[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803
        wanted = {name: _read(value) for name, value in Key.items()}
        found = [_write(item) for item in [*self.items, FOUND_ALL] if wanted.items() <= item.items()]
        return {"Item": found[0]} if found else {}

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        """Answers one key a call and gives the others back as unprocessed."""
        ((table, request),) = RequestItems.items()
        first, *rest = request["Keys"]
        self.read += 1
        wanted = {name: _read(value) for name, value in first.items()}
        found = [_write(item) for item in self.items if wanted.items() <= item.items()]
        left = {table: request | {"Keys": rest}} if rest else {}
        return {"Responses": {table: found}, "UnprocessedKeys": left}

    def _page(self, items: list[dict[str, Any]], request: dict[str, Any]) -> dict[str, Any]:
        start = int(request.get("ExclusiveStartKey", {}).get("n", {"N": "0"})["N"])
        some = items[start : start + 2]
        page: dict[str, Any] = {"Count": len(some)}
        if request.get("Select") != "COUNT":
            page["Items"] = [_write(item) for item in some]
        return page | ({"LastEvaluatedKey": {"n": {"N": str(start + 2)}}} if start + 2 < len(items) else {})


def _read(value: Any) -> Any:
    return TypeDeserializer().deserialize(value)


def _write(item: dict[str, Any]) -> dict[str, Any]:
    return {name: TypeSerializer().serialize(value) for name, value in item.items()}


@dataclass
class FakeSqs:
    """Messages by queue url; receiving gives those that are visible."""

    queues: dict[str, list[str]] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)

    def get_queue_attributes(self, QueueUrl: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        return {"Attributes": {"ApproximateNumberOfMessages": str(len(self.queues.get(QueueUrl, [])))}}

    def receive_message(self, QueueUrl: str, MaxNumberOfMessages: int, **_: Any) -> dict[str, Any]:  # noqa: N803
        messages = [(f"{QueueUrl}#{n}", body) for n, body in enumerate(self.queues.get(QueueUrl, []))]
        visible = [(name, body) for name, body in messages if name not in self.hidden][:MaxNumberOfMessages]
        self.hidden |= {name for name, _ in visible}
        return {"Messages": [{"MessageId": n, "Body": b, "ReceiptHandle": n} for n, b in visible]} if visible else {}

    def change_message_visibility_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> None:  # noqa: N803
        self.hidden -= {entry["ReceiptHandle"] for entry in Entries}

    def send_message(self, QueueUrl: str, MessageBody: str) -> None:  # noqa: N803
        self.queues.setdefault(QueueUrl, []).append(MessageBody)


@dataclass
class FakeStack:
    """Stands in for sluice.pipeline.stack.Stack."""

    s3: FakeS3 = field(default_factory=FakeS3)
    dynamodb: FakeDynamo = field(default_factory=FakeDynamo)
    sqs: FakeSqs = field(default_factory=FakeSqs)
    outputs: dict[str, Any] = field(default_factory=lambda: dict(OUTPUTS))
    endpoint_url: str | None = None
    region: str = "us-east-1"

    def client(self, service: str, **_: Any) -> Any:
        return getattr(self, service)

    def __getitem__(self, name: str) -> str:
        return str(self.outputs[name])

    def deploy_datasets(self) -> None:
        """Puts the project's own datasets into service."""
        body = compiled_datasets(DATASETS_DIR)
        self.s3.put_object(OUTPUTS["artifacts_bucket"], OUTPUTS["datasets_key"], body)

    # -- a pipeline that has run -------------------------------------------------------------------------------------

    def ingested(self, key: str, good: int, bad: int = 0, *, chunks: int = 1, dataset: str = "shipments") -> str:
        """Puts an object of good + bad lines and does what ingest and transform would; returns its object id."""
        lines = [b'{"n":%d}' % n for n in range(good * chunks)] + [b"bad"] * (bad * chunks)
        body = b"".join(line + b"\n" for line in lines)
        put = self.s3.put_object(OUTPUTS["bronze_bucket"], key, body)
        origin = {"bucket": OUTPUTS["bronze_bucket"], "key": key, "etag": put["ETag"].strip('"')}
        object_id = hashlib.sha256(f"s3://{origin['bucket']}/{key}#{origin['etag']}".encode()).hexdigest()[:32]
        for index in range(chunks):
            self._chunk(object_id, index, good, bad, dataset)
        rows = {"rows_in": (good + bad) * chunks, "rows_silver": good * chunks, "rows_quarantined": bad * chunks}
        self.dynamodb.items.append(
            rows
            | {"pk": f"object#{object_id}", "sk": "object", "object_id": object_id, "state": "committed"}
            | {"bucket": origin["bucket"], "key": key, "version_id": put["VersionId"], "etag": origin["etag"]}
            | {"origin": origin | {"version_id": put["VersionId"]}, "dataset": dataset, "run": 1, "size": len(body)}
            | {"chunk_count": chunks, "chunks_done": chunks, "received_at": "2025-03-01T12:00:00.000000Z"}
            | {"updated_at": "2025-03-01T12:00:02.000000Z", "committed_at": "2025-03-01T12:00:02.500000Z"}
        )
        return object_id

    def _chunk(self, object_id: str, index: int, good: int, bad: int, dataset: str) -> None:
        name = f"{object_id}-{index:05d}"
        silver, quarantine = f"silver/{dataset}/dt=2025-03-01/{name}.parquet", f"quarantine/{dataset}/{name}.jsonl"
        ids = [f"{object_id}-{index * 1000 + n}" for n in range(good + bad)]
        outputs = [{"key": silver, "dataset": dataset, "dt": "2025-03-01", "rows": good, "bytes": 1}] if good else []
        rejected = [{"key": quarantine, "dataset": dataset, "rows": bad}] if bad else []
        if good:
            self.put_silver(silver, ids[:good])
        if bad:
            self.put_quarantine(quarantine, ids[good:])
        self.dynamodb.items.append(
            {"pk": f"object#{object_id}", "sk": f"chunk#{index:05d}", "chunk_state": "done", "start": 0, "end": 10}
            | {"rows_in": good + bad, "rows_silver": good, "rows_quarantined": bad}
            | {"outputs": outputs, "quarantine": rejected, "source": "x#v1", "done_at": "2025-03-01T12:00:02Z"}
        )

    def put_silver(self, key: str, ids: list[str]) -> None:
        out = io.BytesIO()
        pq.write_table(pa.table({"_record_id": pa.array(ids, pa.string())}), out)
        self.s3.put_object(OUTPUTS["silver_bucket"], key, out.getvalue())

    def put_quarantine(self, key: str, ids: list[str]) -> None:
        body = "".join(json.dumps({"record_id": name, "reason": "malformed_json"}) + "\n" for name in ids)
        self.s3.put_object(OUTPUTS["quarantine_bucket"], key, body.encode())

    def object_item(self, object_id: str) -> dict[str, Any]:
        return next(i for i in self.dynamodb.items if i["sk"] == "object" and i["object_id"] == object_id)

    def chunk_item(self, object_id: str, index: int = 0) -> dict[str, Any]:
        name = f"chunk#{index:05d}"
        return next(i for i in self.dynamodb.items if i["pk"] == f"object#{object_id}" and i["sk"] == name)
