"""The role that COPY and UNLOAD name. https://docs.aws.amazon.com/redshift/latest/mgmt/authorizing-redshift-service.html"""

from typing import Any, Final

from botocore.exceptions import ClientError
from localstack.aws.connect import connect_to

from sluice_ext.iam import trust
from sluice_ext.redshift.data.store import Target
from sluice_ext.redshift.namespaces import roles_of
from sluice_ext.redshift.store import STORES

_SERVICES: Final = ("redshift.amazonaws.com", "redshift-serverless.amazonaws.com")
_SESSION: Final = "RedshiftIamRoleSession"


class NotAssumable(PermissionError):
    """The role is not the namespace's, or does not let Redshift assume it."""


def s3_of(target: Target, role: str | None) -> Any:
    """A client of S3 with the rights of a role (its ARN, or ``default``). Raises NotAssumable."""
    namespace = STORES.of(target.account, target.region).namespace(target.namespace)
    arn = role
    if role is None or role.lower() == "default":
        arn = namespace.shown.get("defaultIamRoleArn")
        if arn is None:
            raise NotAssumable("Default IAM role is not set for the namespace")
    # A chain of roles: the namespace has the first one, each assumes the next.
    names = [one.strip() for one in str(arn).split(",")]
    if names[0] not in roles_of(namespace):
        raise _refusal(namespace.shown["namespaceArn"], names[0])
    if not trust.assumable(names[0], target.account, _SERVICES):
        raise _refusal(namespace.shown["namespaceArn"], names[0])
    keys = {"aws_access_key_id": target.account, "aws_secret_access_key": "-"}
    for name in names:
        sts = connect_to(region_name=target.region, **keys).sts
        try:
            found = sts.assume_role(RoleArn=name, RoleSessionName=_SESSION)["Credentials"]
        except ClientError as error:
            raise _refusal(namespace.shown["namespaceArn"], name) from error
        keys = {
            "aws_access_key_id": found["AccessKeyId"],
            "aws_secret_access_key": found["SecretAccessKey"],
            "aws_session_token": found["SessionToken"],
        }
    return connect_to(region_name=target.region, **keys).s3


def _refusal(namespace: str, role: str) -> NotAssumable:
    return NotAssumable(f"User {namespace} is not authorized to assume IAM Role {role}")
