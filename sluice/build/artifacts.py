"""What is built, from what, and whether it must be built again."""

from __future__ import annotations

import fcntl
import functools
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sluice.build import archive, limits
from sluice.build.layers import LAYERS, Layer, install
from sluice.console import SluiceError, fail
from sluice.paths import BUILD_DIR, CACHE_DIR, DATASETS_DIR, LAMBDAS_DIR, SHARED_DIR

SCHEMA = "1"  # raise it when the same inputs give other bytes

FUNCTIONS: dict[str, tuple[str, ...]] = {
    "ingest": ("base",),
    "transform": ("base", "arrow"),
    "replay": ("base",),
    "watch": ("base",),
    "migrate": ("base", "postgres"),
    "load": ("base", "arrow", "postgres"),
    "feedback": ("base", "arrow"),
    "api": ("base", "postgres", "api"),
    "checkins": ("base", "arrow"),
    "checkin_executor": ("base",),
}
"""The functions and the layers that Terraform gives them (infra/stack)."""

_LARGEST_KEPT = 5


@dataclass(frozen=True)
class BuiltArtifact:
    """One zip. `inputs` is the hash of what it was made from, `sha256` that of its bytes; sizes in bytes."""

    name: str
    file: str
    inputs: str
    sha256: str
    zipped: int
    unzipped: int
    largest: dict[str, int] = field(default_factory=dict)
    rebuilt: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class Manifest:
    """What lies in the build folder, by artifact name (ingest, transform, layer-base, layer-arrow)."""

    folder: Path
    artifacts: dict[str, BuiltArtifact]

    def path(self, name: str) -> Path:
        return self.folder / self.artifacts[name].file


Report = Callable[[BuiltArtifact], None]


def load_manifest(folder: Path = BUILD_DIR) -> Manifest:
    """The last build, or an empty manifest when there is none or it cannot be read."""
    try:
        data = json.loads((folder / "manifest.json").read_text())
        artifacts = {name: BuiltArtifact(**entry) for name, entry in data["artifacts"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        artifacts = {}
    return Manifest(folder, artifacts)


def build(
    folder: Path = BUILD_DIR,
    *,
    report: Report | None = None,
    force: bool = False,
    datasets: Path = DATASETS_DIR,
    lambdas: Path = LAMBDAS_DIR,
) -> Manifest:
    """Builds what changed and returns the manifest. `report` is called once for each artifact.

    Raises SluiceError: code 2 for an invalid dataset file, 1 when a layer cannot be had or a limit is passed.
    """
    members = {name: function_members(name, datasets, lambdas) for name in FUNCTIONS}
    with _locked(folder):
        before = {} if force else load_manifest(folder).artifacts
        built: dict[str, BuiltArtifact] = {}
        for layer in LAYERS:
            name = f"layer-{layer.name}"
            built[name] = _layer(folder, name, layer, before.get(name))
            if report:
                report(built[name])
        for name, files in members.items():
            inputs = archive.digest_of(files, SCHEMA)
            built[name] = _artifact(folder, name, inputs, functools.partial(dict, files), before.get(name))
            if report:
                report(built[name])
        for name, layers in FUNCTIONS.items():
            used = [built[name], *(built[f"layer-{layer}"] for layer in layers)]
            largest = {f"{part.name}:{file}": size for part in used for file, size in part.largest.items()}
            limits.check(name, {part.name: part.unzipped for part in used}, largest)
        manifest = Manifest(folder, built)
        _write_manifest(manifest)
    return manifest


def function_members(name: str, datasets: Path = DATASETS_DIR, lambdas: Path = LAMBDAS_DIR) -> dict[str, Path | bytes]:
    """What a function's zip holds: its own modules at the root, the shared package, the compiled datasets."""
    own = archive.tree(lambdas / name)
    if "handler.py" not in own:
        fail(f"lambdas/{name}/handler.py is missing", 1)
    shared = archive.tree(lambdas / SHARED_DIR.name / "pipeline", "pipeline/")
    return {**own, **shared, "pipeline/datasets.json": compiled_datasets(datasets)}


def compiled_datasets(folder: Path) -> bytes:
    """The dataset files as the JSON that functions read. Raises SluiceError (code 2): file, field and reason."""
    from pipeline.catalog import CatalogError, compile_catalog

    try:
        catalog = compile_catalog(folder)
    except CatalogError as error:
        fail(f"{folder.name}/{error.file}: {error.field}: {error.reason}")
    return json.dumps(catalog, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def _layer(folder: Path, name: str, layer: Layer, before: BuiltArtifact | None) -> BuiltArtifact:
    inputs = archive.digest_of({"lock": layer.lock}, SCHEMA, layer.recipe)
    scratch = CACHE_DIR / "build" / f"{name}-{folder.name}"
    try:
        return _artifact(folder, name, inputs, lambda: install(layer, scratch), before)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _artifact(
    folder: Path,
    name: str,
    inputs: str,
    members: Callable[[], archive.Members],
    before: BuiltArtifact | None,
) -> BuiltArtifact:
    started = time.monotonic()
    target = folder / f"{name}.zip"
    if before is not None and before.inputs == inputs and target.exists() and _same(target, before):
        return _replace(before, rebuilt=False, seconds=time.monotonic() - started)
    files = members()
    unzipped = archive.write_zip(target, files)
    sizes = {n: len(m) if isinstance(m, bytes) else m.stat().st_size for n, m in files.items()}
    largest = dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:_LARGEST_KEPT])
    return BuiltArtifact(
        name=name,
        file=target.name,
        inputs=inputs,
        sha256=archive.file_sha256(target),
        zipped=target.stat().st_size,
        unzipped=unzipped,
        largest=largest,
        rebuilt=True,
        seconds=time.monotonic() - started,
    )


def _same(target: Path, before: BuiltArtifact) -> bool:
    return target.stat().st_size == before.zipped and archive.file_sha256(target) == before.sha256


def _replace(artifact: BuiltArtifact, *, rebuilt: bool, seconds: float) -> BuiltArtifact:
    return BuiltArtifact(**{**asdict(artifact), "rebuilt": rebuilt, "seconds": seconds})


def _write_manifest(manifest: Manifest) -> None:
    lasting = {
        name: {key: value for key, value in asdict(artifact).items() if key not in ("rebuilt", "seconds")}
        for name, artifact in sorted(manifest.artifacts.items())
    }
    partial = manifest.folder / "manifest.part"
    partial.write_text(json.dumps({"schema": SCHEMA, "artifacts": lasting}, indent=2) + "\n")
    partial.replace(manifest.folder / "manifest.json")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One build at a time per folder; the second then finds nothing to do."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SluiceError(f"cannot write to {folder}: {error.strerror}") from error
    with (folder / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
