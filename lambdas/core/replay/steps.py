"""The steps of a replay. Each may be retried at any time and then does only what is left to do."""

from collections.abc import Callable
from datetime import datetime
from itertools import batched
from typing import Any, Final

from core.replay.tally import Tally, notice
from sluice_pipeline.catalog.rules import RulesVersion
from sluice_pipeline.ledger.listing import LedgerList
from sluice_pipeline.objects.failures import ObjectMissing
from sluice_pipeline.replays.request import Entry, Request, entry_of, finished
from sluice_pipeline.replays.requeue import Requeuer
from sluice_pipeline.replays.store import RESULT, SUMMARY, ReplayStore, gone_part, plan_part
from sluice_pipeline.requests import InvalidRequest
from sluice_pipeline.waits import next_wait

# An execution has at most 25,000 events. One batch makes seven of them, with all tries of its task 22; so all batches
# and all looks at them fit in, whatever fails (tests/infra/test_history.py):
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
MAX_BATCHES: Final = 500


class Replay:
    """One execution, named after its request."""

    def __init__(self, name: str, ledger: LedgerList, requeuer: Requeuer, store: ReplayStore) -> None:
        self._name = name
        self._ledger = ledger
        self._requeuer = requeuer
        self._store = store

    def plan(self, request: Request, started: datetime, batch_objects: int, rules: RulesVersion) -> dict[str, Any]:
        """Writes the objects of the replay to its plan, in batches, with their counts and runs as they are now.

        ``rules``: the version in service, by which all objects are judged however long the replay takes.

        Raises:
            InvalidRequest: there are more objects than one replay can take, or the request was made under other rules.
        """
        request.check_rules(rules)
        window = request.window(started)
        listed = (
            item["object_id"] for item in self._ledger.received(request.dataset, window) if request.takes(item, window)
        )
        objects = count = 0
        for count, ids in enumerate(batched(listed, batch_objects, strict=False), 1):
            if count > MAX_BATCHES:
                limit = MAX_BATCHES * batch_objects
                raise InvalidRequest(f"more than {limit} objects: narrow it, or raise replay_batch_objects")
            entries = [entry_of(item) for item in self._ledger.objects(ids).values()]
            objects += len(entries)
            self._store.write(plan_part(count - 1), entries)
        summary = {"dataset": request.dataset, "objects": objects, "batches": count}
        self._store.write(
            SUMMARY, summary | {"name": self._name, "started": started.isoformat(), "rules": rules.to_dict()}
        )
        return summary | {"batches": list(range(count)), "next": 0}

    def requeue(self, batch: int) -> dict[str, Any]:
        """Sends the chunks of every object in a batch under a run of this replay's own."""
        gone: dict[str, str] = {}
        sent = 0
        rules = RulesVersion.from_dict(self._rules())
        for entry in self._entries(batch):
            if entry["reason"]:
                continue
            try:
                sent += self._requeuer.requeue(entry["object_id"], entry["run"], self._name, rules)
            except ObjectMissing as missing:
                gone[entry["object_id"]] = str(missing)
        self._store.write(gone_part(batch), gone)
        return {"batch": batch, "sent": sent, "gone": len(gone)}

    def check(
        self, batches: int, begin: int, elapsed: float, deadline: float, hurry: Callable[[], bool]
    ) -> dict[str, Any]:
        """Checks batches in the ledger from ``begin`` on, up to the first that has not ended.

        ``elapsed`` and ``deadline`` are seconds since the execution started; ``hurry`` says when to stop.
        """
        while begin < batches and not hurry() and self._ended(begin):
            begin += 1
        wait = next_wait(elapsed, deadline)
        return {"next": begin, "done": begin >= batches, "late": elapsed > deadline, "wait_seconds": wait}

    def reconcile(self, batches: int, dataset: str) -> dict[str, Any]:
        """Compares every object of the plan with the ledger; the notice about the result."""
        tally = Tally()
        for batch in range(batches):
            entries, gone = self._entries(batch), self._store.read(gone_part(batch))
            items = self._ledger.objects(entry["object_id"] for entry in entries)
            for entry in entries:
                tally.add(entry, items.get(entry["object_id"]), gone.get(entry["object_id"]))
        result = tally.result(self._name) | {"rules": self._rules()}
        self._store.write(RESULT, result)
        return notice(result, dataset)

    def _rules(self) -> dict[str, str] | None:
        """Of the plan; None in one that an earlier release has made."""
        found: dict[str, str] | None = self._store.read(SUMMARY).get("rules")
        return found

    def _entries(self, batch: int) -> list[Entry]:
        entries: list[Entry] = self._store.read(plan_part(batch))
        return entries

    def _ended(self, batch: int) -> bool:
        gone = self._store.read(gone_part(batch))
        open_ = [entry for entry in self._entries(batch) if not entry["reason"] and entry["object_id"] not in gone]
        items = self._ledger.objects(entry["object_id"] for entry in open_)
        return all(finished(entry, items.get(entry["object_id"])) for entry in open_)
