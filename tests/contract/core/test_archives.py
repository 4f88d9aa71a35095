"""S3's archives: an object in one is known and cannot be read until a copy of it is restored.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
"""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sluice_pipeline.objects.failures import Failure, ObjectFailed
from sluice_pipeline.objects.identity import ObjectRef
from sluice_pipeline.objects.storage import Storage
from tests.support.engine_harness import Engine

BODY = b'{"n": 1}\n'


@pytest.fixture
def s3(engine: Engine) -> Any:
    return engine.client("s3")


@pytest.fixture
def bucket(s3: Any) -> Iterator[str]:
    name = f"archive-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    yield name
    s3.delete_object(Bucket=name, Key="a")
    s3.delete_bucket(Bucket=name)


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_object_is_read_when_it_is_restored(s3: Any, bucket: str, storage_class: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=BODY, StorageClass=storage_class)
    assert s3.head_object(Bucket=bucket, Key="a")["StorageClass"] == storage_class
    with pytest.raises(ClientError) as refused:
        s3.get_object(Bucket=bucket, Key="a")
    answer = refused.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == ("InvalidObjectState", 403)
    ref = ObjectRef(bucket, "a", "", "e", len(BODY))
    with pytest.raises(ObjectFailed, match=storage_class) as failed:
        Storage(s3).read(ref, 0, ref.size)
    assert failed.value.code == Failure.ARCHIVED
    s3.restore_object(Bucket=bucket, Key="a", RestoreRequest={"Days": 1})
    assert Storage(s3).read(ref, 0, ref.size) == BODY


@pytest.mark.parametrize(
    "storage_class", ["STANDARD", "STANDARD_IA", "ONEZONE_IA", "GLACIER_IR", "INTELLIGENT_TIERING"]
)
def test_other_classes_are_read_at_once(s3: Any, bucket: str, storage_class: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=BODY, StorageClass=storage_class)
    assert Storage(s3).read(ObjectRef(bucket, "a", "", "e", len(BODY)), 0, len(BODY)) == BODY
