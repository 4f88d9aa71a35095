"""Packaging: bytes that depend on contents only, limits, and what is built again."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from sluice.build import archive, artifacts, limits
from sluice.build.functions import find_functions
from sluice.build.jobs import find_jobs
from sluice.build.layers import LAYERS, Layer
from sluice.console import SluiceError
from sluice.paths import BUILD_DIR, DATASETS_DIR, LAMBDAS_DIR, RUNTIMES_DIR

FUNCTIONS = [function.artifact for function in find_functions()]
JOBS = [job.artifact for job in find_jobs()]
SCRIPTS = [job.script_artifact for job in find_jobs()]


def small_tree(folder: Path) -> Path:
    (folder / "pkg/__pycache__").mkdir(parents=True)
    (folder / "b.py").write_text("b = 1\n")
    (folder / "pkg/a.py").write_text("a = 1\n")
    (folder / "pkg/lib.so.1").write_bytes(b"\x7fELF")
    (folder / "pkg/__pycache__/a.cpython-313.pyc").write_bytes(b"cache")
    return folder


def test_the_same_contents_give_the_same_bytes_whatever_the_path_time_or_mode(tmp_path: Path) -> None:
    one, two = small_tree(tmp_path / "one"), small_tree(tmp_path / "somewhere/else")
    os.utime(two / "b.py", (1, 1))
    (two / "b.py").chmod(0o600)
    for folder, name in ((one, "1.zip"), (two, "2.zip")):
        archive.write_zip(tmp_path / name, archive.tree(folder))
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()


def test_a_zip_is_sorted_readable_for_all_and_free_of_caches(tmp_path: Path) -> None:
    size = archive.write_zip(tmp_path / "x.zip", {**archive.tree(small_tree(tmp_path / "t")), "data.json": b"{}"})
    with zipfile.ZipFile(tmp_path / "x.zip") as made:
        assert made.namelist() == ["b.py", "data.json", "pkg/a.py", "pkg/lib.so.1"]
        assert {i.date_time for i in made.infolist()} == {archive.EPOCH}
        assert [oct(i.external_attr >> 16) for i in made.infolist()] == ["0o100644"] * 3 + ["0o100755"]
        assert size == sum(i.file_size for i in made.infolist())


def test_names_count_in_the_hash_of_inputs() -> None:
    assert archive.digest_of({"a": b"1"}) != archive.digest_of({"b": b"1"})
    assert archive.digest_of({"a": b"1", "b": b"2"}) == archive.digest_of({"b": b"2", "a": b"1"})
    assert archive.digest_of({"a": b"1"}, "schema 1") != archive.digest_of({"a": b"1"}, "schema 2")


def test_a_function_at_the_limit_passes_and_one_byte_more_does_not() -> None:
    limits.check("f", {"f": 1000, "layer-x": limits.UNZIPPED_LIMIT - 1000}, {})
    with pytest.raises(SluiceError) as raised:
        limits.check(
            "f", {"f": 1001, "layer-x": limits.UNZIPPED_LIMIT - 1000}, {"layer-x:big.so": 9_000_000, "f:a.py": 12}
        )
    assert str(raised.value) == (
        "function f is 262,144,001 bytes unzipped with its layers, Lambda allows 262,144,000"
        " (layer-x 262.1 MB, f 1.0 kB); largest files: layer-x:big.so 9.0 MB, f:a.py 12 B"
    )
    assert raised.value.code == 1


@pytest.fixture
def lambdas(tmp_path: Path) -> Path:
    """A copy of the functions' code that a test may change."""
    target = tmp_path / "lambdas"
    shutil.copytree(LAMBDAS_DIR, target, ignore=shutil.ignore_patterns("__pycache__", "requirements"))
    return target


@pytest.fixture
def no_layers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Layers without downloads; returns the names of those that were installed."""
    installed: list[str] = []

    def install(layer: Layer, _folder: Path) -> dict[str, bytes]:
        installed.append(layer.name)
        return {f"python/{layer.name}.py": b"x = 1\n"}

    monkeypatch.setattr(artifacts, "install", install)
    return installed


def test_a_second_build_builds_nothing(lambdas: Path, no_layers: list[str], tmp_path: Path) -> None:
    first = artifacts.build(tmp_path / "out", lambdas=lambdas)
    assert [a.name for a in first.artifacts.values() if a.rebuilt] == [
        "layer-api", "layer-arrow", "layer-base", "layer-postgres",
        *FUNCTIONS, *JOBS, *SCRIPTS, "datasets"]  # fmt: skip
    second = artifacts.build(tmp_path / "out", lambdas=lambdas)
    assert not any(a.rebuilt for a in second.artifacts.values())
    assert no_layers == ["api", "arrow", "base", "postgres"]
    assert {n: a.sha256 for n, a in first.artifacts.items()} == {n: a.sha256 for n, a in second.artifacts.items()}


def test_only_the_changed_function_is_rebuilt(lambdas: Path, no_layers: list[str], tmp_path: Path) -> None:
    artifacts.build(tmp_path / "out", lambdas=lambdas)
    (lambdas / "core/ingest/extra.py").write_text("y = 2\n")
    built = artifacts.build(tmp_path / "out", lambdas=lambdas).artifacts
    assert [name for name, artifact in built.items() if artifact.rebuilt] == ["core-ingest"]


def test_shared_code_rebuilds_every_function_and_no_layer(lambdas: Path, no_layers: list[str], tmp_path: Path) -> None:
    artifacts.build(tmp_path / "out", lambdas=lambdas)
    (lambdas / "shared/sluice_pipeline/extra.py").write_text("y = 2\n")
    built = artifacts.build(tmp_path / "out", lambdas=lambdas).artifacts
    assert [name for name, artifact in built.items() if artifact.rebuilt] == [*FUNCTIONS, *JOBS]


GONE = {
    "import core.ingest.gone": "core.ingest.gone",
    "from core.ingest.gone import x": "core.ingest.gone.x",
    "from core.ingest import gone": "core.ingest.gone",
    "from sluice_pipeline import gone": "sluice_pipeline.gone",
    "def f():\n    import sluice_pipeline.gone": "sluice_pipeline.gone",
}
"""An import, and the name that the refusal says."""


def test_an_import_of_a_module_that_is_gone_is_refused(lambdas: Path, no_layers: list[str], tmp_path: Path) -> None:
    artifacts.build(tmp_path / "out", lambdas=lambdas)
    for line, missing in GONE.items():
        (lambdas / "core/ingest/extra.py").write_text(f"{line}\n")
        with pytest.raises(SluiceError) as raised:
            artifacts.build(tmp_path / "out", lambdas=lambdas)
        assert str(raised.value) == f"lambdas/core/ingest/extra.py imports {missing}, which is not there"


IMPORTS = [
    "import core", "import core.ingest.handler", "from core.ingest import handler", "from core.ingest.own import *",
    "from core.ingest.own import x, nothing_is_known_of_it", "from core.ingest import NAME", "import boto3.session",
    "from . import gone",
]  # fmt: skip


def test_imports_of_what_is_there_or_elsewhere_are_built(lambdas: Path, no_layers: list[str], tmp_path: Path) -> None:
    """Each in a module of its own: one build reads them all."""
    (lambdas / "core/ingest/own.py").write_text("x = 1\n")
    (lambdas / "core/ingest/__init__.py").write_text("NAME = 1\n")
    for number, line in enumerate(IMPORTS):
        (lambdas / f"core/ingest/extra_{number}.py").write_text(f"{line}\n")
    artifacts.build(tmp_path / "out", lambdas=lambdas)
    with zipfile.ZipFile(tmp_path / "out/core-ingest.zip") as made:
        assert {f"core/ingest/extra_{number}.py" for number in range(len(IMPORTS))} <= set(made.namelist())


def test_a_damaged_zip_is_built_again(lambdas: Path, no_layers: list[str], tmp_path: Path) -> None:
    before = artifacts.build(tmp_path / "out", lambdas=lambdas).artifacts["core-ingest"]
    zip_path = tmp_path / "out/core-ingest.zip"
    data = bytearray(zip_path.read_bytes())
    data[100] ^= 0xFF
    zip_path.write_bytes(data)
    after = artifacts.build(tmp_path / "out", lambdas=lambdas).artifacts["core-ingest"]
    assert after.rebuilt
    assert after.sha256 == before.sha256 == archive.file_sha256(zip_path)


def test_the_manifest_says_nothing_about_this_run(lambdas: Path, no_layers: list[str], tmp_path: Path) -> None:
    artifacts.build(tmp_path / "out", lambdas=lambdas)
    first = (tmp_path / "out/manifest.json").read_bytes()
    artifacts.build(tmp_path / "out", lambdas=lambdas)
    assert (tmp_path / "out/manifest.json").read_bytes() == first
    assert str(tmp_path).encode() not in first


def test_a_functions_zip_holds_its_code_and_the_shared_package_but_no_datasets(
    lambdas: Path, no_layers: list[str], tmp_path: Path
) -> None:
    artifacts.build(tmp_path / "out", lambdas=lambdas)
    with zipfile.ZipFile(tmp_path / "out/core-transform.zip") as made:
        names = set(made.namelist())
    assert {"core/__init__.py", "core/transform/handler.py", "sluice_pipeline/__init__.py"} <= names
    assert "sluice_pipeline/catalog/datasets.py" in names
    assert not any(name.endswith(".pyc") or name.startswith(("tests", "lambdas")) for name in names)
    assert not any(name.endswith(".json") for name in names)
    whole = json.loads((tmp_path / "out/datasets.json").read_text())
    assert sorted(whole["datasets"]) == sorted(path.stem for path in DATASETS_DIR.glob("*.yaml"))


def test_a_changed_rule_rebuilds_the_datasets_and_leaves_every_zip_byte_identical(
    lambdas: Path, no_layers: list[str], tmp_path: Path
) -> None:
    datasets = tmp_path / "datasets"
    shutil.copytree(DATASETS_DIR, datasets)
    artifacts.build(tmp_path / "out", lambdas=lambdas, datasets=datasets)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.*")}
    text = (datasets / "shipments.yaml").read_text()
    changed = text.replace("max: 200", "max: 150", 1)
    assert changed != text
    (datasets / "shipments.yaml").write_text(changed)
    built = artifacts.build(tmp_path / "out", lambdas=lambdas, datasets=datasets).artifacts
    assert [name for name, artifact in built.items() if artifact.rebuilt] == ["datasets"]
    after = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.*")}
    assert {name for name in after if after[name] != before[name]} == {"datasets.json", "manifest.json"}


def test_an_invalid_dataset_is_refused_with_file_field_and_reason(
    lambdas: Path, no_layers: list[str], tmp_path: Path
) -> None:
    datasets = tmp_path / "datasets"
    shutil.copytree(DATASETS_DIR, datasets)
    text = (datasets / "shipments.yaml").read_text()
    (datasets / "shipments.yaml").write_text(text.replace("float64", "float63"))
    with pytest.raises(SluiceError, match=r"^datasets/shipments\.yaml: .*float63") as raised:
        artifacts.build(tmp_path / "out", lambdas=lambdas, datasets=datasets)
    assert raised.value.code == 2
    assert "\n" not in str(raised.value)
    assert no_layers == []


def test_a_function_without_a_handler_is_refused(lambdas: Path, no_layers: list[str], tmp_path: Path) -> None:
    (lambdas / "core/ingest/handler.py").unlink()
    with pytest.raises(SluiceError, match="lambdas/core/ingest/handler.py is missing"):
        artifacts.build(tmp_path / "out", lambdas=lambdas)


def test_layers_come_from_locks_and_boto3_is_pinned_in_the_base_one() -> None:
    """The managed runtime's own changes without notice: https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html"""
    pinned = [layer.name for layer in LAYERS if re.search(r"^boto3==", layer.lock.read_text(), re.MULTILINE)]
    assert pinned == ["base"]
    assert all("--hash=sha256:" in layer.lock.read_text() for layer in LAYERS)


@pytest.mark.slow
def test_the_layers_import_in_the_lambda_runtime(tmp_path: Path) -> None:
    """Slimming left everything that functions load: proven by the interpreter that runs them."""
    artifacts.build(BUILD_DIR)
    for name in ("layer-base", "layer-arrow"):
        with zipfile.ZipFile(BUILD_DIR / f"{name}.zip") as made:
            made.extractall(tmp_path)
    code = """
import io, sys
sys.path.insert(0, sys.argv[1])
import pyarrow as pa
import pyarrow.json, pyarrow.csv, pyarrow.compute, pyarrow.parquet, pyarrow.dataset, pyarrow.fs
import aws_lambda_powertools, boto3, jmespath
assert boto3.__file__.startswith(sys.argv[1]), boto3.__file__
for service in ("dynamodb", "s3", "secretsmanager", "sns", "sqs", "stepfunctions"):
    boto3.client(service, region_name="eu-central-1")
table = pyarrow.json.read_json(io.BytesIO(b'{"a": 1, "d": "2026-01-02"}\\n'))
assert pyarrow.csv.read_csv(io.BytesIO(b"a\\n1\\n")).num_rows == 1
sink = pa.BufferOutputStream()
pyarrow.parquet.write_table(table, sink, compression="zstd")
assert pyarrow.parquet.read_table(pa.BufferReader(sink.getvalue())).to_pylist() == table.to_pylist()
assert pyarrow.compute.sum(table["a"]).as_py() == 1
print("ok")
"""
    done = subprocess.run(
        [RUNTIMES_DIR / "python3.13/bin/python", "-I", "-c", code, tmp_path / "python"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "ok\n", done.stderr


def test_the_base_layer_has_boto3_with_every_service_that_a_function_calls_and_no_other() -> None:
    [base] = [layer for layer in LAYERS if layer.name == "base"]
    text = "".join(path.read_text() for path in LAMBDAS_DIR.rglob("*.py"))
    called = set(re.findall(r'client\(\s*"([a-z0-9-]+)"', text))
    assert {"dynamodb", "s3", "sqs"} < called
    has = {
        service
        for service in [*called, "ec2", "iam"]
        if not base.leaves_out(f"botocore/data/{service}/x/service-2.json.gz")
    }
    assert has == called
    assert not base.leaves_out("botocore/data/endpoints.json")
    assert not base.leaves_out("botocore/client.py")
    assert base.leaves_out("boto3/data/s3/2006-03-01/resources-1.json")


@pytest.mark.parametrize(
    ("patterns", "out"),
    [((), False), (("a/*",), True), (("a/*", "!a/b"), False), (("!a/b", "a/*"), True), (("a/*", "!a/c"), True)],
)
def test_the_last_pattern_that_a_file_matches_decides(patterns: tuple[str, ...], out: bool) -> None:
    assert Layer("x", Path("x.txt"), patterns).leaves_out("a/b") is out
