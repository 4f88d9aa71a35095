"""Compaction of one date: list, write, count, announce the swap, swap, and take it back when rows changed meanwhile.

Silver is the truth and is only read. To move a partition to silver's folder is always right, also by another worker
and late; to move it elsewhere is what the fence is for.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

from lake.compaction.fence import Claim, Day, Fence, State
from lake.compaction.places import File, compacted_folder, compacted_root, generation_of, silver_folder

EVERY_ROW: Final = "rows"


class RowsDiffer(RuntimeError):
    """The written files do not hold the rows that they must; nothing was swapped."""


class Done(StrEnum):
    """What became of a date."""

    COMPACTED = "compacted"
    CURRENT = "current"  # it was compacted before, and no row has changed since
    LEFT = "left"  # it has few files, or large ones
    PUT_BACK = "put back"  # it was compacted before, and is no longer worth it
    CHANGED = "changed"  # its rows changed meanwhile: the next compaction takes it
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Limits:
    """``file_bytes``: the size of compacted files. A date is worth it with more than ``min_files`` files, or when they
    have less than ``small_bytes`` on average."""

    file_bytes: int
    min_files: int
    small_bytes: int


@dataclass(frozen=True, slots=True)
class Written:
    """``expected``: the rows that the rule leaves of those ``read``; ``rows`` and ``digest`` are of the written files,
    read back, ``expected_digest`` of what was to be written."""

    read: int
    expected: int
    rows: int
    expected_digest: int
    digest: int


@dataclass(frozen=True, slots=True)
class Table:
    """A dataset's table in the catalog. ``rule``: which rows the compacted files hold; EVERY_ROW, or the newest."""

    dataset: str
    storage: dict[str, Any]
    rule: str = EVERY_ROW

    @property
    def columns(self) -> list[dict[str, Any]]:
        return list(self.storage["Columns"])

    def silver(self, day: str) -> str:
        return f"{self.storage['Location'].rstrip('/')}/dt={day}/"

    def compacted(self, day: str, generation: str = "") -> str:
        root = compacted_root(self.storage["Location"], self.dataset)
        return root + compacted_folder(self.dataset, day, generation).removeprefix(compacted_folder(self.dataset))

    def is_compacted(self, day: str, location: str) -> bool:
        return location.startswith(self.compacted(day))


class Ports(Protocol):
    """The world: S3, Glue and Spark."""

    def files(self, prefix: str) -> list[File]:
        """Those that are read, in the order of their keys."""
        ...

    def partition(self, day: Day) -> dict[str, Any] | None:
        """As Glue has it."""
        ...

    def move(self, day: Day, partition: dict[str, Any]) -> None:
        """One UpdatePartition."""
        ...

    def write(self, table: Table, day: str, files: Sequence[File], generation: str, count: int) -> Written:
        """Writes about ``count`` files of the rows of these files."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """``before`` and ``after``: files, bytes and rows, where they are known."""

    dataset: str
    day: str
    done: Done
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)
    reason: str = ""


def is_worth_it(files: Sequence[File], limits: Limits, rule: str = EVERY_ROW) -> bool:
    """Whether compaction makes it better: fewer files, or where only the newest rows are wanted, fewer rows."""
    if not files:
        return False
    if rule != EVERY_ROW:
        return True
    size = sum(file.size for file in files)
    return _count(size, limits) < len(files) and (
        len(files) > limits.min_files or size / len(files) < limits.small_bytes
    )


def _count(size: int, limits: Limits) -> int:
    return max(1, math.ceil(size / limits.file_bytes))


class Compaction:
    """``token`` names this run, and no other one, attempt or not."""

    def __init__(self, ports: Ports, fence: Fence, limits: Limits, token: str) -> None:
        self._ports = ports
        self._fence = fence
        self._limits = limits
        self._token = token

    def process(self, table: Table, day: str, location: str, item: dict[str, Any] | None) -> Outcome:
        """Compacts a date if it is worth it. ``location`` and ``item``: as they were listed; decided again under a
        claim when there is something to do.

        Raises:
            RowsDiffer, and what the ports raise: the partition is at silver's folder then, unless they fail, too.
        """
        files = self._silver(table, day)
        state = item["compaction_state"] if item else State.SILVER
        if location == self._target(table, day, files) and state == State.COMPACTED:
            return Outcome(table.dataset, day, Done.CURRENT)
        worth = is_worth_it(files, self._limits, table.rule)
        if not worth and state == State.SILVER and not table.is_compacted(day, location):
            return Outcome(table.dataset, day, Done.LEFT)
        claim = self._fence.begin((table.dataset, day), self._token)
        try:
            return self._claimed(table, day, claim)
        except Exception as error:
            self._give_back(table, claim, f"{type(error).__name__}: {error}")
            raise

    def _claimed(self, table: Table, day: str, claim: Claim) -> Outcome:
        files = self._silver(table, day)
        found = self._ports.partition(claim.day)
        target = self._target(table, day, files)
        location = found["StorageDescriptor"]["Location"] if found else ""
        if location == target and self._fence.confirm(claim):
            return Outcome(table.dataset, day, Done.CURRENT)
        ours = location == table.silver(day) or table.is_compacted(day, location)  # others may move it, too
        if location == target or not ours or not is_worth_it(files, self._limits, table.rule):
            moved = self._give_back(table, claim)
            return Outcome(table.dataset, day, Done.PUT_BACK if moved else Done.LEFT)
        before, after = self._write(table, day, files, target)
        self._fence.link(claim.day, (file.object_id for file in files))
        if self._silver(table, day) != files:
            return self._changed(table, claim)
        if not self._fence.swapping(claim, location=target, before=before, after=after):
            return self._changed(table, claim)
        self._ports.move(claim.day, _moved(table, day, target))
        if self._fence.swapped(claim):
            return Outcome(table.dataset, day, Done.COMPACTED, before, after)
        return self._changed(table, claim)

    def _write(
        self, table: Table, day: str, files: Sequence[File], target: str
    ) -> tuple[dict[str, int], dict[str, int]]:
        """Files, bytes and rows before and after. Raises RowsDiffer."""
        generation = target.rstrip("/").rsplit("/", 1)[-1]
        size = sum(file.size for file in files)
        rows = self._ports.write(table, day, files, generation, _count(size, self._limits))
        kept = rows.read == rows.expected or table.rule != EVERY_ROW
        if not kept or rows.rows != rows.expected or rows.digest != rows.expected_digest:
            raise RowsDiffer(f"{rows.read} rows were read, {rows.expected} were to be written, {rows.rows} are there"
                             + ("" if rows.rows != rows.expected else ", with other ids"))  # fmt: skip
        made = self._ports.files(compacted_folder(table.dataset, day, generation))
        return (
            {"files": len(files), "bytes": size, "rows": rows.read},
            {"files": len(made), "bytes": sum(file.size for file in made), "rows": rows.rows},
        )

    def _changed(self, table: Table, claim: Claim) -> Outcome:
        self._give_back(table, claim, "rows changed meanwhile")
        return Outcome(claim.day[0], claim.day[1], Done.CHANGED)

    def _give_back(self, table: Table, claim: Claim, reason: str = "") -> bool:
        """The partition at silver's folder, the claim released; whether it was moved."""
        found = self._ports.partition(claim.day)
        day = claim.day[1]
        moved = found is not None and table.is_compacted(day, found["StorageDescriptor"]["Location"])
        if moved:
            self._ports.move(claim.day, _moved(table, day, table.silver(day)))
        self._fence.release(claim, reason)
        return moved

    def _silver(self, table: Table, day: str) -> list[File]:
        return self._ports.files(silver_folder(table.dataset, day))

    @staticmethod
    def _target(table: Table, day: str, files: Sequence[File]) -> str:
        return table.compacted(day, generation_of(files, table.columns, table.rule))


def _moved(table: Table, day: str, location: str) -> dict[str, Any]:
    """The partition with the table's present columns, as register makes it (lambdas/lake/register/partitions.py)."""
    return {"Values": [day], "StorageDescriptor": table.storage | {"Location": location}}


def stale_generations(
    files: Sequence[File], locations: dict[str, str], changed: dict[str, float], now: float, keep_seconds: float
) -> list[str]:
    """Keys of the compacted files of a dataset that no reader has used for ``keep_seconds``.

    ``files``: all below the dataset's compacted folder. ``locations``: date -> partition's location. ``changed``: date
    -> when its state changed last. A generation is out of use once a newer one was written, or its date was put back.
    """
    found: dict[str, dict[str, list[File]]] = {}
    for file in files:
        _, _, day, generation, *_ = (*file.key.split("/"), "", "")
        generation = generation.removesuffix("_$folder$")
        found.setdefault(day.removeprefix("dt="), {}).setdefault(generation, []).append(file)
    stale: list[str] = []
    for day, generations in found.items():
        used = locations.get(day, "").rstrip("/").rsplit("/", 1)[-1]
        written = {name: max(file.modified for file in some) for name, some in generations.items()}
        for name, some in generations.items():
            later = [time for time in written.values() if time > written[name]]
            unused_since = min(later) if later else max(written[name], changed.get(day, 0.0))
            if name != used and now - unused_since > keep_seconds:
                stale += [file.key for file in some]
    return sorted(stale)
