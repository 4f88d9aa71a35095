"""S3 Inventory: lists of a bucket's objects that S3 writes into another bucket, daily or weekly, at midnight (UTC).

LocalStack stores the configurations and delivers nothing. The clock of schedules, which can be moved, says when one is
due; times in a delivery are the machine's, as those of objects are.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
"""

import csv
import gzip
import hashlib
import io
import json
import logging
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import batched
from typing import Any, Final
from urllib.parse import quote_plus

from localstack.aws.api import CommonServiceException
from localstack.aws.connect import connect_to
from localstack.services.s3.models import s3_stores
from localstack.services.s3.validation import validate_inventory_configuration

from sluice_ext.iam.deliveries import NotPermitted, demand
from sluice_ext.iam.resources import owner_of
from sluice_ext.pausing import GATE
from sluice_ext.timeline.clock import CLOCK

LOG = logging.getLogger(__name__)
_FILE_ROWS: Final = 100_000
_SUNDAY: Final = 6
# The optional fields that are made, in S3's order, from an entry of a list.
_FIELDS: Final[dict[str, Callable[[dict[str, Any]], Any]]] = {
    "Size": lambda one: one.get("Size", ""),
    "LastModifiedDate": lambda one: f"{one['LastModified']:%Y-%m-%dT%H:%M:%S}.000Z",
    "ETag": lambda one: one.get("ETag", "").strip('"'),
    "StorageClass": lambda one: one.get("StorageClass", ""),
    "IsMultipartUploaded": lambda one: str("-" in one["ETag"]).lower() if "ETag" in one else "",
}
_VERSION_FIELDS: Final[dict[str, Callable[[dict[str, Any]], Any]]] = {
    "VersionId": lambda one: one["VersionId"],
    "IsLatest": lambda one: str(one["IsLatest"]).lower(),
    "IsDeleteMarker": lambda one: str("ETag" not in one).lower(),
}

type Name = tuple[str, str]  # of the bucket, and of its configuration


def check(number: str, configuration: dict[str, Any]) -> None:
    """Raises S3's error for what is no configuration, and NotImplemented (501) for lists that are not made here."""
    validate_inventory_configuration(config_id=number, inventory_configuration=configuration)
    form = configuration["Destination"]["S3BucketDestination"]["Format"]
    if form != "CSV":
        raise _not_made(f"inventories in {form}")
    if others := set(configuration.get("OptionalFields") or ()) - set(_FIELDS):
        raise _not_made(f"inventories with {', '.join(sorted(others))}")


def set_up(bucket: str, number: str) -> None:
    """Begin or change the deliveries of a configuration."""
    CLOCK.repeat(("inventory", bucket, number), _midnight, partial(_due, (bucket, number)))


def cancel(bucket: str, number: str) -> None:
    """End them."""
    CLOCK.cancel(("inventory", bucket, number))


def _not_made(what: str) -> CommonServiceException:
    return CommonServiceException("NotImplemented", f"This engine does not make {what}.", status_code=501)


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def _found(name: Name) -> dict[str, Any] | None:
    bucket, number = name
    made = next((store.buckets[bucket] for _, _, store in s3_stores.iter_stores() if bucket in store.buckets), None)
    return made.inventory_configurations.get(number) if made else None


def _due(name: Name, moment: datetime) -> None:
    configuration = _found(name)
    if configuration is None:
        cancel(*name)
    elif configuration["IsEnabled"] and (
        configuration["Schedule"]["Frequency"] == "Daily" or moment.weekday() == _SUNDAY
    ):
        with GATE.work("an inventory of S3", source=True):
            deliver(name[0], configuration)


def deliver(bucket: str, configuration: dict[str, Any]) -> None:
    """Write the files, and the manifest and its checksum last. What the destination's policy forbids is not written."""
    where = configuration["Destination"]["S3BucketDestination"]
    source = f"arn:aws:s3:::{bucket}"
    account, now = owner_of(source), datetime.now(UTC)
    prefix = f"{where['Prefix'].strip('/')}/" if where.get("Prefix") else ""
    folder = f"{prefix}{bucket}/{configuration['Id']}/"
    try:
        demand("s3", source, account, "s3:PutObject", f"{where['Bucket']}/{folder}manifest.json")
    except NotPermitted as error:
        LOG.warning("No inventory of %s is delivered: %s", bucket, error)
        return
    target = where["Bucket"].removeprefix("arn:aws:s3:::")
    client = connect_to(aws_access_key_id=account, aws_secret_access_key="-").s3
    encryption = _encryption(where.get("Encryption") or {})

    def put(key: str, body: bytes) -> None:
        client.put_object(Bucket=target, Key=key, Body=body, **encryption)

    columns = _columns(configuration)
    files = []
    for rows in _files(client, bucket, configuration, columns):
        body, key = _packed(rows), f"{folder}data/{uuid.uuid4()}.csv.gz"
        put(key, body)
        files.append({"key": key, "size": len(body), "MD5checksum": _md5(body)})
    manifest = {
        "sourceBucket": bucket,
        "destinationBucket": where["Bucket"],
        "version": "2016-11-30",
        "creationTimestamp": str(int(now.timestamp() * 1000)),
        "fileFormat": "CSV",
        "fileSchema": ", ".join(columns),
        "files": files,
    }
    written = json.dumps(manifest, indent=2).encode()
    put(
        f"{folder}hive/dt={now:%Y-%m-%d-%H-%M}/symlink.txt",
        "\n".join(f"s3://{target}/{one['key']}" for one in files).encode(),
    )
    put(f"{folder}{now:%Y-%m-%dT%H-%MZ}/manifest.json", written)
    put(f"{folder}{now:%Y-%m-%dT%H-%MZ}/manifest.checksum", _md5(written).encode())


def _columns(configuration: dict[str, Any]) -> list[str]:
    versions = list(_VERSION_FIELDS) if configuration["IncludedObjectVersions"] == "All" else []
    return ["Bucket", "Key", *versions, *(one for one in _FIELDS if one in (configuration.get("OptionalFields") or ()))]


def _files(
    client: Any, bucket: str, configuration: dict[str, Any], columns: Sequence[str]
) -> Iterator[tuple[list[Any], ...]]:
    makers = _VERSION_FIELDS | _FIELDS
    prefix = (configuration.get("Filter") or {}).get("Prefix", "")
    entries = _entries(client, bucket, prefix, configuration["IncludedObjectVersions"] == "All")
    rows = (
        [bucket, quote_plus(one["Key"], safe="/"), *(makers[column](one) for column in columns[2:])] for one in entries
    )
    return batched(rows, _FILE_ROWS, strict=False)


def _entries(client: Any, bucket: str, prefix: str, versions: bool) -> Iterator[dict[str, Any]]:
    if not versions:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            yield from page.get("Contents") or ()
        return
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        yield from page.get("Versions") or ()
        yield from page.get("DeleteMarkers") or ()


def _packed(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    return gzip.compress(text.getvalue().encode())


def _encryption(given: dict[str, Any]) -> dict[str, str]:
    if key := (given.get("SSEKMS") or {}).get("KeyId"):
        return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    return {"ServerSideEncryption": "AES256"} if "SSES3" in given else {}


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class Saved:
    """Which configurations there are, for a saved state; they are in S3's own store."""

    def dump(self) -> list[Name]:
        """The names."""
        buckets = [made for _, _, store in s3_stores.iter_stores() for made in store.buckets.values()]
        return [(made.name, number) for made in buckets for number in made.inventory_configurations]

    def load(self, saved: list[Name]) -> None:
        """Their next delivery is at the next midnight."""
        for name in saved:
            set_up(*name)


SAVED: Final = Saved()
