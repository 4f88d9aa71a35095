"""What Glue remembers of jobs: their definitions, runs, bookmarks and tags, by account and region."""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from sluice_ext.glue import errors
from sluice_ext.regions import PerRegion

# AWS shows the runs of 90 days; this engine the newest of each job.
_MAX_RUNS: Final = 1000
_MAX_BOOKMARKS: Final = 50
UNFINISHED: Final = ("WAITING", "STARTING", "RUNNING", "STOPPING")
# What counts for MaxConcurrentRuns.
BUSY: Final = ("STARTING", "RUNNING", "STOPPING")
ENGINE_STOPPED: Final = "Internal service error : the engine was stopped while the job ran"


@dataclass
class Bookmark:
    """What a job has seen. ``contexts``: transformation context -> {URI of a file: its ETag}."""

    contexts: dict[str, dict[str, str]] = field(default_factory=dict)
    version: int = 0
    run: int = 0
    attempt: int = 0
    run_id: str = ""
    previous_run_id: str = ""


@dataclass
class Job:
    """``given`` is what GetJob shows without times; a run is what GetJobRun shows, the newest is the last."""

    given: dict[str, Any]
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))
    runs: OrderedDict[str, dict[str, Any]] = field(default_factory=OrderedDict)
    bookmark: Bookmark | None = None
    # The bookmarks that runs committed, by run.
    committed: OrderedDict[str, Bookmark] = field(default_factory=OrderedDict)

    @property
    def name(self) -> str:
        return str(self.given["Name"])

    def busy(self) -> int:
        """How many of its runs count for MaxConcurrentRuns now."""
        return sum(run["JobRunState"] in BUSY for run in self.runs.values())

    @property
    def limit(self) -> int:
        """MaxConcurrentRuns."""
        return int(self.given["ExecutionProperty"]["MaxConcurrentRuns"])

    def add(self, run: dict[str, Any]) -> None:
        """Remember a run; the oldest that has ended is forgotten."""
        self.runs[run["Id"]] = run
        for old in list(self.runs)[: max(0, len(self.runs) - _MAX_RUNS)]:
            if self.runs[old]["JobRunState"] not in UNFINISHED:
                del self.runs[old]

    def commit(self, run: dict[str, Any], contexts: dict[str, dict[str, str]]) -> None:
        """A run's script called ``Job.commit``: the next run begins after what this one has seen."""
        before = self.bookmark or Bookmark()
        self.bookmark = Bookmark(contexts, before.version + 1, before.run + 1, run["Attempt"], run["Id"], before.run_id)
        self.committed[run["Id"]] = self.bookmark
        while len(self.committed) > _MAX_BOOKMARKS:
            self.committed.popitem(last=False)


@dataclass
class Jobs:
    """Of one account in one region."""

    jobs: dict[str, Job] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)  # by the name of the job

    def job(self, name: str) -> Job:
        """Raises EntityNotFoundException."""
        found = self.jobs.get(name)
        if found is None:
            raise errors.not_found(f"Job {name} not found.")
        return found


def end(run: dict[str, Any], state: str, message: str = "") -> None:
    """Give a run its last state."""
    run |= {"JobRunState": state, "CompletedOn": datetime.now(UTC), "LastModifiedOn": datetime.now(UTC)}
    if message:
        run["ErrorMessage"] = message


class Stores(PerRegion[Jobs]):
    """The jobs of all accounts and regions."""

    def load(self, saved: dict[tuple[str, str], Jobs]) -> None:
        """Restore what `dump` returned. A run that had not ended has failed: nothing knows how far it came."""
        super().load(saved)
        with self.lock:
            for store in saved.values():
                for run in (run for job in store.jobs.values() for run in job.runs.values()):
                    if run["JobRunState"] in UNFINISHED:
                        stopped = run["JobRunState"] == "STOPPING"
                        end(run, "STOPPED" if stopped else "FAILED", "" if stopped else ENGINE_STOPPED)


JOBS = Stores(Jobs)
