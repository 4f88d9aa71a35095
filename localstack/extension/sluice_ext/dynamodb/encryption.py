"""Which KMS key encrypts a table: one of the account's, or the key that AWS manages for DynamoDB.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.howitworks.html
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_SSESpecification.html

moto makes the managed key among its own keys, where KMS does not find it.
Replaced: `Table._get_default_encryption_key`.
"""

from typing import Any

from moto.dynamodb.models.table import Table

from sluice_ext.dynamodb.errors import invalid_values
from sluice_ext.dynamodb.requests import Body
from sluice_ext.kms import managed
from sluice_ext.patching import replace


def install() -> None:
    """Replace it; raises UnexpectedEngine when moto is not the version we know."""

    def of_account(_table: Any, account_id: str, region: str) -> str:
        return managed_key(account_id, region)

    replace(Table, "_get_default_encryption_key", of_account, expect="(self, account_id, region)")


def managed_key(account: str, region: str) -> str:
    """The ARN of the key that AWS manages for DynamoDB in this account and region."""
    return managed.arn(account, region, "dynamodb")


def planned(table: Any, wanted: Body) -> tuple[Body | None, Body]:
    """What UpdateTable's SSESpecification makes of the table's, and the SSEDescription while it changes.

    Raises ValidationException when the table is encrypted so already.
    """
    before = table.sse_specification or {}
    was_enabled, enabled = bool(before.get("Enabled")), bool(wanted.get("Enabled"))
    if not enabled and not was_enabled:
        raise invalid_values("Table is already encrypted by default")
    key = before["KMSMasterKeyId"] if not enabled else wanted.get("KMSMasterKeyId")
    key = arn(table, key or managed_key(table.account_id, table.region_name))
    if enabled and was_enabled and arn(table, before["KMSMasterKeyId"]) == key:
        raise invalid_values("Table is already encrypted by given KMSMasterKey")
    later = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key} if enabled else None
    return later, {"Status": "UPDATING", "SSEType": "KMS", "KMSMasterKeyArn": key}


def arn(table: Any, key: str) -> str:
    """A key's ARN, by its id or ARN (an alias stays as it is)."""
    if key.startswith(("arn:", "alias/")):
        return key
    return f"{table.table_arn.partition(':table/')[0].replace(':dynamodb:', ':kms:')}:key/{key}"
