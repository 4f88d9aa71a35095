"""Alerts about anomalies: every anomaly is counted once, and one notice a check goes out in a while.

What is found in the meantime is counted and told by the next notice. A notice is claimed before and settled after it is
sent: a function that dies in between claims it again when its message comes back, so it may come twice, but is never
lost.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from anomalies import Found
from pipeline.feedback import ALERT_SK, alert_pk
from pipeline.notices import Notices
from pipeline.row_table import run_key
from pipeline.table import Table

_OBJECT: Final = "object"


class Alerts:
    """``quiet_seconds`` lie at least between two notices about a check of a dataset."""

    def __init__(self, table: Table, notices: Notices, quiet_seconds: int) -> None:
        self._table = table
        self._notices = notices
        self._quiet_seconds = quiet_seconds

    def count(self, object_id: str, run: int, rows: int, found: Mapping[str, Found]) -> bool:
        """Counts what a run of an object has (by dataset), once; False when it, or a newer run, has been counted.

        A run after the first adds only what it has more than the one before: a replay is no news.
        """
        before = self._table.get(_marker(object_id), _OBJECT) or {}
        counts = {alert_pk(dataset, check): n for dataset, part in found.items() for check, n in part.counts.items()}
        samples = {alert_pk(dataset, check): s for dataset, part in found.items() for check, s in part.samples.items()}
        marker = {"pk": _marker(object_id), "sk": _OBJECT, "counted_run": run_key(run), "rows": rows, "counts": counts}
        actions = [
            self._table.put_action(
                marker, "attribute_not_exists(pk) OR counted_run < :run", {":run": marker["counted_run"]}
            )
        ]
        for name, number in counts.items():
            more = number - int(before.get("counts", {}).get(name, 0))
            if more > 0:
                actions.append(
                    self._table.update_action(
                        name,
                        ALERT_SK,
                        "SET samples = :samples ADD pending :more , counted_total :more",
                        "",
                        {":samples": samples[name], ":more": more},
                    )
                )
        return self._table.transact(actions)

    def tell(self, object_id: str, dataset: str, checks: Iterable[str]) -> int:
        """Sends the notices about these checks that are due; how many."""
        names = {alert_pk(dataset, check): check for check in checks}
        items = self._table.get_many((name, ALERT_SK) for name in names)
        due = [item["pk"] for item in items if item["pending"] > 0]
        return sum(self._tell_one(name, dataset, names[name], object_id) for name in sorted(due))

    def _tell_one(self, name: str, dataset: str, check: str, object_id: str) -> bool:
        now = int(time.time())
        claimed = self._table.update(
            name,
            ALERT_SK,
            "SET told_at = :now , claimed_by = :object_id",
            "pending > :zero AND ( attribute_not_exists(told_at) OR told_at <= :before OR claimed_by = :object_id )",
            {":now": now, ":before": now - self._quiet_seconds, ":zero": 0, ":object_id": object_id},
        )
        if claimed is None:
            return False
        count, total = int(claimed["pending"]), int(claimed["counted_total"])
        self._notices.anomaly(dataset, check, count, list(claimed["samples"]), total - count)
        self._table.update(
            name,
            ALERT_SK,
            "SET pending = pending - :count REMOVE claimed_by",
            "claimed_by = :object_id",
            {":count": count, ":object_id": object_id},
        )
        return True


def _marker(object_id: str) -> str:
    return f"object#{object_id}"


def processed_run(table: Table, object_id: str) -> dict[str, Any] | None:
    """What was counted of an object, None before its first run was."""
    return table.get(_marker(object_id), _OBJECT)
