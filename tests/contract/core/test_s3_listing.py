"""Lists of a bucket's objects and versions, page by page.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/ListingKeysUsingAPIs.html
"""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

# Encoded, some of them come in another order than their bytes have.
KEYS = ["a b", "a%20b", "a+b", "a/1", "a/2", "a/b/3", "a~", "b", "é", "é/1", "\u2603", "\U0001f600/x", "Z", "_", "{"]
IN_ORDER = sorted(KEYS, key=str.encode)


@pytest.fixture
def s3(client: Callable[..., Any]) -> Any:
    return client("s3")


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"list-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    for key in KEYS:
        s3.put_object(Bucket=name, Key=key, Body=key.encode())
    return name


def pages(s3: Any, operation: str, **options: Any) -> list[dict[str, Any]]:
    return list(s3.get_paginator(operation).paginate(**options))


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
@pytest.mark.parametrize("size", [1, 4, 1000])
def test_pages_have_every_key_once_in_the_order_of_its_bytes(s3: Any, bucket: str, operation: str, size: int) -> None:
    found = pages(s3, operation, Bucket=bucket, PaginationConfig={"PageSize": size})
    shown = [one for page in found for one in page.get("Contents", [])]
    assert [one["Key"] for one in shown] == IN_ORDER
    assert [one["Size"] for one in shown] == [len(key.encode()) for key in IN_ORDER]
    assert all(len(page["Contents"]) == size for page in found[:-1])


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2", "list_object_versions"])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_common_prefix_is_shown_once_and_counts_as_one(s3: Any, bucket: str, operation: str, size: int) -> None:
    found = pages(s3, operation, Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": size})
    entries = "Versions" if operation == "list_object_versions" else "Contents"
    prefixes = [one["Prefix"] for page in found for one in page.get("CommonPrefixes", [])]
    assert prefixes == ["a/", "é/", "\U0001f600/"]
    keys = [one["Key"] for page in found for one in page.get(entries, [])]
    assert keys == [key for key in IN_ORDER if "/" not in key]
    assert all(len(page.get(entries, [])) + len(page.get("CommonPrefixes", [])) == size for page in found[:-1])


def test_a_list_shows_what_is_there_when_its_page_is_made(s3: Any, bucket: str) -> None:
    first = s3.list_objects_v2(Bucket=bucket, MaxKeys=2)
    s3.delete_object(Bucket=bucket, Key=IN_ORDER[2])
    s3.put_object(Bucket=bucket, Key="c", Body=b"")
    s3.put_object(Bucket=bucket, Key=IN_ORDER[0], Body=b"again")
    rest = s3.list_objects_v2(Bucket=bucket, ContinuationToken=first["NextContinuationToken"])
    assert [one["Key"] for one in rest["Contents"]] == sorted([*IN_ORDER[3:], "c"], key=str.encode)
    assert (rest["KeyCount"], rest["IsTruncated"]) == (len(rest["Contents"]), False)


def test_start_after_and_prefix(s3: Any, bucket: str) -> None:
    found = s3.list_objects_v2(Bucket=bucket, Prefix="a", StartAfter="a/1")
    assert [one["Key"] for one in found["Contents"]] == ["a/2", "a/b/3", "a~"]
    assert (found["StartAfter"], found["Prefix"], found["KeyCount"]) == ("a/1", "a", 3)
    inside = s3.list_objects_v2(Bucket=bucket, Prefix="a/", Delimiter="/", StartAfter="a/1")
    assert [one["Prefix"] for one in inside["CommonPrefixes"]] == ["a/b/"]


def test_a_token_goes_before_start_after(s3: Any, bucket: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html (StartAfter)"""
    token = s3.list_objects_v2(Bucket=bucket, MaxKeys=2)["NextContinuationToken"]
    rest = s3.list_objects_v2(Bucket=bucket, ContinuationToken=token, StartAfter="zzz")
    assert [one["Key"] for one in rest["Contents"]] == IN_ORDER[2:]
    assert "StartAfter" not in rest


def test_more_than_a_thousand_are_never_on_a_page_and_none_when_none_are_asked_for(s3: Any) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html (MaxKeys)"""
    name = f"list-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    for number in range(1003):
        s3.put_object(Bucket=name, Key=f"{number:04d}", Body=b"")
    found = s3.list_objects_v2(Bucket=name, MaxKeys=5000)
    assert (found["KeyCount"], found["MaxKeys"], found["IsTruncated"]) == (1000, 1000, True)
    none = s3.list_objects_v2(Bucket=name, MaxKeys=0)
    assert (none["KeyCount"], none["IsTruncated"], none.get("Contents")) == (0, False, None)
    with pytest.raises(ClientError) as refused:
        s3.list_objects_v2(Bucket=name, MaxKeys=-1)
    assert refused.value.response["Error"]["Code"] == "InvalidArgument"


@pytest.mark.parametrize("token", ["", "no token", "w6k"])
def test_a_token_that_is_none_is_refused(s3: Any, bucket: str, token: str) -> None:
    with pytest.raises(ClientError) as refused:
        s3.list_objects_v2(Bucket=bucket, ContinuationToken=token)
    assert refused.value.response["Error"]["Code"] == "InvalidArgument"


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_versions_come_newest_first_and_delete_markers_among_them(s3: Any, bucket: str, size: int) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html"""
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    ids = [s3.put_object(Bucket=bucket, Key="v é", Body=f"{number}".encode())["VersionId"] for number in range(3)]
    marker = s3.delete_object(Bucket=bucket, Key="v é")["VersionId"]
    found = pages(s3, "list_object_versions", Bucket=bucket, Prefix="v", PaginationConfig={"PageSize": size})
    versions = [one["VersionId"] for page in found for one in page.get("Versions", [])]
    assert versions == ids[::-1]
    assert [one["VersionId"] for page in found for one in page.get("DeleteMarkers", [])] == [marker]
    everything = [one for page in found for kind in ("Versions", "DeleteMarkers") for one in page.get(kind, [])]
    assert [one["VersionId"] for one in everything if one["IsLatest"]] == [marker]
    assert s3.list_objects_v2(Bucket=bucket, Prefix="v")["KeyCount"] == 0
    with pytest.raises(ClientError) as refused:
        s3.list_object_versions(Bucket=bucket, VersionIdMarker=marker)
    assert refused.value.response["Error"]["Code"] == "InvalidArgument"
