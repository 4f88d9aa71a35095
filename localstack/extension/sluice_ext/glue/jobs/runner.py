"""Runs jobs: STARTING, RUNNING, then SUCCEEDED, FAILED, TIMEOUT or STOPPED."""

import copy
import logging
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sluice_ext import settings
from sluice_ext.glue.common import announce
from sluice_ext.glue.jobs import outcomes
from sluice_ext.glue.jobs.attempt import Attempt
from sluice_ext.glue.jobs.environments import NotRunnable
from sluice_ext.glue.jobs.kinds import SHELL, SPARK
from sluice_ext.glue.jobs.output import Output
from sluice_ext.glue.jobs.process import JobProcess
from sluice_ext.glue.jobs.store import JOBS, UNFINISHED, Job, end
from sluice_ext.pausing import GATE

LOG = logging.getLogger(__name__)
# How often a process is looked at (s): for its memory, its timeout and a stop.
_TICK: Final = 0.1
_LABEL: Final = "a run of a Glue job"


@dataclass(frozen=True)
class Where:
    """Account and region of a job."""

    account: str
    region: str


class Runner:
    """Runs that have started. A Spark run has the machine for itself; the others share it."""

    def __init__(self) -> None:
        self._room = {SHELL: threading.Semaphore(4 * settings.cores()), SPARK: threading.Semaphore(1)}

    def start(self, where: Where, job: Job, run: dict[str, Any]) -> None:
        """Run in a thread of its own. The run is STARTING."""
        threading.Thread(target=self._run, args=(where, job, run), name=f"glue-{run['Id'][:12]}", daemon=True).start()

    def stop(self, run: dict[str, Any]) -> None:
        """A run that has not ended is STOPPING; one that waited is STOPPED."""
        with JOBS.lock:
            if run["JobRunState"] == "WAITING":
                end(run, "STOPPED")
            elif run["JobRunState"] in UNFINISHED:
                run |= {"JobRunState": "STOPPING", "LastModifiedOn": datetime.now(UTC)}

    def _run(self, where: Where, job: Job, run: dict[str, Any]) -> None:
        with JOBS.lock:
            given = copy.deepcopy(job.given)
        try:
            attempt = Attempt(given, run, where.account, where.region)
        except OSError as error:  # no room for its folder
            with GATE.work(_LABEL), JOBS.lock:
                end(run, "FAILED", f"Internal service error : {error}")
            return
        output = Output(where.account, where.region, attempt.role, run["LogGroupName"], run["Id"])
        try:
            state, message = self._wait_for_room(job, run, attempt, output)
        except Exception as error:
            LOG.exception("Glue job %s, run %s", job.name, run["Id"])
            state, message = "FAILED", f"Internal service error : {error}"
        with GATE.work(_LABEL):
            with JOBS.lock:
                committed = attempt.committed()
                if committed is not None:
                    job.commit(run, committed)
                # The stop came first, whatever the process made of it.
                stopped = run["JobRunState"] == "STOPPING"
                end(run, "STOPPED" if stopped else state, "" if stopped else message)
            attempt.close()
            if detail := outcomes.event(run):
                announce(where.account, where.region, "Glue Job State Change", detail)
            self._go_on(where, job, run)

    def _wait_for_room(self, job: Job, run: dict[str, Any], attempt: Attempt, output: Output) -> tuple[str, str]:
        room = self._room[attempt.kind]
        while not room.acquire(timeout=_TICK):
            if run["JobRunState"] == "STOPPING":
                return "STOPPED", ""
        try:
            return self._attempt(job, run, attempt, output)
        finally:
            room.release()

    def _attempt(self, job: Job, run: dict[str, Any], attempt: Attempt, output: Output) -> tuple[str, str]:
        with JOBS.lock:
            contexts = dict(job.bookmark.contexts) if job.bookmark else {}
        try:
            process = attempt.start(contexts)
        except NotRunnable as error:
            output.write("error", f"LAUNCH ERROR | {error}")
            output.finish(5)
            return "FAILED", f"LAUNCH ERROR | {error}"
        began = time.monotonic()
        output.follow(process.output, "output")
        output.follow(process.errors, "error")
        with GATE.work(_LABEL), JOBS.lock:
            if run["JobRunState"] == "STARTING":
                run |= {"JobRunState": "RUNNING", "LastModifiedOn": datetime.now(UTC)}
        try:
            return self._follow(run, attempt, process, began)
        finally:
            process.kill()
            output.finish(10)
            seconds = time.monotonic() - began
            with GATE.work(_LABEL), JOBS.lock:
                run |= {"ExecutionTime": round(seconds), "DPUSeconds": round(seconds * run["MaxCapacity"], 3)}

    @staticmethod
    def _follow(run: dict[str, Any], attempt: Attempt, process: JobProcess, began: float) -> tuple[str, str]:
        """Until the process ends, or has to. Returns the last state and its reason."""
        deadline = began + run["Timeout"] * settings.GLUE_MINUTE
        while (status := process.wait(_TICK)) is None:
            if run["JobRunState"] == "STOPPING":
                return "STOPPED", ""
            if time.monotonic() > deadline:
                return "TIMEOUT", outcomes.TIMED_OUT
            if process.memory() > attempt.memory_limit:
                return "FAILED", outcomes.OUT_OF_MEMORY
        message = outcomes.failure(attempt.kind, attempt.outcome(), status)
        return ("FAILED", message) if message else ("SUCCEEDED", "")

    def _go_on(self, where: Where, job: Job, run: dict[str, Any]) -> None:
        """Start the next attempt of a run that failed, then those that waited for the end of this one."""
        begin = []
        with JOBS.lock:
            if JOBS.of(where.account, where.region).jobs.get(job.name) is not job:
                return
            if run["JobRunState"] == "FAILED" and run["Attempt"] < job.given["MaxRetries"]:
                again = _repeated(run)
                job.add(again)
                begin.append(again)
            for waiting in [one for one in job.runs.values() if one["JobRunState"] == "WAITING"]:
                if job.busy() < job.limit:
                    waiting |= {"JobRunState": "STARTING", "LastModifiedOn": datetime.now(UTC)}
                    begin.append(waiting)
        for one in begin:
            self.start(where, job, one)


def _repeated(run: dict[str, Any]) -> dict[str, Any]:
    """The next attempt of a run: <id>_attempt_<n>."""
    now, number = datetime.now(UTC), run["Attempt"] + 1
    base = run["Id"].partition("_attempt_")[0]
    gone = ("CompletedOn", "ErrorMessage", "DPUSeconds")
    return {key: value for key, value in run.items() if key not in gone} | {
        "Id": f"{base}_attempt_{number}", "Attempt": number, "PreviousRunId": run["Id"], "JobRunState": "STARTING",
        "StartedOn": now, "LastModifiedOn": now, "ExecutionTime": 0,
    }  # fmt: skip


RUNNER = Runner()
