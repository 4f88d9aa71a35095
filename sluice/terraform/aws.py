"""TARGET=aws: plain Terraform with the user's own credentials, in a copy of infra/ under .sluice/aws/<env>/.

The state is in the bucket that `sluice bootstrap` has made, or in the one that $TF_STATE_BUCKET names, under the key of
infra/envs/<env>.s3.tfbackend. A state that Terraform could not write there (errored.tfstate) waits in .states/<env>/,
and the next run brings it to the bucket.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from sluice.console import fail
from sluice.engine import clients
from sluice.paths import AWS_DIR, ENVS_DIR, STACK_DIR, STATES_DIR
from sluice.terraform import identity, settings, variables
from sluice.terraform.settings import Workspace
from sluice.terraform.variables import Known

STATE_BUCKET_VARIABLE = "TF_STATE_BUCKET"
OVERRIDE = "backend_override.tf"
ERRORED = "errored.tfstate"
"""https://developer.hashicorp.com/terraform/cli/state/recover"""


def state_bucket(known: Known, account: str) -> str:
    """Its name: of its own for each environment, account and region, and at most 63 characters."""
    return f"{known.project}-{known.env}-state-{account}-{known.region}"


def backend_file(env: str) -> Path:
    """The committed part of the backend's configuration. Raises SluiceError (code 2) when there is none."""
    file = ENVS_DIR / f"{env}.s3.tfbackend"
    if not file.exists():
        fail(f"infra/envs/{file.name} is missing: copy another environment's and change its key")
    return file


def workspace(env: str, known: Known | None = None) -> Workspace:
    """Where the Terraform of a real account runs. known: where this deployment goes; else what the environment's file
    says.

    Raises SluiceError: code 2 without credentials, 1 when the account has no state bucket.
    """
    identity.check_credentials()
    known = known or variables.of_environment(env, STACK_DIR)
    bucket = os.environ.get(STATE_BUCKET_VARIABLE)
    if not bucket:
        account = identity.caller(known.region).account
        bucket = state_bucket(known, account)
        require_bucket(bucket, account, known, env)
    file = backend_file(env)
    home = AWS_DIR / env
    rescue(home / "infra/stack", env)
    stack = settings.copy_infra(home / "infra") / "stack"
    (stack / OVERRIDE).write_text('terraform {\n  backend "s3" {}\n}\n')
    data = home / "data" / bucket  # each backend has its own, so none is ever configured again
    backend = (str(file), f"bucket={bucket}", f"region={known.region}")
    return Workspace(stack, data, None, environment(home, data), (settings.executable(),), backend)


def offline(env: str) -> Workspace:
    """Where a plan without credentials is made: it contacts nothing, knows no state, and cannot be applied."""
    home = AWS_DIR / env / "offline"
    stack = settings.copy_infra(home / "infra") / "stack"
    (stack / "offline_override.tf").write_text(OFFLINE_PROVIDER)
    state = home / "none.tfstate"
    state.unlink(missing_ok=True)
    found = environment(home, home / "data") | {"AWS_EC2_METADATA_DISABLED": "true"}
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        found.pop(name, None)  # a profile whose login has expired is no reason not to plan
    return Workspace(stack, home / "data", state, found, (settings.executable(),), (f"path={state}",))


OFFLINE_PROVIDER = """provider "aws" {
  access_key                  = "none"
  allowed_account_ids         = []
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true
}
"""


def environment(home: Path, data: Path) -> dict[str, str]:
    """The environment of an account's Terraform."""
    return settings.common_environment(home) | {"TF_DATA_DIR": str(data)}


def require_bucket(bucket: str, account: str, known: Known, env: str) -> None:
    """Raises SluiceError (code 1) when the state's bucket is missing or another account's.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
    """
    code = owned_bucket(bucket, account, known.region)
    if code == "404":
        fail(
            f"account {account} has no state bucket {bucket} in {known.region}:"
            f" `sluice bootstrap --target aws --env {env}` makes it",
            1,
        )
    if code:
        fail(f"the state bucket {bucket} is not to be read with these credentials (HTTP {code}): whose is it?", 1)


def owned_bucket(bucket: str, account: str, region: str) -> str:
    """Empty when the bucket is the account's and can be read; else HTTP's code: 404 missing, 403 another's."""
    from botocore.exceptions import ClientError

    from sluice_pipeline.runtime.errors import code_of

    try:
        identity.call(clients.new("s3", None, region, {}), "head_bucket", Bucket=bucket, ExpectedBucketOwner=account)
    except ClientError as error:
        return code_of(error).replace("NoSuchBucket", "404").replace("AccessDenied", "403")
    return ""


def rescue(stack: Path, env: str) -> None:
    """Moves a state that Terraform could not write to its bucket to where no copy of the code removes it."""
    left = stack / ERRORED
    if left.exists():
        folder = STATES_DIR / env
        folder.mkdir(parents=True, exist_ok=True)
        shutil.move(left, folder / f"{left.stat().st_mtime_ns}.{ERRORED}")


def waiting_states(env: str) -> Iterator[Path]:
    """States that are not in the bucket yet, the oldest first; that of a version which had it under .sluice, too."""
    old = AWS_DIR / env / "terraform.tfstate"
    if old.exists():
        yield old
    yield from sorted((STATES_DIR / env).glob(f"[0-9]*.{ERRORED}"))
