"""What was put into service by AWS calls ahead of Terraform's state, and how a deployment gets the two to agree.

`sluice dev` serves a saved change at once and deploys it when it ends. A file beside the state says what is ahead of
it, so that each deployment after a session that was killed knows.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sluice.engine import clients
from sluice.engine.instance import Instance, region
from sluice.terraform import resources
from sluice.terraform.inputs import DATASETS
from sluice.terraform.resources import Resource

DATASETS_ADDRESS = "aws_s3_object.datasets"
EVERY_FUNCTION = "*"  # in place of names, when the record cannot be read


def read(instance: Instance) -> set[str]:
    """Artifacts that are in service ahead of the state."""
    try:
        return set(json.loads(instance.ahead_file.read_text()))
    except FileNotFoundError:
        return set()
    except (OSError, ValueError, TypeError):
        return {DATASETS, EVERY_FUNCTION}


def write(instance: Instance, artifacts: Collection[str]) -> None:
    """Records them before the first call: whatever ends the session, the next deployment knows."""
    if artifacts:
        partial = instance.ahead_file.with_suffix(".part")
        partial.write_text(json.dumps(sorted(artifacts)))
        partial.replace(instance.ahead_file)
    else:
        instance.ahead_file.unlink(missing_ok=True)


def repair(instance: Instance, artifacts_dir: Path) -> None:
    """Before a deployment: puts what is built into service where the record says that something else may be there.

    Terraform compares a file's hash with the one in its state, which the session did not change, and would leave what
    is in service: of the datasets' object, and of a function too (it reads code_sha256, and compares source_code_hash).
    """
    recorded = read(instance)
    if not recorded or not instance.terraform_state.exists():
        return
    found = resources.read(json.loads(instance.terraform_state.read_text()))
    for name, artifact in resources.artifacts_of(found).items():
        if recorded & {artifact, EVERY_FUNCTION} and (zipped := artifacts_dir / f"{artifact}.zip").exists():
            _unless_missing(_repair_code, instance, name, zipped.read_bytes())
    built = artifacts_dir / f"{DATASETS}.json"
    if DATASETS in recorded and built.exists():
        for one in found:
            if one.configured_as == DATASETS_ADDRESS:
                _unless_missing(_repair_datasets, instance, one, built.read_bytes())


def _unless_missing[Of](
    repair_one: Callable[[Instance, Of, bytes], None], instance: Instance, of: Of, body: bytes
) -> None:
    """What is not there is made again by Terraform."""
    from botocore.exceptions import ClientError

    try:
        repair_one(instance, of, body)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("NoSuchBucket", "NoSuchKey", "ResourceNotFoundException"):
            raise


def _repair_code(instance: Instance, name: str, zipped: bytes) -> None:
    client = clients.new("lambda", instance.endpoint_url, region(), {})
    in_service = client.get_function_configuration(FunctionName=name)["CodeSha256"]
    if base64.b64decode(in_service) != hashlib.sha256(zipped).digest():
        put_code(client, name, zipped)


def _repair_datasets(instance: Instance, resource: Resource, body: bytes) -> None:
    s3 = clients.new("s3", instance.endpoint_url, region(), {})
    found = s3.get_object(Bucket=resource.attributes["bucket"], Key=resource.attributes["key"])
    if found["Body"].read() != body:
        put_datasets(s3, resource, body)


def put_code(client: Any, name: str, zipped: bytes) -> None:
    """Gives a function this code, and returns when it is in service.

    The code goes along with the call: the object that Terraform compares stays the one that it has uploaded.
    """
    client.update_function_code(FunctionName=name, ZipFile=zipped)
    client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})


def put_datasets(s3: Any, resource: Resource, body: bytes) -> dict[str, Any]:
    """Puts the datasets' object as Terraform puts it: a put without type and tags would remove them."""
    tags = resource.attributes.get("tags_all")
    answer: dict[str, Any] = s3.put_object(
        Bucket=resource.attributes["bucket"],
        Key=resource.attributes["key"],
        Body=body,
        ContentType=resource.attributes["content_type"],
        **({"Tagging": urlencode(tags)} if tags else {}),
    )
    return answer
