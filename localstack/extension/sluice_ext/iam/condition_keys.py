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
BOUNDARY: Final = "iam:permissionsboundary"
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html#awsidentityandaccessmanagementiam-policy-keys
_IAM: Final = {
    "PermissionsBoundary": BOUNDARY,
    "PolicyArn": "iam:policyarn",
    "AWSServiceName": "iam:awsservicename",
}
PASS_ROLE: Final = "iam:PassRole"
_PASSED_TO, _NAMESPACE = "iam:passedtoservice", "cloudwatch:namespace"
# Known, so that a call without them does not have them.
KNOWN: Final = frozenset(f"{service}:{key}" for service, keys in _OF.items() for key in keys.values()) | frozenset(
    _IAM.values()
)


def of(action: str, service: str, parameters: Mapping[str, Any]) -> dict[str, str]:
    """Keys in lower case and their values, for example {"s3:prefix": "bronze/"}.

    service: the name that the call is signed with.
    """
    if action == PASS_ROLE:
        return {_PASSED_TO: f"{service}.amazonaws.com"}
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/iam-cw-condition-keys-namespace.html
    if action == "cloudwatch:PutMetricData" and parameters.get("Namespace"):
        return {_NAMESPACE: str(parameters["Namespace"])}
    own = action.split(":", 1)[0]
    if own == "iam":
        return {key: str(parameters[name]) for name, key in _IAM.items() if parameters.get(name)}
    keys = _OF.get(own, {})
    return {f"{own}:{key}": str(parameters[name]) for name, key in keys.items() if parameters.get(name) is not None}


def recorded(keys: Mapping[str, str]) -> dict[str, str]:
    """Those that the record of roles has: of few values. A prefix or a version would be a use of its own each time."""
    return {name: value for name, value in keys.items() if name in (_PASSED_TO, _NAMESPACE)}
