"""An engine in memory that serves two functions, an invocation and the datasets, for what is ahead of Terraform."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError

from sluice.build import BuiltArtifact, Manifest

BUCKET, KEY, TAGS = "artifacts-b", "config/datasets.json", {"project": "sluice", "environment": "d v"}
MIGRATE = "x-migrate"


def catalog(**fields: str) -> bytes:
    """Compiled datasets with one dataset, of these fields and types."""
    one = {"fields": {name: {"type": kind} for name, kind in fields.items()}, "partition_by": "t"}
    return json.dumps({"datasets": {"crm": one}}).encode()


def state() -> dict[str, Any]:
    """Terraform's: functions a and b with their zips, the datasets, and an invocation that needs b and the datasets."""
    found: list[dict[str, Any]] = []

    def add(kind: str, name: str, attributes: dict[str, Any], *needs: str, module: str = "") -> None:
        place = {"module": module} if module else {}
        instance = {"attributes": attributes, "dependencies": list(needs)}
        found.append({"mode": "managed", "type": kind, "name": name, "instances": [instance], **place})

    for name in ("a", "b"):
        zipped = {"key": f"functions/{name}.zip", "source": f"../build/{name}.zip", "source_hash": ""}
        add("aws_s3_object", "zip", zipped, module=f"module.{name}")
        function = {"function_name": f"x-{name}", "s3_key": zipped["key"], "layers": []}
        add("aws_lambda_function", "this", function, module=f"module.{name}")
    datasets = {"bucket": BUCKET, "key": KEY, "content_type": "application/json", "tags_all": TAGS}
    add("aws_s3_object", "datasets", datasets | {"source": "../build/datasets.json", "source_hash": ""})
    needs = ("module.b.aws_lambda_function.this", "aws_s3_object.datasets")
    add("aws_lambda_invocation", "migrate", {"function_name": MIGRATE, "input": '{"run": 1}'}, *needs)
    return {"resources": found}


@dataclass
class Engine:
    """S3 and Lambda at once, as far as they serve. down: nothing answers. refused: what a call of this name raises."""

    code: dict[str, bytes] = field(default_factory=dict)
    objects: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    invoked: list[bytes] = field(default_factory=list)
    down: bool = False
    failing: str = ""
    """What the invoked function fails with."""

    def _called(self, name: str) -> None:
        if self.down:
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")
        self.calls.append(name)

    def get_function_configuration(self, FunctionName: str) -> dict[str, str]:  # noqa: N803
        self._called("get_function_configuration")
        if FunctionName not in self.code:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetFunctionConfiguration")
        return {"CodeSha256": base64.b64encode(hashlib.sha256(self.code[FunctionName]).digest()).decode()}

    def update_function_code(self, FunctionName: str, ZipFile: bytes) -> None:  # noqa: N803
        self._called(f"update {FunctionName}")
        self.code[FunctionName] = ZipFile

    def get_waiter(self, name: str) -> Any:
        assert name == "function_updated_v2"
        return self

    def wait(self, **_: Any) -> None:
        self._called("wait")

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        self._called(f"invoke {FunctionName}")
        self.invoked.append(Payload)
        if self.failing:
            return {
                "FunctionError": "Unhandled",
                "Payload": io.BytesIO(json.dumps({"errorMessage": self.failing}).encode()),
            }
        return {"Payload": io.BytesIO(b"{}")}

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        self._called("get_object")
        assert (Bucket, Key) == (BUCKET, KEY)
        if not self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[-1]["Body"])}

    def put_object(self, **put: Any) -> dict[str, str]:
        self._called("put_object")
        self.objects.append(put)
        return {"VersionId": f"version-{len(self.objects)}"}


@dataclass
class ServingStack:
    """Stands in for sluice.pipeline.stack.Stack."""

    engine: Engine

    @property
    def outputs(self) -> dict[str, Any]:
        functions = {name: {"name": f"x-{name}", "log_group": "", "alarms": True} for name in ("a", "b")}
        core = {"functions": functions, "queues": {}, "workflows": {}, "tables": {}, "notices": [], "outputs": {}}
        return {"branches": {"core": core}}

    def client(self, service: str, **_: Any) -> Engine:
        assert service in ("s3", "lambda")
        return self.engine


def manifest(folder: Path, **contents: bytes) -> Manifest:
    """What a build of these artifacts has made."""
    folder.mkdir(exist_ok=True)
    found = {}
    for name, body in contents.items():
        file = "datasets.json" if name == "datasets" else f"{name}.zip"
        (folder / file).write_bytes(body)
        sha256 = hashlib.sha256(body).hexdigest()
        found[name] = BuiltArtifact(name, file, sha256, sha256, len(body), len(body))
    return Manifest(folder, found)
