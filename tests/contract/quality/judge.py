"""Runs in the environment of the job: audits rows with its engine. A request a line, an answer a line."""

import importlib.util
import json
import sys
import traceback
from datetime import datetime
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[3]
sys.path[:0] = [str(ROOT / "lambdas"), str(ROOT / "lambdas/shared")]

from quality.audit.recording import described  # noqa: E402
from quality.audit.rows import File, Rows  # noqa: E402
from sluice_pipeline.catalog.datasets import parse_dataset  # noqa: E402
from sluice_pipeline.catalog.expectations import expectations_of  # noqa: E402


def job() -> ModuleType:
    """jobs/quality/audit.py, which is a script and in no package."""
    spec = importlib.util.spec_from_file_location("job", ROOT / "jobs/quality/audit.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    engine = job()
    for line in sys.stdin:
        request = json.loads(line)
        dataset = parse_dataset(request["dataset"], "things.yaml")
        files = [File("", name, rows) for name, rows in request["files"]]
        arrived = datetime.fromisoformat(request["arrived"])
        rows = Rows(dataset, files, arrived, lambda file: Path(file.key).read_bytes())
        expectations = expectations_of(dataset)
        try:
            found = described(rows, expectations, engine.judge(expectations, rows))
        except Exception:  # noqa: BLE001 - the test shows it
            print("error", json.dumps(traceback.format_exc()), flush=True)
        else:
            print("verdict", json.dumps(found), flush=True)


main()
