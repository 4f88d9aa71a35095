"""The YAML loop: a rule is changed in a dataset's file, built and deployed, until functions read the changed rule."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from sluice.bench import stage
from sluice.bench.stage import Stage
from sluice.build.artifacts import compiled_datasets
from sluice.console import fail, note
from sluice.paths import DATASETS_DIR

DATASET, FIELD = "flights", "distance"


@dataclass(frozen=True)
class Loop:
    """Of one changed rule: seconds until it is in service, and the processor seconds of our processes."""

    seconds: float
    processor_seconds: float


def measure(own: Stage, report: Callable[[str], None] = note) -> Loop:
    """Deploys one changed rule, and the datasets of the checkout again. Raises SluiceError when the rule is not in
    service at the end of its deployment."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        changed = Path(folder) / "datasets"
        shutil.copytree(DATASETS_DIR, changed)
        change_a_rule(changed)
        try:
            before = stage.processor_seconds()
            seconds = stage.deploy(own, report, datasets=changed)
            spent = stage.processor_seconds() - before
            _require_in_service(own, compiled_datasets(changed))
        finally:
            stage.deploy(own, report)  # the build's folder is the checkout's
    return Loop(seconds, spent)


def change_a_rule(datasets: Path) -> None:
    """Raises a field's least value by one, in a folder of datasets."""
    path = datasets / f"{DATASET}.yaml"
    content = yaml.safe_load(path.read_text())
    field = content["fields"][FIELD]
    field["min"] = field.get("min", 0) + 1
    path.write_text(yaml.safe_dump(content))


def _require_in_service(own: Stage, expected: bytes) -> None:
    bucket, key = own.stack["artifacts_bucket"], own.stack["datasets_key"]
    if own.stack.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read() != expected:
        fail(f"s3://{bucket}/{key} has another content than was deployed", 1)
