"""What is built, from what, and whether it must be built again."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sluice.build import archive, limits
from sluice.build import source as sources
from sluice.build.functions import Sources
from sluice.build.jobs import find_jobs
from sluice.build.layers import LAYERS, Layer, install
from sluice.build.source import Source
from sluice.console import SluiceError, fail
from sluice.paths import BUILD_DIR, CACHE_DIR, DATASETS_DIR, JOBS_DIR, LAMBDAS_DIR

DATASETS = "datasets"  # its name in the manifest; beside the jobs' scripts the only artifact that is no zip
SCHEMA = "1"  # raise it when the same inputs give other bytes

_LARGEST_KEPT = 5


@dataclass(frozen=True)
class BuiltArtifact:
    """One file: a zip, or the compiled datasets.

    `inputs` is the hash of what it was made from, `sha256` that of its bytes; sizes in bytes.
    """

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
    """What is in the build folder, by artifact name (core-ingest, feedback, layer-base ...)."""

    folder: Path
    artifacts: dict[str, BuiltArtifact]
    source: Source = field(default_factory=Source)

    def path(self, name: str) -> Path:
        return self.folder / self.artifacts[name].file


Report = Callable[[BuiltArtifact], None]


def load_manifest(folder: Path = BUILD_DIR) -> Manifest:
    """The last build, or an empty manifest when there is none or it cannot be read."""
    try:
        data = json.loads((folder / "manifest.json").read_text())
        artifacts = {name: BuiltArtifact(**entry) for name, entry in data["artifacts"].items()}
        source = Source(**data.get("source", {}))
    except (OSError, ValueError, KeyError, TypeError):
        return Manifest(folder, {})
    return Manifest(folder, artifacts, source)


def build(
    folder: Path = BUILD_DIR,
    *,
    report: Report | None = None,
    force: bool = False,
    datasets: Path = DATASETS_DIR,
    lambdas: Path = LAMBDAS_DIR,
    jobs: Path = JOBS_DIR,
    only: Collection[str] | None = None,
    layers: bool = True,
) -> Manifest:
    """Builds what changed and returns the manifest. `report` is called once for each artifact.

    only: artifacts of functions, or `datasets`. These, their layers (unless `layers` is false) and what was never built
    are built; the others stay as the last build left them.

    Raises SluiceError: code 2 for an invalid dataset file, 1 when a layer cannot be had or a limit is passed.
    """
    last = {} if only is None else _present(folder)
    made_of = sources.now((lambdas, jobs, datasets))
    code = Sources(lambdas)
    functions = [one for one in code.functions if only is None or one.artifact in only or one.artifact not in last]
    compiled = compiled_datasets(datasets) if only is None or DATASETS in only or DATASETS not in last else None
    members = {function.artifact: code.code_of(function) for function in functions}
    wanted = [job for job in find_jobs(jobs) if only is None or job.artifact in only or job.artifact not in last]
    members |= {job.artifact: dict(job.library(code)) for job in wanted}
    used_layers = {layer for function in functions for layer in function.layers}
    with _locked(folder):
        before = {} if force else load_manifest(folder).artifacts
        built: dict[str, BuiltArtifact] = dict(last)
        for layer in LAYERS:
            name = f"layer-{layer.name}"
            if name in last and not (layers and layer.name in used_layers):
                continue
            built[name] = _layer(folder, name, layer, before.get(name))
            if report:
                report(built[name])
        for name, files in members.items():
            inputs = archive.digest_of(files, SCHEMA)
            built[name] = _artifact(folder, name, inputs, functools.partial(dict, files), before.get(name))
            if report:
                report(built[name])
        for job in wanted:
            name = job.script_artifact
            built[name] = _plain(folder, name, f"{name}.py", job.script.read_bytes(), before.get(name))
            if report:
                report(built[name])
        if compiled is not None:
            built[DATASETS] = _plain(folder, DATASETS, f"{DATASETS}.json", compiled, before.get(DATASETS))
            if report:
                report(built[DATASETS])
        for function in functions:
            used = [built[function.artifact], *(built[f"layer-{layer}"] for layer in function.layers)]
            largest = {f"{part.name}:{file}": size for part in used for file, size in part.largest.items()}
            limits.check(function.artifact, {part.name: part.unzipped for part in used}, largest)
        manifest = Manifest(folder, built, made_of if only is None else _partly(made_of, load_manifest(folder).source))
        _write_manifest(manifest)
    return manifest


def _partly(new: Source, last: Source) -> Source:
    """The source of artifacts some of which are of the last build's, the others of this one's."""
    return new if new.tree == last.tree else Source(new.commit, dirty=True)


def _present(folder: Path) -> dict[str, BuiltArtifact]:
    """What the last build made and is still there."""
    last = load_manifest(folder).artifacts
    return {name: artifact for name, artifact in last.items() if (folder / artifact.file).exists()}


def compiled_datasets(folder: Path) -> bytes:
    """The dataset files as the object that functions read. Raises SluiceError (code 2): file, field and reason."""
    from sluice_pipeline.catalog.compiler import compile_catalog
    from sluice_pipeline.catalog.document import deployed_body
    from sluice_pipeline.catalog.errors import CatalogError

    try:
        catalog = compile_catalog(folder)
    except CatalogError as error:
        fail(f"{folder.name}/{error.file}: {error.field}: {error.reason}")
    return deployed_body(catalog)


def _plain(folder: Path, name: str, file: str, content: bytes, before: BuiltArtifact | None) -> BuiltArtifact:
    """An artifact that is no zip."""
    target = folder / file
    sha256, size = hashlib.sha256(content).hexdigest(), len(content)
    same = before is not None and before.sha256 == sha256 and target.exists() and _same(target, before)
    if not same:
        target.write_bytes(content)
    return BuiltArtifact(name, target.name, sha256, sha256, size, size, rebuilt=not same)


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
    content = {"schema": SCHEMA, "source": asdict(manifest.source), "artifacts": lasting}
    partial = manifest.folder / "manifest.part"
    partial.write_text(json.dumps(content, indent=2) + "\n")
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
