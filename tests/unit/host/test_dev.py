"""What a saved change touches, and what is to be deployed for a function's code."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from sluice.build import artifacts
from sluice.pipeline import watching
from sluice.terraform import resources

OLD, NEW = "00" * 32, "11" * 32


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    lambdas, datasets = tmp_path / "lambdas", tmp_path / "datasets"
    for name in (
        "core/ingest/handler.py",
        "core/ingest/function.toml",
        "shared/sluice_pipeline/a.py",
        "requirements/base.txt",
    ):
        (lambdas / name).parent.mkdir(parents=True, exist_ok=True)
        (lambdas / name).write_text("")
    datasets.mkdir()
    (datasets / "crm.yaml").write_text("")
    return lambdas, datasets


def test_nothing_saved_is_no_difference(folders: tuple[Path, Path]) -> None:
    assert watching.difference(watching.snapshot(folders), watching.snapshot(folders)) == set()


def test_new_gone_and_replaced_files_are_seen(folders: tuple[Path, Path]) -> None:
    lambdas, datasets = folders
    before = watching.snapshot(folders)
    (lambdas / "core/new.py").write_text("x = 1")
    (datasets / "crm.yaml").unlink()
    handler = lambdas / "core/ingest/handler.py"
    stat = handler.stat()
    other = lambdas / "core/ingest/.handler.py.part"
    other.write_text("")
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(handler)  # an editor's way to save: same size and time, another inode
    found = watching.difference(before, watching.snapshot(folders))
    assert found == {lambdas / "core/new.py", datasets / "crm.yaml", handler}


@pytest.mark.parametrize("name", [".handler.py.swp", "handler.py~", "4913.tmp", "__pycache__/handler.pyc"])
def test_what_editors_and_python_store_is_no_change(folders: tuple[Path, Path], name: str) -> None:
    before = watching.snapshot(folders)
    path = folders[0] / "core/ingest" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("x")
    assert watching.difference(before, watching.snapshot(folders)) == set()


@pytest.mark.parametrize(
    ("name", "code", "datasets", "deploy"),
    [
        ("lambdas/core/ingest/handler.py", True, False, 0),
        ("lambdas/shared/sluice_pipeline/a.py", True, False, 0),
        ("lambdas/core/ingest/function.toml", False, False, 1),
        ("lambdas/requirements/base.txt", False, False, 1),
        ("datasets/crm.yaml", False, True, 0),
    ],
)
def test_a_file_touches_code_datasets_or_needs_a_deployment(
    tmp_path: Path, name: str, code: bool, datasets: bool, deploy: int
) -> None:
    found = watching.touched([tmp_path / name], tmp_path / "lambdas", tmp_path / "datasets")
    assert (found.code, found.datasets, len(found.needs_deploy)) == (code, datasets, deploy)


@pytest.mark.parametrize("text", [b"def (", b"x = '\xff'", b"a\0b", b"if x:\n"])
def test_a_half_written_module_is_broken_until_it_is_saved_whole_or_deleted(tmp_path: Path, text: bytes) -> None:
    path, syntax = tmp_path / "handler.py", watching.Syntax()
    path.write_bytes(text)
    syntax.check([path])
    assert list(syntax.broken) == [path]
    assert "\n" not in syntax.broken[path]
    path.write_bytes(b"x = 1\n")
    syntax.check([path])
    assert syntax.broken == {}
    path.write_bytes(text)
    syntax.check([path])
    path.unlink()
    syntax.check([path])
    assert syntax.broken == {}


def _instance(attributes: dict[str, Any], needs: tuple[str, ...] = (), key: str | int | None = None) -> dict[str, Any]:
    return {"attributes": attributes, "dependencies": list(needs), "index_key": key}


def _state() -> dict[str, Any]:
    """Two functions that share a layer, one without it, and an invocation of the second."""
    found: list[dict[str, Any]] = []

    def add(module: str, kind: str, name: str, *instances: dict[str, Any]) -> None:
        found.append({"mode": "managed", "module": module, "type": kind, "name": name, "instances": list(instances)})

    source_hash = base64.b64encode(bytes.fromhex(OLD)).decode()
    for module, file, layers in (("module.a", "core-a", ["arn:l"]), ("module.w[0].module.b", "b", ["arn:l"]),
                                 ("module.c", "c", [])):  # fmt: skip
        zipped = {"key": f"functions/{file}.zip", "source": f"../build/{file}.zip", "source_hash": source_hash}
        add(module, "aws_s3_object", "zip", _instance(zipped))
        function = {"function_name": f"x-{file}", "s3_key": zipped["key"], "layers": layers}
        add(module, "aws_lambda_function", "this", _instance(function))
    layer = {"key": "layers/l.zip", "source": "../build/layer-l.zip", "source_hash": source_hash}
    add('module.layer["l"]', "aws_s3_object", "zip", _instance(layer))
    add('module.layer["l"]', "aws_lambda_layer_version", "this", _instance({"arn": "arn:l", "s3_key": layer["key"]}))
    needs = ("module.w.module.b.aws_lambda_function.this",)
    add("module.w[0]", "aws_lambda_invocation", "run", _instance({"function_name": "x-b", "input": "{}"}, needs, 0))
    return {"resources": found}


A, B = "module.a.aws_lambda_function.this", "module.w[0].module.b.aws_lambda_function.this"
RUN = "module.w[0].aws_lambda_invocation.run[0]"


@pytest.mark.parametrize(
    ("name", "hashes", "expected"),
    [
        ("x-core-a", {"core-a": NEW, "layer-l": OLD}, [A]),
        ("x-b", {"b": NEW, "layer-l": OLD}, [B, RUN]),
        ("x-core-a", {"layer-l": NEW}, [A, B, RUN]),
        ("x-c", {"layer-l": NEW}, ["module.c.aws_lambda_function.this"]),
        ("x-core-a", {}, [A]),
    ],
)
def test_a_function_takes_along_what_would_be_left_in_the_plan(
    name: str, hashes: dict[str, str], expected: list[str]
) -> None:
    assert resources.targets(resources.read(_state()), [name], hashes) == expected


def test_artifacts_are_found_by_the_zip_that_a_function_was_made_from() -> None:
    assert resources.artifacts_of(resources.read(_state())) == {"x-core-a": "core-a", "x-b": "b", "x-c": "c"}


def test_no_state_has_no_resources() -> None:
    assert resources.read({}) == []


def test_only_what_is_asked_for_is_built_and_the_rest_stays_in_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "install", lambda *_: {"python/x.py": b""})
    first = artifacts.build(tmp_path)
    reported: list[str] = []
    again = artifacts.build(tmp_path, only=["core-ingest"], report=lambda one: reported.append(one.name))
    assert reported == ["layer-base", "core-ingest"]
    assert artifacts.load_manifest(tmp_path).artifacts.keys() == first.artifacts.keys() == again.artifacts.keys()
    first.path("feedback").unlink()
    reported.clear()
    artifacts.build(tmp_path, only=["core-ingest"], layers=False, report=lambda one: reported.append(one.name))
    assert reported == ["core-ingest", "feedback"]
    assert first.path("feedback").exists()
