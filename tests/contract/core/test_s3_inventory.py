"""S3 Inventory: what is delivered, where, and only where the destination's policy lets S3 write.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/configure-inventory.html
"""

import csv
import gzip
import hashlib
import io
import json
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from core.reconcile.deliveries import DataFile, Deliveries, InventoryRefusedError
from core.reconcile.inventory import Inventory
from core.reconcile.progress import Progress
from core.reconcile.window import Window
from tests.support.actor import Actor
from tests.support.engine_harness import Engine
from tests.support.schedules import Clock

KEYS = ("bronze/a b+c%41.jsonl", "bronze/ä\n'\",x.jsonl", "bronze/plain.jsonl")


class Listed:
    """A versioned bucket with an inventory of it, delivered to another bucket below ``lists``."""

    def __init__(self, engine: Engine) -> None:
        self.s3 = engine.client("s3", s3={"addressing_style": "path"})
        name = uuid.uuid4().hex[:8]
        self.source, self.target = f"inv-{name}", f"inv-{name}-lists"
        for bucket in (self.source, self.target):
            self.s3.create_bucket(Bucket=bucket)
        self.s3.put_bucket_versioning(Bucket=self.source, VersioningConfiguration={"Status": "Enabled"})
        self.path = f"lists/{self.source}/daily/"

    def configure(self, **changes: Any) -> None:
        destination = {"Bucket": f"arn:aws:s3:::{self.target}", "Format": "CSV", "Prefix": "lists"}
        destination |= changes.pop("destination", {})
        configuration = {
            "Id": "daily",
            "IsEnabled": True,
            "IncludedObjectVersions": "Current",
            "Schedule": {"Frequency": "Daily"},
            "Filter": {"Prefix": "bronze/"},
            "OptionalFields": ["ETag", "Size", "LastModifiedDate"],
            "Destination": {"S3BucketDestination": destination},
        } | changes
        self.s3.put_bucket_inventory_configuration(Bucket=self.source, Id="daily", InventoryConfiguration=configuration)

    def allow(self, source: str) -> None:
        """The policy of AWS's page, for inventories of this bucket."""
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{self.target}/*",
            "Condition": {
                "ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{source}"},
                "StringEquals": {"aws:SourceAccount": "000000000000", "s3:x-amz-acl": "bucket-owner-full-control"},
            },
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.s3.put_bucket_policy(Bucket=self.target, Policy=policy)

    def lists(self) -> list[str]:
        answer = self.s3.list_objects_v2(Bucket=self.target)
        return [one["Key"] for one in answer.get("Contents") or ()]

    def read(self, key: str) -> bytes:
        return bytes(self.s3.get_object(Bucket=self.target, Key=key)["Body"].read())

    def delivered(self) -> tuple[dict[str, Any], list[list[str]]]:
        """The manifest, and the rows of its one file."""
        [key] = [key for key in self.lists() if key.endswith("/manifest.json")]
        written = self.read(key)
        assert self.read(key.replace(".json", ".checksum")).decode() == hashlib.md5(written).hexdigest()
        manifest = json.loads(written)
        [file] = manifest["files"]
        body = self.read(file["key"])
        assert (file["size"], file["MD5checksum"]) == (len(body), hashlib.md5(body).hexdigest())
        return manifest, list(csv.reader(io.StringIO(gzip.decompress(body).decode())))


class Night:
    """Buckets with inventories, by what is particular about each, after one midnight. The clock is moved only once."""

    def __init__(self, engine: Engine) -> None:
        names = ("current", "all", "no policy", "of another bucket", "off", "weekly", "deleted")
        self.made = {name: Listed(engine) for name in names}
        for name, one in self.made.items():
            if name != "no policy":
                one.allow("another-bucket" if name == "of another bucket" else one.source)
        current, versions = self.made["current"], self.made["all"]
        for key in (*KEYS, "elsewhere/x", "bronze/deleted"):
            current.s3.put_object(Bucket=current.source, Key=key, Body=key.encode())
        current.s3.put_object(Bucket=current.source, Key=KEYS[0], Body=b"replaced")
        current.s3.delete_object(Bucket=current.source, Key="bronze/deleted")
        put = partial(versions.s3.put_object, Bucket=versions.source, Key="bronze/a")
        self.versions = [put(Body=body)["VersionId"] for body in (b"1", b"22")]
        self.marker = versions.s3.delete_object(Bucket=versions.source, Key="bronze/a")["VersionId"]

        changes: dict[str, dict[str, Any]] = {
            "all": {"IncludedObjectVersions": "All", "OptionalFields": ["Size"]},
            "off": {"IsEnabled": False},
            "weekly": {"Schedule": {"Frequency": "Weekly"}},
        }
        for name, one in self.made.items():
            one.configure(**changes.get(name, {}))
        deleted = self.made["deleted"]
        deleted.s3.delete_bucket_inventory_configuration(Bucket=deleted.source, Id="daily")
        self.early = [key for one in self.made.values() for key in one.lists()]
        clock = Clock(engine)
        self.began = datetime.now(UTC)
        midnight = clock.now().replace(hour=0, minute=0, second=1, microsecond=0) + timedelta(days=1)
        clock.to(midnight)
        self.sunday = midnight.weekday() == 6


@pytest.fixture(scope="module")
def night(engine: Engine) -> Iterator[Night]:
    made = Night(engine)
    yield made
    for name, one in made.made.items():
        if name != "deleted":
            one.s3.delete_bucket_inventory_configuration(Bucket=one.source, Id="daily")


def test_a_list_of_current_versions_is_delivered_at_midnight_and_reconcile_reads_it(night: Night) -> None:
    listed = night.made["current"]
    assert night.early == []
    manifest, rows = listed.delivered()
    assert {key: manifest[key] for key in ("sourceBucket", "destinationBucket", "version", "fileFormat")} == {
        "sourceBucket": listed.source,
        "destinationBucket": f"arn:aws:s3:::{listed.target}",
        "version": "2016-11-30",
        "fileFormat": "CSV",
    }
    assert manifest["fileSchema"] == "Bucket, Key, Size, LastModifiedDate, ETag"
    assert night.began.timestamp() - 1 <= int(manifest["creationTimestamp"]) / 1000 <= datetime.now(UTC).timestamp()
    shapes = (r"\d{4}-\d\d-\d\dT\d\d-\d\dZ/manifest\.checksum", r"\d{4}-\d\d-\d\dT\d\d-\d\dZ/manifest\.json",
              r"data/[^/]+\.csv\.gz", r"hive/dt=\d{4}-\d\d-\d\d-\d\d-\d\d/symlink\.txt")  # fmt: skip
    for shape, key in zip(shapes, sorted(listed.lists()), strict=True):
        assert re.fullmatch(re.escape(listed.path) + shape, key)
    assert [row[1] for row in rows] == [
        "bronze/a+b%2Bc%2541.jsonl", "bronze/plain.jsonl", "bronze/%C3%A4%0A%27%22%2Cx.jsonl"
    ]  # fmt: skip
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z", row[3]) for row in rows)

    deliveries = Deliveries(listed.s3, listed.target, listed.path, listed.source)
    newest = deliveries.newest(datetime.now(UTC))
    assert newest
    source = Inventory(deliveries, None)  # type: ignore[arg-type]
    pages = source.pages(Progress(manifest=newest.manifest), Window("", "", "9999"))
    found = {one.key: (one.etag, one.size) for page in pages for one in page.objects}
    heads = {key: listed.s3.head_object(Bucket=listed.source, Key=key) for key in KEYS}
    assert found == {key: (head["ETag"].strip('"'), head["ContentLength"]) for key, head in heads.items()}

    with pytest.raises(InventoryRefusedError, match="is gone"):
        list(deliveries.blocks(DataFile(f"{listed.path}data/expired.csv.gz", 9, "")))


def test_a_function_that_may_list_and_read_below_the_lists_only_finds_what_it_needs(
    engine: Engine, night: Night
) -> None:
    """Its GET of what is gone is answered 403, for no GET meets a condition on a prefix; the list says that it is gone.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    """
    listed = night.made["current"]
    bucket = f"arn:aws:s3:::{listed.target}"
    only = {"StringLike": {"s3:prefix": [f"{listed.path}*"]}}
    actor = Actor(
        engine,
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket, "Condition": only},
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"{bucket}/{listed.path}*"},
    )
    keys = listed.lists()
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("s3", "list_objects_v2", {"Bucket": listed.target, "Prefix": listed.path, "Delimiter": "/"}),
        ("s3", "list_objects_v2", {"Bucket": listed.target, "Prefix": f"{listed.path}data/gone"}),
        ("s3", "get_object", {"Bucket": listed.target, "Key": keys[0], "Range": "bytes=0-9"}),
        ("s3", "get_object", {"Bucket": listed.target, "Key": f"{listed.path}data/gone", "Range": "bytes=0-9"}),
        ("s3", "list_objects_v2", {"Bucket": listed.target}),
        ("s3", "list_objects_v2", {"Bucket": listed.target, "Prefix": "functions/"}),
        ("s3", "get_object", {"Bucket": listed.target, "Key": "functions/x.zip"}),
    ]
    answers = actor.does(*calls)
    assert answers[:3] == ["ok"] * 3
    assert [answer[:2] for answer in answers[3:]] == [["AccessDenied", 403]] * 4


def test_a_list_of_all_versions_has_those_and_the_delete_markers(night: Night) -> None:
    listed = night.made["all"]
    manifest, rows = listed.delivered()
    assert manifest["fileSchema"] == "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size"
    assert sorted(rows) == sorted([
        [listed.source, "bronze/a", night.versions[0], "false", "false", "1"],
        [listed.source, "bronze/a", night.versions[1], "false", "false", "2"],
        [listed.source, "bronze/a", night.marker, "true", "true", ""],
    ])  # fmt: skip


@pytest.mark.parametrize("name", ["no policy", "of another bucket", "off", "deleted"])
def test_nothing_is_delivered_without_the_policy_or_an_enabled_configuration(night: Night, name: str) -> None:
    assert night.made[name].lists() == []


def test_a_weekly_list_comes_on_sunday(night: Night) -> None:
    assert bool(night.made["weekly"].lists()) is night.sunday


@pytest.mark.parametrize(
    "changes",
    [
        {"destination": {"Format": "Parquet"}},
        {"destination": {"Format": "ORC"}},
        {"OptionalFields": ["EncryptionStatus"]},
    ],
)
def test_lists_that_are_not_made_are_refused(engine: Engine, changes: dict[str, Any]) -> None:
    """Stored, they would promise a delivery that never comes."""
    listed = Listed(engine)
    with pytest.raises(ClientError, match="This engine does not make inventories") as caught:
        listed.configure(**changes)
    assert caught.value.response["Error"]["Code"] == "NotImplemented"
    assert not listed.s3.list_bucket_inventory_configurations(Bucket=listed.source).get("InventoryConfigurationList")
