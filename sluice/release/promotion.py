"""What is in service in an environment, held against what is built: the same bytes go on to the next environment."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sluice.build import Manifest
from sluice.pipeline.branches import Branches

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack


@dataclass(frozen=True)
class Difference:
    """A function's artifact. Hashes are SHA-256 (hex); `built` is empty where nothing of that name is built."""

    artifact: str
    built: str
    in_service: str


def differences(stack: Stack, manifest: Manifest) -> list[Difference]:
    """Functions whose code in service is not the one that was built, by name.

    A version's CodeSha256 is that of its zip, and zips are made the same from the same source:
    https://docs.aws.amazon.com/lambda/latest/api/API_FunctionConfiguration.html
    """
    client, found = stack.client("lambda"), []
    for function in Branches.of(stack).functions.values():
        configuration = _configuration(client, function.name, stack.in_service)
        artifact = _artifact(configuration)
        built = manifest.artifacts.get(artifact)
        in_service = base64.b64decode(configuration["CodeSha256"]).hex()
        if built is None or built.sha256 != in_service:
            found.append(Difference(artifact, built.sha256 if built else "", in_service))
    return sorted(found, key=lambda one: one.artifact)


def _configuration(client: Any, name: str, in_service: Mapping[str, str]) -> dict[str, Any]:
    """Of the version in service; a function that a deployment itself invokes has only the newest."""
    try:
        found: dict[str, Any] = client.get_function_configuration(FunctionName=name, **in_service)
    except client.exceptions.ResourceNotFoundException:
        if not in_service:
            raise
        found = client.get_function_configuration(FunctionName=name)
    return found


def _artifact(configuration: dict[str, Any]) -> str:
    """The zip that a function is made of, by its handler: core.ingest.handler.handler is in core-ingest."""
    return str(configuration["Handler"]).removesuffix(".handler.handler").replace(".", "-")
