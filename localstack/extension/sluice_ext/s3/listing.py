"""ListObjects, ListObjectsV2 and ListObjectVersions: pages of keys in S3's order.

A page costs what is on it, not what is in the bucket, and begins where the one before ended whatever the keys contain:
LocalStack compares encoded keys, whose order is another. It also returns more than 1,000 keys where more are asked for.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from localstack.aws.api.s3 import InvalidArgument
from localstack.services.s3.models import S3DeleteMarker
from localstack.services.s3.utils import is_version_older_than_other
from localstack.services.s3.validation import validate_encoding_type

from sluice_ext.s3.pages import Page, encoded, page
from sluice_ext.s3.sequence import SORTED_KEYS

_MOST = 1000


class _Request:
    """What the three operations have in common."""

    def __init__(self, bucket: Any, request: Mapping[str, Any]) -> None:
        self.encoding, limit = request.get("encoding_type"), request.get("max_keys")
        validate_encoding_type(self.encoding)
        if limit is not None and limit < 0:
            raise InvalidArgument(
                "Argument maxKeys must be an integer between 0 and 2147483647",
                ArgumentName="maxKeys",
                ArgumentValue=str(limit),
            )
        self.bucket = bucket
        self.prefix, self.delimiter = request.get("prefix") or "", request.get("delimiter") or ""
        self.limit = _MOST if limit is None else min(limit, _MOST)

    def current(self, key: str) -> list[Any]:
        found = self.bucket.objects.get(key)
        return [found] if found is not None and not isinstance(found, S3DeleteMarker) else []

    def page(self, entries_of: Callable[[str], list[Any]], start: str, shown: str = "") -> Page:
        if not self.limit:
            return Page()
        keys = SORTED_KEYS.of(self.bucket.objects)
        return page(
            keys, entries_of, prefix=self.prefix, delimiter=self.delimiter, start=start, limit=self.limit, shown=shown
        )

    def answer(self, found: Page) -> dict[str, Any]:
        """The fields that all answers have."""
        answer = {
            "IsTruncated": found.following is not None,
            "Name": self.bucket.name,
            "MaxKeys": self.limit,
            "Prefix": encoded(self.prefix, self.encoding),
        }
        if self.encoding:
            answer["EncodingType"] = self.encoding
        if self.delimiter:
            answer["Delimiter"] = encoded(self.delimiter, self.encoding)
        if found.prefixes:
            answer["CommonPrefixes"] = [{"Prefix": encoded(one, self.encoding)} for one in found.prefixes]
        if self.bucket.bucket_region != "us-east-1":
            answer["BucketRegion"] = self.bucket.bucket_region
        return answer

    def objects(self, found: Page, owner: Any) -> list[dict[str, Any]]:
        """What an answer says of each object; with its owner unless that is None."""
        shown = []
        for one in found.entries:
            entry = {
                "Key": encoded(one.key, self.encoding),
                "ETag": one.quoted_etag,
                "Size": one.size,
                "LastModified": one.last_modified,
                "StorageClass": one.storage_class,
            }
            if owner is not None:
                entry["Owner"] = owner
            shown.append(entry | _checksum(one))
        return shown


def _checksum(one: Any) -> dict[str, Any]:
    if not one.checksum_algorithm:
        return {}
    return {"ChecksumAlgorithm": [one.checksum_algorithm], "ChecksumType": one.checksum_type}


def list_objects(bucket: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to ListObjects. parameters: those of the request, by LocalStack's names."""
    request, marker = _Request(bucket, parameters), parameters.get("marker") or ""
    found = request.page(request.current, _after(marker), shown=marker)
    answer = request.answer(found) | {"Marker": encoded(marker, request.encoding)}
    if contents := request.objects(found, bucket.owner):
        answer["Contents"] = contents
    # "This element is returned only if you have the delimiter request parameter specified."
    if request.delimiter and found.following is not None:
        answer["NextMarker"] = encoded(found.last, request.encoding)
    return answer


def list_objects_v2(bucket: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to ListObjectsV2. parameters: those of the request, by LocalStack's names."""
    request = _Request(bucket, parameters)
    token, start_after = parameters.get("continuation_token"), parameters.get("start_after")
    start = _of_token(token) if token is not None else _after(start_after)
    found = request.page(request.current, start)
    answer = request.answer(found) | {"KeyCount": found.count}
    if contents := request.objects(found, bucket.owner if parameters.get("fetch_owner") else None):
        answer["Contents"] = contents
    if found.following is not None:
        answer["NextContinuationToken"] = base64.b64encode(found.following.encode(), b"._").decode()
    if token:
        answer["ContinuationToken"] = token
    elif start_after:  # a token goes before it, and the answer does not have both
        answer["StartAfter"] = encoded(start_after, request.encoding)
    return answer


def _after(key: str | None) -> str:
    return f"{key}\0" if key else ""


def _of_token(token: str) -> str:
    try:
        if token:
            return base64.b64decode(token, b"._", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        pass
    raise InvalidArgument("The continuation token provided is incorrect", ArgumentName="continuation-token")


def list_object_versions(bucket: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to ListObjectVersions: of each key the newest version first. parameters: those of the request."""
    key_marker, version_marker = parameters.get("key_marker") or "", parameters.get("version_id_marker") or ""
    if version_marker and not key_marker:
        raise InvalidArgument(
            "A version-id marker cannot be specified without a key marker.",
            ArgumentName="version-id-marker",
            ArgumentValue=version_marker,
        )
    request = _Request(bucket, parameters)

    def versions(key: str) -> list[Any]:
        newest_first = _versions(bucket.objects, key)
        if key != key_marker or not version_marker:
            return newest_first
        ids = [one.version_id or "null" for one in newest_first]
        if version_marker in ids:
            return newest_first[ids.index(version_marker) + 1 :]
        # It was deleted meanwhile.
        return [one for one in newest_first if is_version_older_than_other(one.version_id, version_marker)]

    start = key_marker if version_marker else _after(key_marker)
    found = request.page(versions, start, shown="" if version_marker else key_marker)
    answer = request.answer(found) | {
        "KeyMarker": encoded(key_marker, request.encoding),
        "VersionIdMarker": version_marker,
    }
    _add_versions(answer, found.entries, request.encoding, bucket.owner)
    if found.following is not None:
        answer["NextKeyMarker"] = encoded(found.last, request.encoding)
        if found.entries and found.entries[-1].key == found.last:
            answer["NextVersionIdMarker"] = found.entries[-1].version_id or "null"
    return answer


def _versions(store: Any, key: str) -> list[Any]:
    held = store._store.get(key)
    if not isinstance(held, dict):
        return [held] if held is not None else []
    newest_first = list(held.values())[::-1]
    newest_first.sort(key=lambda one: one.last_modified, reverse=True)  # a "null" version may have been replaced
    return newest_first


def _add_versions(answer: dict[str, Any], entries: Iterable[Any], encoding: str | None, owner: Any) -> None:
    for one in entries:
        entry = {
            "Key": encoded(one.key, encoding),
            "Owner": owner,
            "VersionId": one.version_id or "null",
            "LastModified": one.last_modified,
            "IsLatest": one.is_current,
        }
        if isinstance(one, S3DeleteMarker):
            answer.setdefault("DeleteMarkers", []).append(entry)
        else:
            entry |= {"ETag": one.quoted_etag, "Size": one.size, "StorageClass": one.storage_class} | _checksum(one)
            answer.setdefault("Versions", []).append(entry)
