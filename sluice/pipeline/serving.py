"""Puts built code and datasets into service on the engine, ahead of Terraform, and lets Terraform's state follow.

Terraform takes seconds to compare a stack with its state. So a saved change is put into service by AWS calls, and one
deployment of what was changed brings the state up to date at the end. Until then a file beside the state says what is
ahead of it, for a session that was killed.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluice import terraform
from sluice.build.artifacts import DATASETS, Manifest
from sluice.console import FAILED, fail
from sluice.pipeline.branches import Branches
from sluice.terraform import ahead, resources
from sluice.terraform.ahead import DATASETS_ADDRESS
from sluice.terraform.resources import Resource

if TYPE_CHECKING:
    from sluice.engine.instance import Instance
    from sluice.pipeline.stack import Stack

_AT_A_TIME = 8


@dataclass
class Serving:
    """The deployed functions and datasets, and what of them is in service."""

    stack: Stack
    instance: Instance
    resources: list[Resource]
    keys: dict[str, str]
    """The artifact of each function: what the user types."""
    names: dict[str, str]
    """The artifact of each function: its whole name."""
    served: dict[str, str] = field(default_factory=dict)
    """SHA-256 (hex) of what is in service, by artifact."""
    ahead: set[str] = field(default_factory=set)
    """Artifacts that are in service ahead of Terraform's state."""
    tables: dict[str, Any] | None = None
    """What the warehouse's tables were last made from; None when that failed."""

    @classmethod
    def of(cls, stack: Stack, instance: Instance) -> Serving:
        """Raises SluiceError (code 1) when nothing is deployed."""
        found = resources.read(terraform.state(instance))
        functions = {one.name: one.key for one in Branches.of(stack).functions.values()}
        artifacts = resources.artifacts_of(found)
        names = {artifacts[name]: name for name in functions if name in artifacts}
        self = cls(stack, instance, found, {one: functions[name] for one, name in names.items()}, names)
        self.ahead |= ahead.read(instance)
        self.look()
        return self

    def look(self) -> None:
        """Asks what is in service."""
        client = self.stack.client("lambda")
        for artifact, name in self.names.items():
            code = client.get_function_configuration(FunctionName=name)["CodeSha256"]
            self.served[artifact] = base64.b64decode(code).hex()
        body = self._object()
        self.served[DATASETS], self.tables = hashlib.sha256(body).hexdigest(), _tables(body)

    def outdated(self, manifest: Manifest) -> list[str]:
        """Artifacts whose built form is not the one in service; datasets last, for they may need new code."""
        known = [*sorted(self.names), DATASETS]
        return [n for n in known if n in manifest.artifacts and manifest.artifacts[n].sha256 != self.served.get(n)]

    def serve(self, manifest: Manifest, artifacts: Collection[str]) -> list[str]:
        """Puts artifacts into service, functions side by side, and says what that is.

        Errors are botocore's, and SluiceError (code 1) when a function that is invoked for it fails. What went well
        before an error is in service.
        """
        from concurrent.futures import ThreadPoolExecutor

        self.ahead |= set(artifacts)
        ahead.write(self.instance, self.ahead)
        functions = [one for one in artifacts if one != DATASETS]
        client = self.stack.client("lambda")
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            running = [pool.submit(self._serve_function, client, manifest, one) for one in functions]
        said = [one.result() for one in running]
        if DATASETS in artifacts:
            said.append(self._serve_datasets(manifest.path(DATASETS).read_bytes()))
        return said

    def settle(self) -> None:
        """Deploys what is ahead of the state. Afterwards the plan is empty, as far as other files did not change."""
        if not self.ahead:
            return
        names = [name for one, name in self.names.items() if self.ahead & {one, ahead.EVERY_FUNCTION}]
        targets = resources.targets(self.resources, names, {})
        if DATASETS in self.ahead:
            needing = resources.invocations(self.resources, {DATASETS_ADDRESS})
            targets += [DATASETS_ADDRESS, *(one.address for one in needing)]
        made = terraform.deployed(self.instance)
        if made is None:
            fail("the engine has no stack", FAILED)
        terraform.apply(self.instance, Path(made.var_file), made.variables, targets=sorted(set(targets)))
        self.ahead.clear()
        ahead.write(self.instance, ())

    def _serve_function(self, client: Any, manifest: Manifest, artifact: str) -> str:
        data, name = manifest.path(artifact).read_bytes(), self.names[artifact]
        self.served.pop(artifact, None)  # unknown until all of it went well: the former code is to be served again, too
        ahead.put_code(client, name, data)
        self._invoke_dependents(self._configured(name))
        self.served[artifact] = hashlib.sha256(data).hexdigest()
        return self.keys[artifact]

    def _serve_datasets(self, data: bytes) -> str:
        self.served.pop(DATASETS, None)
        put = ahead.put_datasets(self.stack.client("s3"), self._datasets, data)
        if (tables := _tables(data)) != self.tables:
            self.tables = None
            self._invoke_dependents(DATASETS_ADDRESS)
            self.tables = tables
        self.served[DATASETS] = hashlib.sha256(data).hexdigest()
        return f"datasets version {str(put.get('VersionId', '-'))[:8]}"

    def _invoke_dependents(self, address: str) -> None:
        """What Terraform invokes once for each content of this resource (the warehouse's migrations)."""
        for one in resources.invocations(self.resources, {address}):
            answer = self.stack.client("lambda", read_timeout=310).invoke(
                FunctionName=one.attributes["function_name"], Payload=str(one.attributes["input"]).encode()
            )
            if "FunctionError" in answer:
                cause = json.loads(answer["Payload"].read()).get("errorMessage", answer["FunctionError"])
                fail(f"{one.attributes['function_name']}: {cause}", FAILED)

    def _configured(self, name: str) -> str:
        return next(
            one.configured_as
            for one in self.resources
            if one.type == "aws_lambda_function" and one.attributes["function_name"] == name
        )

    def _object(self) -> bytes:
        place = self._datasets.attributes
        body: bytes = self.stack.client("s3").get_object(Bucket=place["bucket"], Key=place["key"])["Body"].read()
        return body

    @property
    def _datasets(self) -> Resource:
        found = next((one for one in self.resources if one.configured_as == DATASETS_ADDRESS), None)
        return found or fail("nothing is deployed: `make deploy`", FAILED)


def _tables(body: bytes) -> dict[str, Any]:
    """What the tables are made from, as infra/stack/storage.tf has it: rules change nothing there."""
    return {
        name: [
            {field: spec["type"] for field, spec in one["fields"].items()},
            one.get("key", []),
            one.get("current_by", ""),
            one["partition_by"],
        ]
        for name, one in json.loads(body)["datasets"].items()
    }
