"""Keys that AWS manages are made when they are first asked for; only the services that they are for change or use them.

https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#aws-managed-key
"""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

PREFIX = "alias/aws/"
# Calls that change a key or use it, with what they need beside the key.
REFUSED: dict[str, dict[str, Any]] = {
    "schedule_key_deletion": {"PendingWindowInDays": 7},
    "put_key_policy": {"Policy": "{}"},
    "disable_key": {},
    "enable_key": {},
    "disable_key_rotation": {},
    "update_key_description": {"Description": "mine"},
    "tag_resource": {"Tags": [{"TagKey": "a", "TagValue": "b"}]},
    "create_grant": {"GranteePrincipal": "arn:aws:iam::000000000000:root", "Operations": ["Decrypt"]},
    "encrypt": {"Plaintext": b"x"},
    "generate_data_key": {"KeySpec": "AES_256"},
    "generate_data_key_without_plaintext": {"KeySpec": "AES_256"},
}


@pytest.fixture
def kms(client: Callable[..., Any]) -> Any:
    return client("kms")


def code(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def aliases(kms: Any, **options: Any) -> dict[str, str | None]:
    pages = kms.get_paginator("list_aliases").paginate(**options)
    return {one["AliasName"]: one.get("TargetKeyId") for page in pages for one in page["Aliases"]}


def test_every_predefined_alias_is_listed_and_has_a_key_of_aws_from_its_first_use_on(kms: Any) -> None:
    """https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html, API_ListAliases.html,

    API_GetKeyRotationStatus.html: without a key they have no TargetKeyId, and their rotation is always on.
    """
    predefined = [name for name in aliases(kms) if name.startswith(PREFIX)]
    assert {PREFIX + name for name in ("dynamodb", "lambda", "s3", "secretsmanager", "sns", "sqs")} <= set(predefined)
    for name in predefined:
        key = kms.describe_key(KeyId=name)["KeyMetadata"]
        assert (key["KeyManager"], key["KeyState"], key["Origin"]) == ("AWS", "Enabled", "AWS_KMS")
        assert kms.describe_key(KeyId=name)["KeyMetadata"]["KeyId"] == key["KeyId"]
        assert aliases(kms, KeyId=key["KeyId"]) == {name: key["KeyId"]}
        assert kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"] is True
        assert f"{name.removeprefix(PREFIX)}." in kms.get_key_policy(KeyId=key["KeyId"])["Policy"]
    assert all(aliases(kms, PaginationConfig={"PageSize": 7})[name] for name in predefined)
    assert code(kms.describe_key, KeyId=f"{PREFIX}{uuid.uuid4().hex}") == "NotFoundException"


@pytest.mark.parametrize("named", ["id", "arn", "alias", "alias arn"])
def test_no_caller_changes_or_uses_such_a_key_however_it_is_named(kms: Any, named: str) -> None:
    """https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-modifying.html"""
    key = kms.describe_key(KeyId=f"{PREFIX}ebs")["KeyMetadata"]
    alias = f"{key['Arn'].partition(':key/')[0]}:{PREFIX}ebs"
    name = {"id": key["KeyId"], "arn": key["Arn"], "alias": f"{PREFIX}ebs", "alias arn": alias}[named]
    for call, arguments in REFUSED.items():
        assert code(getattr(kms, call), KeyId=name, **arguments) == "AccessDeniedException", call
    assert kms.describe_key(KeyId=name)["KeyMetadata"] == key


def test_aliases_of_aws_are_not_made_moved_or_deleted(kms: Any) -> None:
    """https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateAlias.html: `alias/aws/` is for AWS."""
    own, mine = kms.create_key()["KeyMetadata"], f"alias/{uuid.uuid4().hex}"
    theirs = kms.describe_key(KeyId=f"{PREFIX}ssm")["KeyMetadata"]["KeyId"]
    assert code(kms.create_alias, AliasName=f"{PREFIX}mine", TargetKeyId=own["KeyId"]) == "NotAuthorizedException"
    assert code(kms.update_alias, AliasName=f"{PREFIX}ssm", TargetKeyId=own["KeyId"]) == "NotAuthorizedException"
    assert code(kms.delete_alias, AliasName=f"{PREFIX}ssm") == "NotAuthorizedException"
    assert code(kms.create_alias, AliasName=mine, TargetKeyId=theirs) == "AccessDeniedException"
    kms.create_alias(AliasName=mine, TargetKeyId=own["KeyId"])
    assert aliases(kms)[mine] == own["KeyId"]
    assert aliases(kms)[f"{PREFIX}ssm"] == theirs


def test_s3_and_dynamodb_encrypt_with_the_keys_of_their_aliases(client: Callable[..., Any], kms: Any) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html"""
    s3, bucket, db, table = client("s3"), uuid.uuid4().hex, client("dynamodb"), uuid.uuid4().hex
    s3.create_bucket(Bucket=bucket)
    put = s3.put_object(Bucket=bucket, Key="a", Body=b"a", ServerSideEncryption="aws:kms")
    assert put["SSEKMSKeyId"] == kms.describe_key(KeyId=f"{PREFIX}s3")["KeyMetadata"]["Arn"]
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"a"

    made = db.create_table(
        TableName=table,
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        SSESpecification={"Enabled": True},
    )["TableDescription"]
    key = kms.describe_key(KeyId=f"{PREFIX}dynamodb")["KeyMetadata"]
    assert made["SSEDescription"]["KMSMasterKeyArn"] == key["Arn"]
    assert (
        "dynamodb."
        in json.loads(kms.get_key_policy(KeyId=key["KeyId"])["Policy"])["Statement"][0]["Condition"]["StringEquals"][
            "kms:ViaService"
        ]
    )
