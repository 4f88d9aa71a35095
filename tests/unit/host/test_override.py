"""tflocal's file: made once for the same code and engine, beside the code only while Terraform runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sluice.console import SluiceError
from sluice.terraform import override
from sluice.terraform.settings import LOCK, Workspace

TFLOCAL = """#!/bin/sh
echo run >> "{calls}"
test "$DRY_RUN" = 1 || exit 9
echo "endpoint $AWS_ENDPOINT_URL" > localstack_providers_override.tf
"""


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    stack, data = tmp_path / "stack", tmp_path / "data"
    stack.mkdir()
    data.mkdir()
    (stack / "main.tf").write_text("# code")
    tflocal = tmp_path / "tflocal"
    tflocal.write_text(TFLOCAL.format(calls=tmp_path / "calls"))
    tflocal.chmod(0o755)
    environment = {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566", "PATH": "/usr/bin:/bin"}
    return Workspace(stack, data, None, environment, ("terraform",), (), tflocal)


def runs(space: Workspace) -> int:
    """How often tflocal ran."""
    calls = space.data.parent / "calls"
    return len(calls.read_text().splitlines()) if calls.exists() else 0


def content(space: Workspace) -> str:
    with override.in_place(space):
        text = (space.stack / override.FILE).read_text()
    assert not (space.stack / override.FILE).exists()
    return text.partition("\n")[2]


def test_the_same_code_and_engine_use_the_same_file(space: Workspace) -> None:
    assert [content(space) for _ in range(3)] == ["endpoint http://127.0.0.1:4566\n"] * 3
    assert runs(space) == 1


def test_another_engine_code_lock_or_tflocal_makes_it_again(space: Workspace) -> None:
    content(space)
    other = replace(space, environment=space.environment | {"AWS_ENDPOINT_URL": "http://127.0.0.1:4567"})
    assert content(other) == "endpoint http://127.0.0.1:4567\n"
    (space.stack / "main.tf").write_text("# other code")
    content(other)
    (space.stack / LOCK).write_text("# lock")
    content(other)
    assert space.tflocal
    space.tflocal.write_text(space.tflocal.read_text() + "# newer\n")
    content(other)
    content(other)
    assert runs(space) == 5


@pytest.mark.parametrize("left", [b"", b"half a fi", b"\xff\xfe", b"# 0000\nendpoint of another"])
def test_a_broken_or_foreign_copy_is_made_again(left: bytes, space: Workspace) -> None:
    (space.data / "override.tf").write_bytes(left)
    assert content(space) == "endpoint http://127.0.0.1:4566\n"
    assert runs(space) == 1


def test_it_is_removed_when_terraform_fails(space: Workspace) -> None:
    with pytest.raises(RuntimeError), override.in_place(space):
        raise RuntimeError
    assert not (space.stack / override.FILE).exists()


def test_a_tflocal_that_fails_is_one_line_and_leaves_nothing(space: Workspace) -> None:
    assert space.tflocal
    space.tflocal.write_text("#!/bin/sh\necho half > localstack_providers_override.tf\necho 'no module' >&2\nexit 1\n")
    with pytest.raises(SluiceError, match="^tflocal failed: no module$"), override.in_place(space):
        pytest.fail("Terraform would run")
    assert list(space.data.iterdir()) == []
    assert not (space.stack / override.FILE).exists()


def test_an_account_has_none(space: Workspace) -> None:
    with override.in_place(replace(space, tflocal=None)):
        assert not (space.stack / override.FILE).exists()
    assert runs(space) == 0
