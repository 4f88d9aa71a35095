"""Anomalies: what is unusual in feedback, counted once however often its object is delivered."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from sluice_pipeline.catalog.checks import Check
from sluice_pipeline.dynamo.keys import join_key, split_key
from sluice_pipeline.dynamo.table import Table

SAMPLES: Final = 5  # rows that a notice names
_BURST_SK: Final = "burst"
_KEPT_SECONDS: Final = 86_400  # after its window a burst's item expires


@dataclass
class Found:
    """How often each check was broken, and the first rows that did."""

    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    samples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _once: set[tuple[str, str]] = field(default_factory=set)

    def add(self, name: str, sample: str) -> None:
        self.counts[name] += 1
        if len(self.samples[name]) < SAMPLES:
            self.samples[name].append(sample)

    def add_once(self, name: str, sample: str) -> None:
        """For what a later batch of the same object finds again."""
        if (name, sample) not in self._once:
            self._once.add((name, sample))
            self.add(name, sample)


class Bursts:
    """Which customers send more than a check allows, within windows that begin at multiples of its length.

    A window's item holds the ids of its rows, so a row that comes again is not counted twice. It stops growing one
    above the limit, for then the window is known to be a burst.
    """

    def __init__(self, table: Table, dataset: str, check: Check) -> None:
        self._table = table
        self._prefix = ("burst", dataset, check.name)
        self._check = check

    def take(self, rows: Iterable[tuple[str, datetime, str]], object_id: str) -> list[str]:
        """Adds rows (customer, time, row id); the windows that this object was the first to find over the limit.

        A window is named ``<customer>#<its begin>``.
        """
        windows: dict[str, set[str]] = defaultdict(set)
        ends: dict[str, int] = {}
        for customer, at, row_id in rows:
            begin = int(at.timestamp()) // self._check.within_seconds * self._check.within_seconds
            begins = datetime.fromtimestamp(begin, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            name = join_key(*self._prefix, customer, begins)
            if len(windows[name]) <= self._check.burst:
                windows[name].add(row_id)
            ends[name] = begin + self._check.within_seconds
        self._table.apply_each([self._addition(name, ids, ends[name]) for name, ids in sorted(windows.items())])
        items = self._table.get_many((name, _BURST_SK) for name in windows)
        over = [item["pk"] for item in items if len(item["row_ids"]) > self._check.burst]
        claimed = [split_key(name) for name in over if self._claim(name, object_id)]
        return sorted("#".join(parts[len(self._prefix) :]) for parts in claimed)

    def _addition(self, name: str, ids: set[str], ends: int) -> dict[str, Any]:
        now = int(datetime.now(UTC).timestamp())
        return self._table.update_action(
            name,
            _BURST_SK,
            "SET expires_at = :expires ADD row_ids :ids",
            "attribute_not_exists(row_ids) OR size(row_ids) <= :limit",
            {":ids": ids, ":limit": self._check.burst, ":expires": max(ends, now) + _KEPT_SECONDS},
        )

    def _claim(self, name: str, object_id: str) -> bool:
        """Whether this object is the one that counts the burst; its retry gets the same answer.

        ``told_by`` is the name under which deployments have stored it.
        """
        condition = "attribute_not_exists(told_by) OR told_by = :object_id"
        claimed = self._table.update(name, _BURST_SK, "SET told_by = :object_id", condition, {":object_id": object_id})
        return claimed is not None
