"""Which artifacts all suites have passed with, by the hash of their bytes: only these go to an account.

A session of whole suites that nothing failed in records the artifacts that it ran, in `tested.json` beside them. Suites
that ran on several machines leave a record each: all files `tested*.json` of the folder count.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from sluice.build import source
from sluice.build.artifacts import BuiltArtifact, Manifest, load_manifest
from sluice.console import fail
from sluice.paths import BUILD_DIR

SUITES = ("contract", "e2e", "infra", "unit")
FILE = "tested.json"
PROD = "prod"
_KEPT = 400  # hashes in the file: some ten builds

type Record = dict[str, dict[str, int]]
"""The suites that passed with an artifact, by its SHA-256, and when (Unix time)."""


def record(suites: Collection[str], tree: str, folder: Path = BUILD_DIR) -> int:
    """Records that the suites passed; returns for how many artifacts.

    tree: hash of the source before the suites began. Nothing is recorded when the source has changed since, or when
    what is built is not made from it: then what was tested is not known.
    """
    manifest = load_manifest(folder)
    if not tree or manifest.source.tree != tree or source.tree() != tree:
        return 0
    known = _read(folder / FILE)
    passed = dict.fromkeys(sorted(suites), int(time.time()))
    for artifact in manifest.artifacts.values():
        known[artifact.sha256] = known.pop(artifact.sha256, {}) | passed
    partial = folder / "tested.part"
    partial.write_text(json.dumps(dict(list(known.items())[-_KEPT:]), indent=1) + "\n")
    partial.replace(folder / FILE)
    return len(manifest.artifacts)


def missing(manifest: Manifest) -> dict[str, list[str]]:
    """The suites that are missing, by the name of the artifact that they did not run with."""
    known: Record = {}
    for file in sorted(manifest.folder.glob("tested*.json")):
        for sha256, passed in _read(file).items():
            known[sha256] = known.get(sha256, {}) | passed
    return {name: left for name, one in sorted(manifest.artifacts.items()) if (left := _missing(one, known))}


def require(manifest: Manifest, env: str, *, untested: bool = False) -> None:
    """Refuses what the suites did not run with. untested: go on all the same, which production does not.

    Raises SluiceError (code 2) for --untested in production, and (code 1) for artifacts that were not tested.
    """
    if untested and env == PROD:
        fail("--untested is refused in prod: run `make test`")
    found = missing(manifest)
    if not found or untested:
        return
    first, suites = next(iter(found.items()))
    more = f" and {len(found) - 1} more artifacts" if len(found) > 1 else ""
    way_out = "" if env == PROD else ", or go on with --untested"
    fail(f"{first}{more} did not pass {', '.join(suites)}: run `make test`{way_out}", 1)


def _missing(artifact: BuiltArtifact, known: Mapping[str, Mapping[str, int]]) -> list[str]:
    return [suite for suite in SUITES if suite not in known.get(artifact.sha256, {})]


def _read(file: Path) -> Record:
    """A record; one that cannot be read says nothing."""
    try:
        found = json.loads(file.read_text())
        return {str(one): {str(suite): int(when) for suite, when in passed.items()} for one, passed in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
