"""Condition keys that the parameters of a call give. Pure: no engine, no network.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html#amazons3-policy-keys
"""

from collections.abc import Mapping
from typing import Any, Final

# A parameter of an S3 call -> its key, without "s3:". A call without the parameter does not have the key.
_S3: Final = {
    "Prefix": "prefix",
    "Delimiter": "delimiter",
    "MaxKeys": "max-keys",
    "VersionId": "versionid",
    "ACL": "x-amz-acl",
    "ServerSideEncryption": "x-amz-server-side-encryption",
    "SSEKMSKeyId": "x-amz-server-side-encryption-aws-kms-key-id",
    "StorageClass": "x-amz-storage-class",
    "CopySource": "x-amz-copy-source",
    "MetadataDirective": "x-amz-metadata-directive",
}
_SNS: Final = {"Protocol": "protocol", "Endpoint": "endpoint"}
_OF: Final = {"s3": _S3, "sns": _SNS}
# Known, so that a call without them does not have them.
KNOWN: Final = frozenset(f"{service}:{key}" for service, keys in _OF.items() for key in keys.values())


def of(action: str, parameters: Mapping[str, Any]) -> dict[str, str]:
    """Keys in lower case and their values, for example {"s3:prefix": "bronze/"}."""
    service = action.split(":", 1)[0]
    keys = _OF.get(service)
    if keys is None:
        return {}
    return {f"{service}:{key}": str(parameters[name]) for name, key in keys.items() if parameters.get(name) is not None}
