"""Rotation of secrets, and the staging labels that move with it.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html
https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html

LocalStack gives the function the secret's name, where AWS gives its ARN; calls a rotation done that failed; raises an
internal error for RotateImmediately=false; lets AWSCURRENT go, and a label be at two versions. Replaced:
`rotate_secret` and `update_secret_version_stage` of moto's `SecretsManagerBackend`, which LocalStack has replaced.
"""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from botocore.exceptions import ClientError
from localstack.aws.connect import connect_to
from localstack.services.secretsmanager import provider  # noqa: F401 - it replaces moto's functions first
from localstack.utils.strings import long_uid
from moto.secretsmanager.exceptions import (
    InvalidParameterException,
    InvalidRequestException,
    ResourceNotFoundException,
    SecretNotFoundException,
)
from moto.secretsmanager.models import SecretsManagerBackend

from sluice_ext.patching import replace

LOG = logging.getLogger(__name__)
CURRENT, PENDING = "AWSCURRENT", "AWSPENDING"
STEPS: Final = ("createSecret", "setSecret", "testSecret", "finishSecret")
_DAY = 86_400


class StepFailed(RuntimeError):
    """The function raised an error in a step."""


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""
    replace(SecretsManagerBackend, "rotate_secret", rotate)

    def move_label(
        self: Any, secret_id: str, version_stage: str, remove_from_version_id: str, move_to_version_id: str
    ) -> Any:
        if secret_id in self.secrets:
            check_move(self.secrets[secret_id], version_stage, remove_from_version_id, move_to_version_id)
        return original(self, secret_id, version_stage, remove_from_version_id, move_to_version_id)

    original = replace(SecretsManagerBackend, "update_secret_version_stage", move_label)


def check_move(secret: Any, label: str, leaves: str | None, goes_to: str | None) -> None:
    """Raises InvalidParameterException: a label is at one version at most, and AWSCURRENT always at one."""
    at = labelled(secret, label)
    if label == CURRENT and at and not goes_to:
        raise InvalidParameterException(
            f"You can only move staging label {CURRENT} to a different secret version. It can't be completely removed."
        )
    if goes_to and at and at != goes_to and leaves != at:
        raise InvalidParameterException(
            f"The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently attached to version "
            f"{at}, so you must explicitly reference that version in RemoveFromVersionId."
        )
    if goes_to and at == goes_to:
        raise InvalidParameterException(f"Staging label {label} is already attached to version {goes_to}.")


def labelled(secret: Any, label: str) -> str | None:
    """The version that has a label, or None."""
    return next((name for name, version in secret.versions.items() if label in version["version_stages"]), None)


def rotate(
    self: Any,
    secret_id: str,
    client_request_token: str | None = None,
    rotation_lambda_arn: str | None = None,
    rotation_rules: Mapping[str, Any] | None = None,
    rotate_immediately: bool = True,
) -> Any:
    """RotateSecret. A step that fails leaves the new version with AWSPENDING; the next call tries it again."""
    if not self._is_valid_identifier(secret_id):
        raise SecretNotFoundException
    secret = self.secrets[secret_id]
    if secret.is_deleted():
        raise InvalidRequestException("You tried to perform the operation on a secret that's currently marked deleted.")
    function = rotation_lambda_arn or secret.rotation_lambda_arn
    if not function:
        raise InvalidRequestException("No Lambda rotation function ARN is associated with this secret.")
    days = _days(rotation_rules, secret)
    invoke = _Invoke(self, secret, function)
    secret.rotation_lambda_arn, secret.auto_rotate_after_days = function, days or None
    secret.rotation_enabled = secret.rotation_requested = True
    if days:
        secret.next_rotation_date = int(time.time()) + days * _DAY
    if not rotate_immediately:
        return _try_out(self, secret, invoke)
    waiting = labelled(secret, PENDING)
    if waiting and waiting == labelled(secret, CURRENT):
        waiting = None
    version = waiting or _pending_version(self, secret, client_request_token)
    try:
        invoke(version, STEPS)
    except StepFailed as error:
        LOG.warning("The rotation of %s failed: %s", secret.name, error)
        if waiting:
            raise InvalidRequestException(
                "A previous rotation isn't complete. That rotation will be reattempted."
            ) from None
    else:
        secret.last_rotation_date = int(time.time())
    return secret.to_short_dict(version_id=version)


def _days(rules: Mapping[str, Any] | None, secret: Any) -> int:
    rules = rules or {}
    if rules.get("ScheduleExpression"):
        raise InvalidParameterException("RotationRules.ScheduleExpression is not supported by this engine.")
    if "AutomaticallyAfterDays" not in rules:
        return int(secret.auto_rotate_after_days or 0)
    days = int(rules["AutomaticallyAfterDays"])
    if not 1 <= days <= 1000:
        raise InvalidParameterException("RotationRules.AutomaticallyAfterDays must be within 1-1000.")
    return days


def _pending_version(backend: Any, secret: Any, token: str | None) -> str:
    """A new version without a value, which the function makes."""
    version = str(backend._from_client_request_token(token))
    secret.remove_version_stages_from_old_versions([PENDING])
    secret.versions[version] = {
        "createdate": int(time.time()),
        "version_id": version,
        "version_stages": [PENDING],
    }
    return version


def _try_out(backend: Any, secret: Any, invoke: "_Invoke") -> Any:
    """Tests the function only: "The test creates an AWSPENDING version of the secret and then removes it." """
    version = _pending_version(backend, secret, None)
    value = secret.versions[secret.default_version_id]
    kept = {name: value[name] for name in ("secret_string", "secret_binary") if name in value}
    secret.versions[version].update(kept)
    try:
        invoke(version, ["testSecret"])
    except StepFailed as error:
        LOG.warning("The rotation function of %s does not pass its test: %s", secret.name, error)
    finally:
        secret.versions.pop(version, None)
    return secret.to_short_dict(include_version_id=False)


class _Invoke:
    """Calls the rotation function, step by step. Raises ResourceNotFoundException when there is none."""

    def __init__(self, backend: Any, secret: Any, function: str) -> None:
        account, region = backend.account_id, backend.region_name
        self._lambda = connect_to(aws_access_key_id=account, region_name=region).lambda_
        self._secret, self._function = secret, function
        try:
            self._lambda.get_function(FunctionName=function)
        except ClientError:
            raise ResourceNotFoundException("Lambda does not exist or could not be accessed") from None

    def __call__(self, version: str, steps: Sequence[str]) -> None:
        token = long_uid()
        for step in steps:
            event = {
                "Step": step,
                "SecretId": self._secret.arn,
                "ClientRequestToken": version,
                "RotationToken": token,
            }
            try:
                answer = self._lambda.invoke(FunctionName=self._function, Payload=json.dumps(event))
            except ClientError as error:
                raise StepFailed(f"{step}: {error}") from error
            if answer.get("FunctionError"):
                raise StepFailed(f"{step}: {answer['Payload'].read().decode(errors='replace')[:300]}")
