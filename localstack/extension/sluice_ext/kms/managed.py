"""Keys that AWS manages: one for each service that encrypts with `alias/aws/<service>`, made on first use.

https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#aws-managed-key
https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html ("predefined AWS alias")
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from threading import Lock
from typing import Any, Final

PREFIX: Final = "alias/aws/"
# The services whose alias is there before the key.
SERVICES: Final = (
    "acm", "backup", "dynamodb", "ebs", "elasticfilesystem", "es", "glue", "kinesis", "kinesisvideo", "lambda", "rds",
    "redshift", "s3", "secretsmanager", "sns", "sqs", "ssm", "xray",
)  # fmt: skip
_DATA: Final = {"dynamodb": "DynamoDB data", "s3": "S3 objects"}
_lock = Lock()


def arn(account: str, region: str, service: str) -> str:
    """The ARN of the key that AWS manages for this service (`s3`, `dynamodb`, ...) in an account's region."""
    return str(make(account, region, PREFIX + service).metadata["Arn"])


def make(account: str, region: str, alias: str) -> Any:
    """LocalStack's key of a predefined alias, with what AWS gives it; None when AWS has no such alias."""
    from localstack.services.kms.models import KmsAlias, KmsKey, kms_stores

    service = alias.removeprefix(PREFIX)
    store = kms_stores[account][region]
    if not alias.startswith(PREFIX) or service not in SERVICES:
        return None
    with _lock:
        if found := store.aliases.get(alias):
            return store.keys[found.metadata["TargetKeyId"]]
        data = _DATA.get(service, f"{service} data")
        what = f"Default key that protects my {data} when no other key is defined"
        key = KmsKey({"Description": what, "Policy": _policy(account, region, service)}, account, region)
        key.metadata["KeyManager"] = "AWS"
        # They are rotated every year, always: API_GetKeyRotationStatus.
        key.is_key_rotation_enabled = True
        key.next_rotation_date = key.metadata["CreationDate"] + timedelta(days=key.rotation_period_in_days)
        store.keys[key.metadata["KeyId"]] = key
        request = {"AliasName": alias, "TargetKeyId": key.metadata["KeyId"]}
        store.aliases[alias] = KmsAlias(request, account, region)
    return key


def unused(account: str, region: str) -> Iterator[dict[str, str]]:
    """The predefined aliases that have no key yet, as ListAliases has them: without a TargetKeyId."""
    from localstack.services.kms.models import kms_stores

    known = kms_stores[account][region].aliases
    for name in (PREFIX + service for service in SERVICES):
        if name not in known:
            yield {"AliasName": name, "AliasArn": f"arn:aws:kms:{region}:{account}:{name}"}


def is_managed(account: str, region: str, key: str) -> bool:
    """Whether a key that is named by id, ARN, alias or an alias's ARN is one that AWS manages."""
    from localstack.services.kms.models import kms_stores

    name = key.split(":", 5)[-1]
    if name.startswith("alias/"):
        return name.startswith(PREFIX)
    found = kms_stores[account][region].keys.get(name.removeprefix("key/"))
    return found is not None and found.metadata["KeyManager"] == "AWS"


def _policy(account: str, region: str, service: str) -> str:
    """Its own service uses it for the account's principals; these themselves may only look at it."""
    use = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant", "kms:DescribeKey"]
    through = {"kms:CallerAccount": account, "kms:ViaService": f"{service}.{region}.amazonaws.com"}
    look = ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"]
    condition, root = {"StringEquals": through}, f"arn:aws:iam::{account}:root"
    statements = [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": use, "Resource": "*", "Condition": condition},
        {"Effect": "Allow", "Principal": {"AWS": root}, "Action": look, "Resource": "*"},
    ]
    return json.dumps({"Version": "2012-10-17", "Id": f"auto-{service}-1", "Statement": statements})
