"""The fence between register and compaction: an item of the ledger's table for each date that was compacted.

Glue changes a partition's location without a condition, so what is to be read where is agreed on here. ``commits`` is
raised by register whenever rows of the date have changed; a compaction that finds another number than at its
beginning takes its swap back. The item's names are not those of the ledger's indexes, so they do not show it.

Table: ``pk`` = ``compaction#<dataset>``, ``sk`` = ``<date>``; and for each object whose rows are in compacted files
``pk`` = ``compacted#<object id>``, ``sk`` = ``<dataset>#<date>``: a replay that no longer has rows of the date still
finds it.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sluice_pipeline.dynamo.retries import TransientError
from sluice_pipeline.dynamo.table import Table

# The call of a swap times out after 13 s (jobs/lake/compact.py). Register's tries go on for 85 s.
SWAP_SECONDS: Final = 45
_DATASET: Final = "compaction#"
_OBJECT: Final = "compacted#"

type Day = tuple[str, str]
"""Dataset and date (YYYY-MM-DD)."""


class State(StrEnum):
    """Of a date. In SILVER no compaction is under way, and the partition is at silver's folder or about to be."""

    WRITING = "writing"
    SWAPPING = "swapping"
    COMPACTED = "compacted"
    SILVER = "silver"


class SwapUnderWay(TransientError):
    """A compaction is just moving the partition: a retry finds it moved, or its compaction dead."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A compaction's hold on a date: lost as soon as ``commits`` or ``token`` is another."""

    day: Day
    token: str
    commits: int
    before: dict[str, Any]


class Fence:
    def __init__(self, table: Table, clock: Callable[[], float] = time.time) -> None:
        self._table = table
        self._clock = clock

    # -- register ------------------------------------------------------------------------------------------------------

    def days_of(self, object_id: str) -> set[Day]:
        """The dates whose compacted files have, or had, rows of the object."""
        found = set()
        for item in self._table.query(f"{_OBJECT}{object_id}"):
            dataset, _, day = str(item["sk"]).rpartition("#")
            found.add((dataset, day))
        return found

    def enter(self, days: Collection[Day]) -> list[dict[str, Any]]:
        """Says that rows of these dates have changed, before their locations are looked at; what leave needs.

        A date without an item, or in SILVER, needs no word: a compaction changes the item before it lists the files,
        so it sees what was written before this.
        """
        keys = [(f"{_DATASET}{dataset}", day) for dataset, day in sorted(days)]
        entered = []
        for item in list(self._table.get_many(keys)):
            if item["compaction_state"] != State.SILVER:
                entered.append(self._raise_commits(item))
        return entered

    def _raise_commits(self, item: dict[str, Any]) -> dict[str, Any]:
        """The item after it; a swap that takes so long that its compaction must be dead is called off along with it."""
        found = self._table.update(item["pk"], item["sk"], "ADD commits :one", "", {":one": 1}) or item
        if found["compaction_state"] == State.SWAPPING and self._clock() - float(found["swap_at"]) > SWAP_SECONDS:
            return self._to_silver(found) or self._raise_commits(item)
        return found

    def leave(self, entered: Iterable[dict[str, Any]]) -> None:
        """After the partitions are at silver's folder again.

        Raises:
            SwapUnderWay: a compaction may move one of them after it was looked at.
        """
        swapping = []
        for item in entered:
            if item["compaction_state"] == State.COMPACTED:
                self._to_silver(item)
            elif item["compaction_state"] == State.SWAPPING:
                swapping.append(f"{item['pk'].removeprefix(_DATASET)} {item['sk']}")
        if swapping:
            raise SwapUnderWay(f"a compaction is moving {swapping[0]} and {len(swapping) - 1} more")

    def _to_silver(self, item: dict[str, Any]) -> dict[str, Any] | None:
        """None when a compaction has gone on meanwhile."""
        return self._table.update(
            item["pk"], item["sk"], "SET compaction_state = :silver , changed_at = :at",
            "#token = :token AND compaction_state = :was",
            {":silver": State.SILVER, ":at": int(self._clock()), ":token": item["token"],
             ":was": item["compaction_state"]},
        )  # fmt: skip

    # -- compaction ----------------------------------------------------------------------------------------------------

    def items(self, dataset: str) -> Iterator[dict[str, Any]]:
        """What is known of the dates of a dataset, in their order."""
        return self._table.query(f"{_DATASET}{dataset}")

    def begin(self, day: Day, token: str) -> Claim:
        """Takes the date, from another compaction too, before its files are listed."""
        item = self._table.update(
            f"{_DATASET}{day[0]}", day[1],
            "SET compaction_state = :writing , #token = :token , began_at = :at , changed_at = :at ADD commits :none "
            "REMOVE reason", "",
            {":writing": State.WRITING, ":token": token, ":at": int(self._clock()), ":none": 0},
        ) or {}  # fmt: skip
        return Claim(day, token, int(item["commits"]), item)

    def link(self, day: Day, object_ids: Iterable[str]) -> None:
        """The objects whose rows will be in the compacted files; before the files are listed for the last time."""
        self._table.put_all([{"pk": f"{_OBJECT}{one}", "sk": "#".join(day)} for one in sorted(set(object_ids))])

    def swapping(self, claim: Claim, **facts: Any) -> bool:
        """Announces the swap; False when rows have changed since the claim, or another one has taken the date."""
        facts |= {"swap_at": int(self._clock())}
        return self._go_on(claim, State.WRITING, State.SWAPPING, facts)

    def swapped(self, claim: Claim) -> bool:
        """Ends the swap; False when it has to be taken back."""
        return self._go_on(claim, State.SWAPPING, State.COMPACTED, {"compacted_at": int(self._clock())})

    def confirm(self, claim: Claim) -> bool:
        """The location is that of the files as they are; False when it is no longer."""
        return self._go_on(claim, State.WRITING, State.COMPACTED, {})

    def _go_on(self, claim: Claim, was: State, then: State, facts: dict[str, Any]) -> bool:
        assignments = "".join(f" , #{name} = :{name}" for name in facts)
        return self._table.update(
            f"{_DATASET}{claim.day[0]}", claim.day[1], f"SET compaction_state = :then , changed_at = :at{assignments}",
            "#token = :token AND compaction_state = :was AND commits = :commits",
            {":then": then, ":was": was, ":token": claim.token, ":commits": claim.commits, ":at": int(self._clock())}
            | {f":{name}": value for name, value in facts.items()},
        ) is not None  # fmt: skip

    def release(self, claim: Claim, reason: str = "") -> None:
        """Gives the date back; its partition is at silver's folder. Nothing when another compaction has it."""
        self._table.update(
            f"{_DATASET}{claim.day[0]}", claim.day[1],
            "SET compaction_state = :silver , changed_at = :at , reason = :reason", "#token = :token",
            {":silver": State.SILVER, ":at": int(self._clock()), ":token": claim.token, ":reason": reason[:1000]},
        )  # fmt: skip
