"""TARGET=aws: plain Terraform with the user's own credentials, in a copy of infra/ under .sluice/aws/<env>/.

The state is beside that copy, or in the bucket that $TF_STATE_BUCKET names; `sluice clean` refuses to remove a state
that still describes resources.
"""

from __future__ import annotations

import os
from typing import Any, cast

from sluice.console import fail
from sluice.engine.instance import region
from sluice.paths import AWS_DIR
from sluice.terraform import settings
from sluice.terraform.settings import Workspace

STATE_BUCKET_VARIABLE = "TF_STATE_BUCKET"


def check_credentials() -> None:
    """Raises SluiceError (code 2) when there are no credentials, or only those of the local engine."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    if "127.0.0.1" in endpoint or "localhost" in endpoint:
        fail(f"this shell is set up for the local engine (AWS_ENDPOINT_URL={endpoint}): use another one for TARGET=aws")
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        credentials = cast(Any, boto3).Session().get_credentials()
    except BotoCoreError as error:
        fail(f"AWS credentials cannot be read: {error}")
    if credentials is None:
        fail("no AWS credentials: set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or `aws sso login`")


def workspace(env: str) -> Workspace:
    """Where the Terraform of a real account runs. Raises SluiceError (code 2) without credentials."""
    check_credentials()
    home = AWS_DIR / env
    stack = settings.copy_infra(home / "infra") / "stack"
    bucket = os.environ.get(STATE_BUCKET_VARIABLE)
    state = None if bucket else home / "terraform.tfstate"
    backend: tuple[str, ...]
    if bucket:
        (stack / "backend_override.tf").write_text('terraform {\n  backend "s3" {}\n}\n')
        backend = (f"bucket={bucket}", f"key=sluice/{env}/terraform.tfstate", f"region={region()}", "encrypt=true")
    else:
        backend = (f"path={state}",)
    environment = settings.common_environment(home)
    environment["TF_DATA_DIR"] = str(home / "data")
    return Workspace(stack, home / "data", state, environment, (settings.executable(),), backend)
