"""Runs queries: QUEUED, RUNNING, then SUCCEEDED, FAILED or CANCELLED."""

import logging
import os
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from sluice_ext import settings
from sluice_ext.athena import result_metadata
from sluice_ext.athena.answering import Answers, Refused
from sluice_ext.athena.caller import clients
from sluice_ext.athena.files import Files, object_of
from sluice_ext.athena.store import STORES, SYSTEM, UNFINISHED, USER, Execution
from sluice_ext.athena.workers import WORKERS, Worker, WorkerLost
from sluice_ext.pausing import GATE

LOG = logging.getLogger(__name__)
_STOPPED: Final = "Query cancelled by user."


class Runner:
    """Queries that wait, and those that run. At most one a core runs at a time."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(settings.cores(), thread_name_prefix="athena-query")
        self._running: dict[str, Worker] = {}
        self._lock = threading.Lock()
        self._files: Files | None = None

    def kind(self, sql: str) -> dict[str, Any]:
        """{"done": {"kind": [StatementType, SubstatementType]}} or {"failed": why the text is no statement}."""
        worker = WORKERS.take()
        try:
            found = worker.ask({"kind": sql})
        except WorkerLost:
            WORKERS.give_back(worker, lost=True)
            raise
        WORKERS.give_back(worker)
        return found

    def start(self, execution: Execution, region: str, limit: int | None) -> None:
        """Run a query that was made QUEUED. limit: most bytes that it may read."""
        self._threads.submit(self._run, execution, region, limit)

    def stop(self, execution: Execution) -> None:
        """End a query that has not ended. Its files stay, as on AWS."""
        with STORES.lock:
            if execution.state not in UNFINISHED:
                return
            execution.end("CANCELLED", _STOPPED)
        with self._lock:
            worker = self._running.pop(execution.id, None)
        if worker is not None:
            worker.kill()

    def _run(self, execution: Execution, region: str, limit: int | None) -> None:
        with STORES.lock:
            if execution.state != "QUEUED":
                return
            execution.shown["Status"]["State"] = "RUNNING"
        began = time.monotonic()
        worker = WORKERS.take()
        with self._lock:
            self._running[execution.id] = worker
        lost = True
        try:
            if execution.state == "RUNNING":  # it may have been stopped before its process was known
                self._answer(execution, worker, region, began, limit)
            lost = False
        except WorkerLost:
            # Stopped, unless something else ended the process.
            self._finish(
                execution, "FAILED", "EXCEEDED_LOCAL_MEMORY_LIMIT: the process of the query ended", category=SYSTEM
            )
        except Exception as error:
            LOG.exception("Query %s", execution.id)
            self._finish(execution, "FAILED", f"GENERIC_INTERNAL_ERROR: {error}", category=SYSTEM)
        finally:
            with self._lock:
                lost |= self._running.pop(execution.id, None) is None
            WORKERS.give_back(worker, lost)

    def _answer(self, execution: Execution, worker: Worker, region: str, began: float, limit: int | None) -> None:
        shown = execution.shown
        answers = Answers(execution.access_key, region, self._cache())
        handle, name = tempfile.mkstemp(dir=worker.folder)
        os.close(handle)
        output = Path(name)
        target = shown["ResultConfiguration"]["OutputLocation"]
        message = {
            "id": execution.id, "sql": shown["Query"], "parameters": shown.get("ExecutionParameters") or [],
            "database": shown["QueryExecutionContext"].get("Database") or "default", "output": name,
            "location": target,
        }  # fmt: skip
        found = worker.ask(message, lambda what, parameters: _reply(answers, what, parameters))
        took = int((time.monotonic() - began) * 1000)
        with GATE.work("a query of Athena"):
            shown["Statistics"] |= {"EngineExecutionTimeInMillis": took, "TotalExecutionTimeInMillis": took}
            if "failed" in found:
                self._finish(execution, "FAILED", found["failed"], category=found["category"])
                return
            done = found["done"]
            shown["Statistics"]["DataScannedInBytes"] = done["scanned"]
            if limit is not None and done["scanned"] > limit:
                self._finish(execution, "CANCELLED", f"Bytes scanned limit was exceeded: {done['scanned']} of {limit}")
                return
            try:
                self._store(execution, region, output, done)
            except ClientError as error:
                self._finish(execution, "FAILED", _not_written(error, target))
                return
            execution.columns, execution.update_count = done["columns"], done["update_count"]
            self._finish(execution, "SUCCEEDED")

    def _store(self, execution: Execution, region: str, output: Path, done: dict[str, Any]) -> None:
        """The result beside its metadata, as Athena writes them; UNLOAD and CREATE TABLE AS list their files."""
        bucket, key = object_of(execution.shown["ResultConfiguration"]["OutputLocation"])
        s3 = clients(execution.access_key, region).s3
        if done["manifest"] is not None:
            listed = "".join(f"{uri}\n" for uri in done["manifest"])
            manifest = key.removesuffix(".csv") + "-manifest.csv"
            s3.put_object(Bucket=bucket, Key=manifest, Body=listed.encode())
            execution.shown["Statistics"]["DataManifestLocation"] = f"s3://{bucket}/{manifest}"
        if execution.shown["SubstatementType"] == "CREATE_TABLE_AS_SELECT":
            return  # its place is the folder of the table
        with output.open("rb") as body:
            s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/octet-stream")
        described = result_metadata.encode(execution.id, done["columns"])
        s3.put_object(Bucket=bucket, Key=f"{key}.metadata", Body=described, ContentType="application/octet-stream")

    def _finish(self, execution: Execution, state: str, reason: str = "", category: int = USER) -> None:
        with STORES.lock:
            if execution.state in UNFINISHED:
                execution.end(state, reason, category)

    def _cache(self) -> Files:
        with self._lock:
            if self._files is None:
                self._files = Files(Path(tempfile.mkdtemp(prefix="athena-files-")))
            return self._files


def _reply(answers: Answers, what: str, parameters: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"answer": answers.answer(what, parameters)}
    except Refused as error:
        return {"refused": str(error)}


def _not_written(error: ClientError, target: str) -> str:
    code = error.response["Error"]["Code"]
    if code == "AccessDenied":
        asked = "Please ensure you are allowed to access the S3 bucket."
        return f"Access denied when writing output to url: {target} . {asked}"
    return f"The S3 location provided to save your query results is invalid: {target}: {code}"


RUNNER = Runner()
