"""What is to be deployed for new code of some functions, by what Terraform's state says is deployed.

`-target` takes a resource with what it needs, and not what needs it. So the functions that share a changed layer, and
the invocations that run once for each content of a function, are named too: the plan after it is then empty.
https://developer.hashicorp.com/terraform/cli/commands/plan#target-address
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

_INSTANCE_KEY = re.compile(r"\[[^]]*\]")
_FUNCTION, _LAYER, _OBJECT, _INVOCATION = (
    "aws_lambda_function", "aws_lambda_layer_version", "aws_s3_object", "aws_lambda_invocation",
)  # fmt: skip


@dataclass(frozen=True)
class Resource:
    """One resource. `needs`: addresses without instance keys, as the state has them."""

    address: str
    type: str
    attributes: Mapping[str, Any]
    needs: frozenset[str]

    @property
    def configured_as(self) -> str:
        """Its address without instance keys."""
        return _INSTANCE_KEY.sub("", self.address)


def read(state: Mapping[str, Any]) -> list[Resource]:
    """The managed resources of a state (version 4)."""
    found = []
    for entry in state.get("resources", ()):
        if entry["mode"] != "managed":
            continue
        base = ".".join(filter(None, (entry.get("module"), entry["type"], entry["name"])))
        for instance in entry["instances"]:
            key = instance.get("index_key")
            suffix = "" if key is None else f"[{key}]" if isinstance(key, int) else f'["{key}"]'
            needs = frozenset(instance.get("dependencies", ()))
            found.append(Resource(base + suffix, entry["type"], instance["attributes"], needs))
    return found


def artifacts_of(resources: Collection[Resource]) -> dict[str, str]:
    """Names of the deployed functions, and the artifact that each one's code comes from (core-ingest)."""
    zips = {one.attributes["key"]: one for one in resources if one.type == _OBJECT}
    return {
        str(one.attributes["function_name"]): _artifact(zips[one.attributes["s3_key"]])
        for one in resources
        if one.type == _FUNCTION and one.attributes.get("s3_key") in zips
    }


def targets(resources: Collection[Resource], names: Collection[str], hashes: Mapping[str, str]) -> list[str]:
    """What is to be deployed for new code of the functions of these names.

    hashes: SHA-256 (hex) of each artifact that has been built. A layer whose zip is another one now takes all functions
    that use it along.
    """
    functions = [one for one in resources if one.type == _FUNCTION]
    chosen = {one.address: one for one in functions if one.attributes["function_name"] in names}
    zips = {one.attributes["key"]: one for one in resources if one.type == _OBJECT}
    new_layers = {
        str(one.attributes["arn"])
        for one in resources
        if one.type == _LAYER and one.attributes["s3_key"] in zips and _changed(zips[one.attributes["s3_key"]], hashes)
    }
    used = new_layers & {arn for one in chosen.values() for arn in one.attributes.get("layers") or ()}
    chosen |= {one.address: one for one in functions if used & set(one.attributes.get("layers") or ())}
    return sorted(chosen) + dependent_invocations(resources, {one.configured_as for one in chosen.values()})


def dependent_invocations(resources: Collection[Resource], needed: Collection[str]) -> list[str]:
    """Addresses of the invocations that need one of these (addresses without instance keys)."""
    return sorted(one.address for one in invocations(resources, needed))


def invocations(resources: Collection[Resource], needed: Collection[str]) -> list[Resource]:
    """The invocations that Terraform makes and that need one of these (addresses without instance keys)."""
    return [one for one in resources if one.type == _INVOCATION and one.needs & set(needed)]


def _artifact(code: Resource) -> str:
    return PurePath(code.attributes["source"]).stem


def _changed(code: Resource, hashes: Mapping[str, str]) -> bool:
    built = hashes.get(_artifact(code))
    return built is not None and base64.b64encode(bytes.fromhex(built)).decode() != code.attributes["source_hash"]
