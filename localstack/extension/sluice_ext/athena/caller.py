"""Clients with the credentials of a query's caller: Athena reads the catalog and S3 with that key's permissions.

https://docs.aws.amazon.com/athena/latest/ug/security-iam-athena.html
"""

from typing import Any

from localstack.aws.api import RequestContext
from localstack.aws.connect import connect_to
from localstack.utils.aws.request_context import extract_access_key_id_from_auth_header


def access_key_of(context: RequestContext) -> str:
    """The access key that a request is signed with."""
    return extract_access_key_id_from_auth_header(context.request.headers) or ""


def clients(access_key: str, region: str) -> Any:
    """Clients of the engine's services with this access key: ``clients(...).s3``."""
    return connect_to(aws_access_key_id=access_key, aws_secret_access_key="-", region_name=region)
