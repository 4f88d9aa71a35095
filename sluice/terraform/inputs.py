"""What a deployment was made from, so that one which changes the datasets alone need not read everything else again.

Terraform compares the whole code with its state either way. Without a refresh it takes the state's word for what
exists. So only a local state that the last deployment wrote counts, and each other deployment refreshes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from sluice.terraform.settings import Workspace

DATASETS = "datasets"  # in the build's manifest
ARTIFACTS_DIR = "TF_VAR_artifacts_dir"


@dataclass(frozen=True)
class Inputs:
    """Hashes: of the datasets, of everything else, and of the state when the deployment had ended."""

    datasets: str
    others: str
    state: str = ""


def of(space: Workspace, arguments: list[str], code: str) -> Inputs | None:
    """The inputs of a deployment; None where they cannot be known, or the state is not a local file."""
    if space.state is None:
        return None
    try:
        manifest = json.loads((Path(space.environment[ARTIFACTS_DIR]) / "manifest.json").read_text())
        artifacts = {name: entry["sha256"] for name, entry in manifest["artifacts"].items()}
        files = {word: _hash(Path(word.partition("=")[2])) for word in arguments if word.startswith("-var-file=")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    datasets = str(artifacts.pop(DATASETS, ""))
    given = {name: value for name, value in space.environment.items() if name.startswith("TF_VAR_")}
    others = json.dumps([artifacts, files, arguments, given, code], sort_keys=True)
    return Inputs(datasets, hashlib.sha256(others.encode()).hexdigest())


def only_datasets_changed(space: Workspace, now: Inputs | None) -> bool:
    """Whether the last deployment differs from this one in the datasets and in nothing else."""
    if now is None or space.state is None:
        return False
    try:
        before = Inputs(**json.loads(_record(space).read_text()))
        state = _hash(space.state)
    except (OSError, ValueError, TypeError):
        return False
    return (now.others, state) == (before.others, before.state) and now.datasets != before.datasets


def nothing_deployed(space: Workspace) -> bool:
    """Whether an engine's state, which is a local file, has no resource; False where it cannot be known."""
    if space.state is None:
        return False
    try:
        return not json.loads(space.state.read_text()).get("resources")
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False


def record(space: Workspace, made_of: Inputs | None) -> None:
    """Records what the deployment that has just ended was made from."""
    if made_of is None or space.state is None or not space.state.exists():
        _record(space).unlink(missing_ok=True)
        return
    _record(space).write_text(json.dumps(asdict(Inputs(made_of.datasets, made_of.others, _hash(space.state)))))


def _record(space: Workspace) -> Path:
    return space.data / "sluice-inputs.json"


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
