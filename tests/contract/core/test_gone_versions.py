"""How S3 says that a version is gone, and that it is not shown yet: ``Storage`` tells one from the other.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/manage-versioning-examples.html
"""

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sluice_pipeline.objects.failures import ObjectMissing
from sluice_pipeline.objects.identity import ObjectRef
from sluice_pipeline.objects.storage import Storage
from tests.support.engine_harness import Engine

BODY = b'{"n": 1}\n'


@pytest.mark.parametrize("body", [BODY, b""])
def test_a_deleted_version_is_gone_at_once_also_just_after_it_was_announced(engine: Engine, body: bytes) -> None:
    s3: Any = engine.client("s3")
    bucket = f"versions-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key="a", Body=body)["VersionId"]
    marker = s3.delete_object(Bucket=bucket, Key="a")["VersionId"]
    now = datetime.now(UTC).isoformat()
    ref = ObjectRef(bucket, "a", version, "e", len(body), now)
    storage = Storage(s3)
    assert storage.exists(ref)  # under its marker
    assert storage.head(ref, 100).data == body
    assert not storage.exists(replace(ref, version_id=marker))
    with pytest.raises(ObjectMissing):
        storage.head(replace(ref, version_id=marker), 100)
    s3.delete_object(Bucket=bucket, Key="a", VersionId=version)
    assert not storage.exists(ref)
    with pytest.raises(ObjectMissing):
        storage.head(ref, 100)
    s3.delete_object(Bucket=bucket, Key="a", VersionId=marker)  # now the key itself is gone
    assert not storage.exists(ref)
    s3.delete_bucket(Bucket=bucket)
