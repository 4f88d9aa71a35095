"""The snapshot that end-to-end tests start from: its name changes with everything that it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sluice.engine.instance import Instance
from sluice.engine.states.files import LAST, States
from tests.support import deployed

ARTIFACTS = {"core-ingest": "a", "datasets": "b"}
VARIABLES: dict[str, Any] = {"chunk_bytes": 1}


def checkout(root: Path) -> Path:
    for name in (
        "infra/stack/main.tf",
        "infra/envs/dev.tfvars",
        "localstack/extension/x/y.py",
        "requirements/host.txt",
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


def digest(root: Path, artifacts: dict[str, str] = ARTIFACTS, variables: Any = VARIABLES, kind: str = "docker") -> str:
    return deployed.digest(artifacts, variables, kind, root)


def test_the_same_content_has_the_same_name(tmp_path: Path) -> None:
    one, other = checkout(tmp_path / "one"), checkout(tmp_path / "other")
    (other / "infra/stack/.terraform").mkdir()
    (other / "infra/stack/.terraform/module.tf").write_text("what Terraform made")
    assert digest(one) == digest(other)


@pytest.mark.parametrize(
    "file", ["infra/stack/main.tf", "infra/envs/dev.tfvars", "localstack/extension/x/y.py", "requirements/host.txt"]
)
def test_another_content_of_a_file_has_another_name(tmp_path: Path, file: str) -> None:
    root = checkout(tmp_path)
    before = digest(root)
    (root / file).write_text("other")
    assert digest(root) != before
    (root / file).unlink()
    assert digest(root) != before


def test_another_artifact_variable_or_engine_has_another_name(tmp_path: Path) -> None:
    root = checkout(tmp_path)
    found = {
        digest(root),
        digest(root, ARTIFACTS | {"datasets": "c"}),
        digest(root, ARTIFACTS | {"core-replay": "a"}),
        digest(root, variables={"chunk_bytes": 2}),
        digest(root, kind="embedded"),
    }
    assert len(found) == 5


def test_what_it_is_made_from_is_there() -> None:
    """A pattern that finds nothing would let a changed checkout start from a stack of before."""
    assert [pattern for pattern in deployed.MADE_FROM if not list(deployed.ROOT.glob(pattern))] == []


@pytest.mark.parametrize("content", [None, b"", b"not a snapshot"])
def test_without_a_usable_snapshot_the_stack_is_deployed(tmp_path: Path, content: bytes | None) -> None:
    snapshot = tmp_path / "deployed.tar"
    if content is not None:
        snapshot.write_bytes(content)
    instance = Instance(tmp_path / "home")
    assert not deployed.offer(instance, snapshot)
    assert not snapshot.exists()
    assert not States(instance.states_dir).path(LAST).exists()
