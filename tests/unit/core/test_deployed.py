"""The deployed datasets: what is in service, a pinned version, and what is wrong with the object."""

from __future__ import annotations

import hashlib
import io
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sluice_pipeline.catalog.deployed import DatasetsUnavailable, DeployedDatasets
from sluice_pipeline.catalog.document import DatasetsUnreadable, deployed_body, parse_deployed
from sluice_pipeline.catalog.rules import RulesVersion
from sluice_pipeline.events.messages import ChunkMessage, MalformedMessage
from sluice_pipeline.objects.chunks import Chunk
from sluice_pipeline.objects.identity import ObjectRef
from sluice_pipeline.replays.request import Request
from sluice_pipeline.requests import InvalidRequest


def body(limit: int) -> bytes:
    fields = {"at": {"type": "timestamp", "required": True}, "kg": {"type": "float64", "max": limit}}
    return deployed_body({"parcels": {"dataset": "parcels", "partition_by": "at", "fields": fields}})


class S3:
    """One key of a versioned bucket."""

    def __init__(self, *versions: bytes) -> None:
        self.versions = list(versions)
        self.calls: list[dict[str, str]] = []
        self.error = ""

    def get_object(self, **asked: str) -> dict[str, Any]:
        self.calls.append({name: value for name, value in asked.items() if name not in ("Bucket", "Key")})
        if self.error:
            raise _error(self.error, 403)
        number = int(asked.get("VersionId", f"v{len(self.versions)}").removeprefix("v"))
        if not 0 < number <= len(self.versions):
            raise _error("NoSuchVersion", 404)
        found = self.versions[number - 1]
        etag = hashlib.md5(found, usedforsecurity=False).hexdigest()
        if asked.get("IfNoneMatch") == etag:
            raise _error("304", 304)
        return {"Body": io.BytesIO(found), "ETag": etag, "VersionId": f"v{number}"}


def _error(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject")


def test_what_is_in_service_is_read_once_and_asked_for_each_time() -> None:
    s3 = S3(body(1))
    datasets = DeployedDatasets(s3, "b", "k")
    first = datasets.current()
    assert datasets.current() is first
    s3.versions.append(body(2))
    second = datasets.current()
    assert (first.version.version_id, second.version.version_id) == ("v1", "v2")
    assert [sorted(call) for call in s3.calls] == [[], ["IfNoneMatch"], ["IfNoneMatch"]]


def test_a_version_is_read_once_whatever_is_in_service() -> None:
    s3 = S3(body(1), body(2))
    datasets = DeployedDatasets(s3, "b", "k")
    old = RulesVersion(hashlib.sha256(body(1)).hexdigest(), "v1")
    found = datasets.read(old)
    assert datasets.read(old) is found
    assert found is not datasets.read(None)
    assert s3.calls == [{"VersionId": "v1"}, {}]
    assert datasets.read(datasets.current().version) is datasets.read(None)


def test_a_version_with_another_content_is_refused() -> None:
    with pytest.raises(DatasetsUnreadable, match="has the content"):
        DeployedDatasets(S3(body(1)), "b", "k").read(RulesVersion("0" * 64, "v1"))


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchKey", "SlowDown"])
def test_an_object_that_cannot_be_read_is_an_error_by_name_also_when_warm(code: str) -> None:
    s3 = S3(body(1))
    datasets = DeployedDatasets(s3, "b", "k")
    datasets.current()
    s3.error = code
    with pytest.raises(DatasetsUnavailable, match=f"{code}: s3://b/k"):
        datasets.current()
    with pytest.raises(DatasetsUnavailable, match="version v9"):
        datasets.read(RulesVersion("0" * 64, "v9"))


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"\xff",
        b'{"schema":"sluice.datasets/2","datasets":{}}',
        b'{"schema":"sluice.datasets/1","datasets":{}}',
        b'{"schema":"sluice.datasets/1","datasets":{"a":{}}}',
    ],
)
def test_an_object_that_holds_no_datasets_is_never_an_empty_catalog(wrong: bytes) -> None:
    with pytest.raises(DatasetsUnreadable):
        parse_deployed(wrong)
    with pytest.raises(DatasetsUnreadable, match="s3://b/k"):
        DeployedDatasets(S3(wrong), "b", "k").current()


REF = ObjectRef("b", "bronze/parcels/a", "v1", "e", 10)


def test_a_chunk_message_carries_the_version_and_one_of_an_earlier_release_has_none() -> None:
    pinned = ChunkMessage(REF, REF.as_origin(), "parcels", Chunk(0, 0, 10, 1), 1, RulesVersion("a" * 64, "v1"))
    assert ChunkMessage.from_json(pinned.to_json()) == pinned
    raw = json.loads(pinned.to_json())
    del raw["rules"]
    assert ChunkMessage.from_json(json.dumps(raw)).rules is None
    for wrong in ({}, [], "v1", {"sha256": "a", "version_id": "v1"}, {"sha256": "a" * 64, "version_id": 1}):
        with pytest.raises(MalformedMessage, match="rules"):
            ChunkMessage.from_json(json.dumps(raw | {"rules": wrong}))


def test_a_replays_name_covers_the_version_of_the_rules() -> None:
    def request(version: RulesVersion) -> Request:
        return Request.parse({"prefix": "bronze/", "id": "x", "rules": version.text})

    one, other, again = (RulesVersion(c * 64, v) for c, v in (("a", "v1"), ("b", "v2"), ("a", "v3")))
    assert len({request(version).name for version in (one, other, again)}) == 3
    assert request(one).name == request(one).name
    request(one).check_rules(again)
    with pytest.raises(InvalidRequest, match="the rules changed"):
        request(one).check_rules(other)
    with pytest.raises(InvalidRequest, match="not a version"):
        Request.parse({"prefix": "bronze/", "rules": "v1"})
