"""The states of a run. Each may be tried again at any time, and leaves the same rows and the same log."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from checkins.request import Request
from checkins.rows import item_of
from checkins.run_log import Log
from checkins.schema import CHECKIN
from checkins.steps.columns import OFFSET, Verdict, columns_of, judge
from checkins.steps.failed_rows import FailedRows, entry
from sluice_pipeline.catalog.checks import RowChecks
from sluice_pipeline.catalog.datasets import Catalog, Dataset
from sluice_pipeline.dynamo.rows import RowTable, read_silver
from sluice_pipeline.events.committed import Committed, SilverOfRun, silver_of
from sluice_pipeline.ledger.items import Output, State
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.requests import InvalidRequest
from sluice_pipeline.waits import next_wait

DONE, WAIT, AGAIN, STOPPED = "done", "wait", "again", "stopped"
_AT_ONCE: Final = 2000  # rows that are held as Python values


@dataclass(frozen=True, slots=True)
class Places:
    """Where silver is, and where rows and failed rows go."""

    s3: Any
    silver_bucket: str
    rows: RowTable
    failed: FailedRows


class Run:
    """One execution, named after its request."""

    def __init__(self, name: str, request: Request, ledger: Ledger, places: Places, log: Log, catalog: Catalog) -> None:
        dataset = catalog.datasets.get(request.dataset)
        section = CHECKIN.of(dataset) if dataset else None
        if dataset is None or section is None:
            raise InvalidRequest(f"no dataset {request.dataset!r} has a section `checkin`")
        self._name = name
        self._request = request
        self._ledger = ledger
        self._places = places
        self._log = log
        self._dataset: Dataset = dataset
        self._section: RowChecks = section

    def transform(self, elapsed: float, deadline: float) -> dict[str, Any]:
        """Whether the file is in silver; the ordinary path brings it there. Seconds since the run started."""
        self._start("transform")
        item = self._ledger.object(self._request.object_id)
        state = item["state"] if item else ""
        if item and state == State.COMMITTED:
            counts = {name: int(item[name]) for name in ("rows_in", "rows_silver", "rows_quarantined")}
            return self._end("transform", counts, run=int(item["run"]))
        if item and state in (State.FAILED, State.MISSING):
            return self._end("transform", {}, f"{state}: {item.get('failed_reason', '')}: {item.get('error', '')}")
        if item and state == State.WITHHELD:  # by the quality gate, which says so itself
            return self._end("transform", {}, f"withheld: {item.get('error', '')}")
        if elapsed > deadline:
            why = f"it is {state} in the ledger" if state else "the ledger does not know it"
            return self._end("transform", {}, f"not in silver after {deadline:.0f} s: {why}")
        return _answer(WAIT, wait=next_wait(elapsed, deadline))

    def test(self, ledger_run: int, hard: bool | None) -> dict[str, Any]:
        """Holds the silver columns against the tests. ``hard`` overrules all of them."""
        self._start("test")
        silver = self._silver(ledger_run)
        if silver is None:
            return _answer(AGAIN)
        tables = [self._read(output, columns_of(self._section.checks)) for output in silver.outputs]
        whole = pa.concat_tables(tables) if tables else self._none()
        broken = [verdict for check in self._section.checks if (verdict := judge(check, whole)).broken]
        stops = [verdict for verdict in broken if (verdict.check.hard if hard is None else hard)]
        failed = self._failed(broken, stops, silver.outputs, [table.num_rows for table in tables])
        self._places.failed.write(self._name, failed)
        counts = {"rows": whole.num_rows, "rows_failed": len(failed), "rows_good": whole.num_rows - len(failed)}
        counts["tests"] = {verdict.check.name: verdict.count for verdict in broken}
        names = ", ".join(f"{v.check.name} ({v.count} rows)" if v.rows is not None else v.check.name for v in stops)
        return self._end("test", counts, f"hard: {names}" if stops else "", run=ledger_run)

    def load(self, ledger_run: int) -> dict[str, Any]:
        """Writes the good rows of the file to the table, and deletes what earlier runs left of the others."""
        self._start("load")
        silver = self._silver(ledger_run)
        if silver is None:
            return _answer(AGAIN)
        left_out = self._places.failed.offsets(self._name)
        written, rows = self._upsert(silver, left_out, ledger_run)
        removed = self._remove(silver, left_out, ledger_run) if left_out else 0
        removed += self._places.rows.sweep(self._request.object_id, ledger_run) if ledger_run > 1 else 0
        if removed:  # an older version of such a row may be in silver, and is now the newest
            written += self._upsert(silver, left_out, ledger_run)[0]
        counts = {"rows_good": rows, "rows_failed": len(left_out), "written": written, "removed": removed}
        return self._end("load", counts, run=ledger_run)

    # -- silver ------------------------------------------------------------------------------------------------------

    def _silver(self, ledger_run: int) -> SilverOfRun | None:
        only = frozenset({self._dataset.name})
        run = Committed(self._request.object_id, ledger_run, self._dataset.name, self._request.key, only)
        return silver_of(self._ledger, run, only)

    def _read(self, output: Output, columns: Sequence[str] | None = None) -> pa.Table:
        body = self._places.s3.get_object(Bucket=self._places.silver_bucket, Key=output["key"])["Body"].read()
        # Not through a dataset: the folder names (dt=...) are no columns.
        return pq.ParquetFile(pa.BufferReader(body)).read(columns=columns, use_threads=False)

    def _none(self) -> pa.Table:
        """No rows at all; types do not matter for them."""
        return pa.table({name: pa.array([], pa.string()) for name in columns_of(self._section.checks)})

    def _failed(
        self, broken: list[Verdict], stops: list[Verdict], outputs: Sequence[Output], lengths: Sequence[int]
    ) -> list[dict[str, Any]]:
        """The rows that break a test, whole, file by file; a file without one is not read again."""
        found: list[dict[str, Any]] = []
        begin = 0
        for output, length in zip(outputs, lengths, strict=True):
            parts = [(v, v.rows.slice(begin, length)) for v in broken if v.rows is not None]
            begin += length
            names: dict[int, list[str]] = {}
            hard: set[int] = set()
            for verdict, rows in parts:
                for index in pc.indices_nonzero(rows).to_pylist():
                    names.setdefault(index, []).append(verdict.check.name)
                    if verdict in stops:
                        hard.add(index)
            if names:
                whole = self._read(output).take(pa.array(sorted(names))).to_pylist()
                found += [
                    entry(self._dataset.name, row, names[index], index in hard)
                    for index, row in zip(sorted(names), whole, strict=True)
                ]
        return found

    # -- the table ---------------------------------------------------------------------------------------------------

    def _items(self, silver: SilverOfRun, left_out: set[int], failed: bool, run: int) -> Iterator[dict[str, Any]]:
        """Items of the good rows, or of the failed ones."""
        received_at = silver.item["received_at"]
        for output in silver.outputs:
            for row in read_silver(self._places.s3, self._places.silver_bucket, output["key"]):
                if (row[OFFSET] in left_out) is failed:
                    yield item_of(self._dataset, self._section, row, received_at, run)

    def _upsert(self, silver: SilverOfRun, left_out: set[int], run: int) -> tuple[int, int]:
        """How many items were written, and of how many rows."""
        written = rows = 0
        for batch in batched(self._items(silver, left_out, False, run), _AT_ONCE, strict=False):
            written += self._places.rows.upsert(batch)
            rows += len(batch)
        return written, rows

    def _remove(self, silver: SilverOfRun, left_out: set[int], run: int) -> int:
        failed = batched(self._items(silver, left_out, True, run), _AT_ONCE, strict=False)
        return sum(self._places.rows.remove(batch) for batch in failed)

    # -- the log -----------------------------------------------------------------------------------------------------

    def _start(self, state: str) -> None:
        self._log.start(self._name, state, self._request, self._places.rows.table.name)

    def _end(self, state: str, counts: dict[str, Any], error: str = "", run: int = 0) -> dict[str, Any]:
        self._log.end(self._name, state, counts, error)
        notice = self._notice(state, counts, error) if error or state == "load" else {}
        return _answer(STOPPED if error else DONE, run=run, notice=notice)

    def _notice(self, state: str, counts: dict[str, Any], reason: str) -> dict[str, Any]:
        request = self._request
        return {
            "kind": "checkin.failed" if reason else "checkin.done",
            "severity": "error" if reason else "info",
            "dataset": request.dataset,
            "run": self._name,
            "day": request.day,
            "key": request.key,
            "object_id": request.object_id,
            "state": state,
            "reason": reason,
            "counts": counts,
            "look": f"sluice checkins log {self._name}",
            "repair": f"fix the file or its tests, then sluice checkins submit --day {request.day} --id again"
            if reason
            else "",
        }


def _answer(outcome: str, run: int = 0, wait: int = 0, notice: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the state machine chooses the next state by."""
    return {"outcome": outcome, "ledger_run": run, "wait_seconds": wait, "notice": notice or {}}
