"""Who asks, and where: the account of the credentials, and the address that stands for it.

A rehearsal (`make promote-check`) runs the whole road against an engine: AWS_ENDPOINT_URL leads every client and
Terraform there, and SLUICE_ACCOUNT_ENDPOINT says that this is meant.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from sluice.console import fail
from sluice.engine import clients

AWS = "aws"
REHEARSAL_VARIABLE = "SLUICE_ACCOUNT_ENDPOINT"
_HERE = re.compile(r"^https?://(127\.|localhost|\[::1\]|0\.0\.0\.0)")

NO_CREDENTIALS = (
    "no AWS credentials: set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or `aws sso login`"
)
# https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired")
_UNKNOWN = ("InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "SignatureDoesNotMatch",
            "AuthFailure", "IncompleteSignature", "InvalidToken")  # fmt: skip


@dataclass(frozen=True)
class Identity:
    """The account number (12 digits), and the ARN of the user or role."""

    account: str
    arn: str


def partition_of(region: str) -> str:
    """What the ARNs of a region begin with: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html."""
    return "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"


def address() -> str:
    """What a plan for an account is made for: "aws", or the address of the engine that stands for it in a rehearsal."""
    return os.environ.get("AWS_ENDPOINT_URL") or AWS


def check_credentials() -> None:
    """Raises SluiceError (code 2) when there are no credentials, or only those of the local engine."""
    refuse_engine()
    if not have_credentials():
        fail(NO_CREDENTIALS)


def refuse_engine() -> None:
    """Raises SluiceError (code 2) in a shell that `sluice env` has prepared: its account is no account."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    if _HERE.match(endpoint) and endpoint != os.environ.get(REHEARSAL_VARIABLE):
        fail(f"this shell is set up for the local engine (AWS_ENDPOINT_URL={endpoint}): use another one for TARGET=aws")


def have_credentials() -> bool:
    """Raises SluiceError (code 2) when the configuration cannot be read."""
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        return cast(Any, boto3).Session().get_credentials() is not None
    except BotoCoreError as error:
        fail(f"AWS credentials cannot be read: {error}")


def caller(region: str) -> Identity:
    """Asks STS. Raises SluiceError: code 2 for credentials that are missing, expired or unknown, 1 without an answer.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    """
    check_credentials()
    answer = call(clients.new("sts", None, region, {}), "get_caller_identity")
    return Identity(str(answer["Account"]), str(answer["Arn"]))


def call(client: Any, operation: str, **parameters: Any) -> dict[str, Any]:
    """One call, whose errors about credentials and the network are SluiceErrors. ClientError for all others."""
    from botocore.exceptions import BotoCoreError, ClientError

    from sluice_pipeline.runtime.errors import code_of

    try:
        answer: dict[str, Any] = getattr(client, operation)(**parameters)
    except ClientError as error:
        refuse_credentials(code_of(error))
        raise
    except BotoCoreError as error:
        text = " ".join(str(error).split())
        if "expired" in text.lower() or "sso" in type(error).__name__.lower():
            expired()
        fail(f"AWS does not answer: {text}", 1)
    return answer


def refuse_credentials(code: str) -> None:
    """Raises SluiceError (code 2) when an error's code is about the credentials."""
    if code in _EXPIRED:
        expired()
    if code in _UNKNOWN:
        fail(f"AWS does not know these credentials ({code}): check AWS_PROFILE or AWS_ACCESS_KEY_ID, and the region")


def expired() -> NoReturn:
    fail("the AWS credentials have expired: get new ones (`aws sso login`), then repeat the command")
