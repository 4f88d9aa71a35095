"""The audit of a staged run: every dataset that its rows belong to is held against what is expected of it.

A repeat writes the same verdict, but for the time: the rules are those that the run is pinned to, the files those that
the ledger lists, and a freshness is measured from the object's arrival.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from quality.audit.recording import Verdicts, described
from quality.audit.rows import File, Outcome, Rows
from quality.staged_run import item_of, outputs_of
from sluice_pipeline.catalog.datasets import Catalog
from sluice_pipeline.catalog.deployed import DeployedDatasets
from sluice_pipeline.catalog.expectations import Expectation, expectations_of
from sluice_pipeline.catalog.rules import RulesVersion
from sluice_pipeline.ledger.items import ObjectItem, State
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.objects.keys import staged_key
from sluice_pipeline.runtime.clock import now

AUDITED: Final = "audited"
_WAITING: Final = frozenset({State.STAGED, State.WITHHELD})
_BEFORE: Final = frozenset({State.PLANNED, State.COMMITTING})

type Judge = Callable[[Sequence[Expectation], Rows], list[Outcome]]


@dataclass(frozen=True, slots=True)
class Engine:
    name: str
    judge: Judge


@dataclass(frozen=True, slots=True)
class Buckets:
    staging: str
    silver: str


@dataclass(frozen=True, slots=True)
class Audited:
    """``outcome``: AUDITED, or the state that the run is in, or ``replaced`` by a newer one."""

    outcome: str
    passed: bool = False
    rows: int = 0


class Auditor:
    def __init__(
        self, s3: Any, buckets: Buckets, ledger: Ledger, datasets: DeployedDatasets, verdicts: Verdicts, engine: Engine
    ) -> None:
        self._s3 = s3
        self._buckets = buckets
        self._ledger = ledger
        self._datasets = datasets
        self._verdicts = verdicts
        self._engine = engine

    def audit(self, object_id: str, run: int) -> Audited:
        """Writes the verdict on a run that is staged, or withheld. One that waits for no verdict is left alone.

        Raises:
            NotStaged, RowsChanged, PagesMissing: tried again, it may succeed.
            DatasetsUnavailable, DatasetsUnreadable, InvalidSetting: the rules of the run cannot be read.
        """
        item = item_of(self._ledger, object_id, run, _BEFORE)
        if int(item["run"]) > run:
            return Audited("replaced")
        if item["state"] not in _WAITING:
            return Audited(str(item["state"]))
        version = RulesVersion.from_dict(item.get("rules"))
        verdict = self._verdict(item, self._datasets.read(version), version)
        self._verdicts.write(verdict)
        return Audited(AUDITED, verdict["passed"], verdict["rows"])

    def _verdict(self, item: ObjectItem, catalog: Catalog, version: RulesVersion | None) -> dict[str, Any]:
        parts = {rows.dataset.name: self._judge(rows) for rows in self._rows(item, catalog)}
        broken = [one for part in parts.values() for one in part["expectations"] if one["hard"] and not one["passed"]]
        return {
            "object_id": item["object_id"],
            "run": int(item["run"]),
            "dataset": item["dataset"],
            "key": item["key"],
            "engine": self._engine.name,
            "passed": not broken,
            "audited_at": now(),
            "rows": sum(part["rows"] for part in parts.values()),
            "rules": version.sha256 if version else "",
            "datasets": parts,
        }

    def _judge(self, rows: Rows) -> dict[str, Any]:
        expectations = expectations_of(rows.dataset)
        return described(rows, expectations, self._engine.judge(expectations, rows) if expectations else [])

    def _rows(self, item: ObjectItem, catalog: Catalog) -> list[Rows]:
        """Those of each dataset, in the order of the source. The object's own dataset is judged without a row, too."""
        files: dict[str, list[File]] = defaultdict(list)
        if item["dataset"] in catalog.datasets:
            files[item["dataset"]] = []
        run = int(item["run"])
        for output, staged in outputs_of(self._ledger, item):
            key, bucket = output["key"], self._buckets.silver
            if staged:
                key, bucket = staged_key(run, key), self._buckets.staging
            files[output["dataset"]].append(File(bucket, key, int(output["rows"])))
        arrived = datetime.fromisoformat(item["received_at"])
        return [
            Rows(catalog.datasets[name], found, arrived, self._read)
            for name, found in sorted(files.items())
            if name in catalog.datasets
        ]

    def _read(self, file: File) -> bytes:
        body: bytes = self._s3.get_object(Bucket=file.bucket, Key=file.key)["Body"].read()
        return body
