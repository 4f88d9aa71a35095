"""A deployed stack retains its resources: the state of an older deployment planned against this code.

`moved/state.json.gz` is the state of a deployment by commit a08df29, the last one before branches became modules, with
infra/envs/dev.tfvars and `moved/more.tfvars`. Dependencies, outputs and secrets are left out of it. Paths and hashes of
zips are placeholders, so that the code of functions and layers is the same before and after.
"""

import base64
import gzip
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.infra.planning import ARTIFACTS, ENVS, copy_infra, plan_in

MOVED = Path(__file__).parent / "moved"
INSTANCES = 243
"""Resources of the older deployment."""


class StepFunctions(BaseHTTPRequestHandler):
    """Accepts every definition: the provider has a changed one validated while it plans.

    https://docs.aws.amazon.com/step-functions/latest/apireference/API_ValidateStateMachineDefinition.html
    """

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["X-Amz-Target"].endswith(".ValidateStateMachineDefinition")
        body = json.dumps({"result": "OK", "diagnostics": []}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def step_functions() -> Iterator[str]:
    """The address of a server for as long as the context lasts."""
    with HTTPServer(("127.0.0.1", 0), StepFunctions) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def plan_of_the_old_state(infra: Path) -> list[dict[str, Any]]:
    """Planned changes of resources when this copy of infra/ is applied to the older deployment."""
    code_hash = base64.b64encode(hashlib.sha256((ARTIFACTS / "layer-base.zip").read_bytes()).digest()).decode()
    state = gzip.decompress((MOVED / "state.json.gz").read_bytes()).decode()
    state = state.replace("@artifacts@", str(ARTIFACTS)).replace("@code hash@", code_hash)
    (infra / "stack/terraform.tfstate").write_text(state)
    with step_functions() as address:
        files = [ENVS / "dev.tfvars", MOVED / "more.tfvars"]
        plan = plan_in(infra, files, "-refresh=false", AWS_ENDPOINT_URL_SFN=address)
    assert plan.contacted == ()
    changes: list[dict[str, Any]] = plan.document["resource_changes"]
    return changes


def lost(changes: list[dict[str, Any]]) -> list[str]:
    """Addresses that would be destroyed, replaced ones too; an invocation is no thing that can be."""
    return [c["address"] for c in gone(changes) if c["type"] != "aws_lambda_invocation"]


def gone(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [c for c in changes if {"delete", "forget"} & set(c["change"]["actions"])]


def test_a_deployed_stack_retains_every_resource(tmp_path: Path) -> None:
    changes = plan_of_the_old_state(copy_infra(tmp_path / "infra"))
    assert lost(changes) == []
    # The tables of the datasets are another trigger of the migration, so it runs once more.
    assert [c["address"] for c in gone(changes)] == ["module.warehouse[0].aws_lambda_invocation.migrate"]
    kept = [c for c in changes if c["change"]["actions"] in (["no-op"], ["update"])]
    assert len(kept) == INSTANCES - 1
    # One write of the setting puts the queue in the function's place: no object is announced to neither.
    [setting] = [c["change"] for c in changes if c["type"] == "aws_s3_bucket_notification"]
    assert setting["actions"] == ["update"]
    assert [len(setting[when]["lambda_function"]) for when in ("before", "after")] == [1, 0]
    assert len(setting["after"]["queue"]) == 1


@pytest.mark.thorough(
    "tests/infra/test_moved_state.py::test_a_deployed_stack_retains_every_resource",
    why="it shows that the named test can fail",
)
def test_without_a_moved_block_a_resource_would_be_destroyed(tmp_path: Path) -> None:
    infra = copy_infra(tmp_path / "infra")
    moved = infra / "stack/moved.tf"
    block = r"moved \{\n  from = module\.feedback_table\[0\]\n.*?\n\}\n"
    text, found = re.subn(block, "", moved.read_text(), flags=re.DOTALL)
    assert found == 1
    moved.write_text(text)
    assert lost(plan_of_the_old_state(infra)) == ["module.feedback_table[0].aws_dynamodb_table.this"]
