"""The secret that a presigned URL is checked with: the engine refuses URLs that expired or were altered, as AWS does.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html
"""

import hmac
from collections.abc import Callable
from functools import partial
from typing import Any

from localstack.aws.api.s3 import SignatureDoesNotMatch
from localstack.services.s3 import presigned_url

from sluice_ext.patching import replace


def install() -> None:
    """Replace the look-up: LocalStack's knows users' keys only, not roles', and remembers that it found none."""
    name = "get_secret_access_key_from_access_key_id"
    users = getattr(presigned_url, name).__wrapped__  # without its memory
    replace(presigned_url, name, partial(_secret, users), expect="(access_key_id, region)")


def check_post(form: Any) -> None:
    """Raises SignatureDoesNotMatch when a form's policy is not signed by the key that it names.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-UsingHTTPPOST.html
    """
    fields = {name.lower(): value for name, value in form.items()}
    policy, signature, scope = (fields.get(name, "") for name in ("policy", "x-amz-signature", "x-amz-credential"))
    if not policy or not signature:
        return  # LocalStack says which field is missing; forms signed with version 2 are not checked
    names = scope.split("/")
    key = b"AWS4" + presigned_url.get_credentials_from_parameters(fields, "us-east-1").secret_access_key.encode()
    for text in (*names[1:], policy):
        key = hmac.digest(key, text.encode(), "sha256")
    if not hmac.compare_digest(key.hex(), signature):
        raise SignatureDoesNotMatch(
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
            AWSAccessKeyId=names[0],
            SignatureProvided=signature,
            StringToSign=policy,
        )


def _secret(users: Callable[[str, str], str | None], access_key_id: str, region: str) -> str | None:
    """Secret of a user's access key or of an assumed role's; None for keys that the engine did not make."""
    from moto.sts.models import sts_backends

    if secret := users(access_key_id, region):
        return secret
    for backends in list(sts_backends.values()):
        for backend in list(backends.values()):
            if role := backend.get_assumed_role_from_access_key(access_key_id):
                return str(role.secret_access_key)
    return None
