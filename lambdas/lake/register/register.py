"""A committed object in the lake: the partitions that it has rows in, and its counts."""

from collections import defaultdict
from dataclasses import dataclass, field, replace

from lake.compaction.fence import Fence
from lake.register.counts import Counts
from lake.register.partitions import Partitions
from sluice_pipeline.events.committed import Committed, NotCommitted, SilverOfRun, silver_of
from sluice_pipeline.ledger.items import State
from sluice_pipeline.ledger.ledger import Ledger


@dataclass(slots=True)
class Registered:
    """How many partitions were added and changed; ``unknown``: datasets that the catalog no longer has."""

    run: int
    added: int = 0
    changed: int = 0
    unknown: list[str] = field(default_factory=list)


class Register:
    def __init__(
        self, ledger: Ledger, fence: Fence, partitions: Partitions, counts: Counts, datasets: frozenset[str]
    ) -> None:
        self._ledger = ledger
        self._fence = fence
        self._partitions = partitions
        self._counts = counts
        self._datasets = datasets

    def process(self, event: Committed) -> Registered | None:
        """Brings the lake to what the ledger says of the object now, however often and in whatever order it is asked.

        None when a newer run has begun and not ended: its own event follows. A run that ends while another is
        written could be overwritten by it, so the ledger is read again after each.

        Raises:
            NotCommitted: the ledger is behind the event.
            TableMissing, PartitionsRefused: see Partitions.ensure.
            SwapUnderWay: see Fence.leave.
        """
        done: Registered | None = None
        while True:
            item = self._ledger.object(event.object_id)
            run = int(item["run"]) if item else 0
            if run < event.run:
                raise NotCommitted(f"the ledger does not know run {event.run} of {event.object_id}")
            if done is not None and done.run == run:
                return done
            try:
                silver = self._ended(replace(event, run=run), event.run)
            except NotCommitted:
                if run > event.run:
                    return done
                raise
            if silver is not None:
                done = self._register(silver, run)

    def _ended(self, event: Committed, announced: int) -> SilverOfRun | None:
        """What silver_of says; of a run that ends just now only when its object was read after its last chunk.

        ``announced``: the run whose event this is about. A newer one may be staged, and never be published.
        """
        silver = silver_of(self._ledger, event)
        if silver and silver.staged and event.run > announced and silver.item["state"] != State.COMMITTED:
            raise NotCommitted(f"run {event.run} of {event.object_id} is not published")
        if silver and int(silver.item["chunks_done"]) < int(silver.item["chunk_count"]):
            raise NotCommitted(f"run {event.run} of {event.object_id} has not ended")
        return silver

    def _register(self, silver: SilverOfRun, run: int) -> Registered:
        done = Registered(run)
        dates: dict[str, set[str]] = defaultdict(set)
        for output in silver.outputs:
            dates[output["dataset"]].add(output["dt"])
        former: dict[str, set[str]] = defaultdict(set)
        for dataset, date in self._fence.days_of(silver.item["object_id"]):
            if date not in dates.get(dataset, ()):
                former[dataset].add(date)
        every = {(dataset, date) for group in (dates, former) for dataset, found in group.items() for date in found}
        entered = self._fence.enter({day for day in every if day[0] in self._datasets})
        for dataset in sorted({dataset for dataset, _ in every}):
            if dataset in self._datasets:
                added, changed = self._partitions.ensure(dataset, sorted(dates[dataset]), sorted(former[dataset]))
                done.added += added
                done.changed += changed
            else:
                done.unknown.append(dataset)
        self._fence.leave(entered)
        self._counts.write(silver.item)
        return done
