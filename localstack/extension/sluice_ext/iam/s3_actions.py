"""Which IAM actions an S3 call needs; in S3 the names of actions and operations differ most.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

Needed = tuple[str, str]

# On the object. A call with a version id needs the action of `_VERSIONED` instead.
_OBJECT = {
    "GetObject": "GetObject",
    "HeadObject": "GetObject",
    "SelectObjectContent": "GetObject",
    "PutObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "AbortMultipartUpload": "AbortMultipartUpload",
    "ListParts": "ListMultipartUploadParts",
    "DeleteObject": "DeleteObject",
    "GetObjectTagging": "GetObjectTagging",
    "PutObjectTagging": "PutObjectTagging",
    "DeleteObjectTagging": "DeleteObjectTagging",
    "GetObjectAcl": "GetObjectAcl",
    "PutObjectAcl": "PutObjectAcl",
    "RestoreObject": "RestoreObject",
    "GetObjectRetention": "GetObjectRetention",
    "PutObjectRetention": "PutObjectRetention",
    "GetObjectLegalHold": "GetObjectLegalHold",
    "PutObjectLegalHold": "PutObjectLegalHold",
}
_VERSIONED = {
    "GetObject": "GetObjectVersion",
    "DeleteObject": "DeleteObjectVersion",
    "GetObjectTagging": "GetObjectVersionTagging",
    "PutObjectTagging": "PutObjectVersionTagging",
    "DeleteObjectTagging": "DeleteObjectVersionTagging",
    "GetObjectAcl": "GetObjectVersionAcl",
    "PutObjectAcl": "PutObjectVersionAcl",
}
# On the bucket, if the action has another name than the operation.
_BUCKET = {
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "HeadBucket": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "GetBucketInventoryConfiguration": "GetInventoryConfiguration",
    "ListBucketInventoryConfigurations": "GetInventoryConfiguration",
    "PutBucketInventoryConfiguration": "PutInventoryConfiguration",
    "DeleteBucketInventoryConfiguration": "PutInventoryConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "GetBucketReplication": "GetReplicationConfiguration",
    "PutBucketReplication": "PutReplicationConfiguration",
    "DeleteBucketReplication": "PutReplicationConfiguration",
    "GetBucketCors": "GetBucketCORS",
    "PutBucketCors": "PutBucketCORS",
    "DeleteBucketCors": "PutBucketCORS",
    "DeleteBucketTagging": "PutBucketTagging",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
}


# With an ETag to compare, a write reads, too.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html
_COMPARES: Final = frozenset({"PutObject", "CompleteMultipartUpload", "CopyObject", "DeleteObject"})


def needed(operation: str, parameters: Mapping[str, Any], partition: str) -> Iterator[Needed]:
    """(action, ARN) of what a call needs."""
    bucket = f"arn:{partition}:s3:::{parameters.get('Bucket', '*')}"
    if operation in _COMPARES and (parameters.get("IfMatch") or "*") != "*":
        yield "s3:GetObject", f"{bucket}/{parameters.get('Key')}"
    if operation == "ListBuckets":
        yield "s3:ListAllMyBuckets", "*"
    elif operation in ("CopyObject", "UploadPartCopy"):
        yield _source(parameters, partition)
        yield "s3:PutObject", f"{bucket}/{parameters.get('Key')}"
    elif operation == "DeleteObjects":
        for item in (parameters.get("Delete") or {}).get("Objects") or []:
            yield _on_object("DeleteObject", item.get("VersionId")), f"{bucket}/{item.get('Key')}"
    elif operation == "GetObjectAttributes":
        version = parameters.get("VersionId")
        yield _on_object("GetObject", version), f"{bucket}/{parameters.get('Key')}"
        yield f"s3:GetObject{'Version' if version else ''}Attributes", f"{bucket}/{parameters.get('Key')}"
    elif operation in _OBJECT:
        target = f"{bucket}/{parameters.get('Key')}"
        yield _on_object(_OBJECT[operation], parameters.get("VersionId")), target
        if operation in ("PutObject", "CreateMultipartUpload"):
            if parameters.get("Tagging"):
                yield "s3:PutObjectTagging", target
            if parameters.get("ACL"):
                yield "s3:PutObjectAcl", target
    else:
        yield f"s3:{_BUCKET.get(operation, operation)}", bucket


def bucket_of(object_arn: str) -> str:
    """ARN of the bucket that an object is in."""
    return object_arn.split("/", 1)[0]


def _on_object(action: str, version: Any) -> str:
    return f"s3:{_VERSIONED.get(action, action) if version else action}"


def _source(parameters: Mapping[str, Any], partition: str) -> Needed:
    """The action and the object that a copy reads."""
    source = parameters.get("CopySource") or ""
    if isinstance(source, Mapping):
        bucket, key, version = source.get("Bucket"), source.get("Key"), source.get("VersionId")
    else:
        path, _, version = str(source).partition("?versionId=")
        bucket, _, key = unquote(path).lstrip("/").partition("/")
    return _on_object("GetObject", version), f"arn:{partition}:s3:::{bucket}/{key}"
