"""Alerts about anomalies: every anomaly is counted once, and a check sends one notice within its quiet time.

The next notice has what was found in the meantime. A notice is claimed before it is sent and settled afterwards: a
function that dies in between claims it again when SQS delivers its message again, so a notice may come twice, but is
never lost.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from feedback.anomalies import Found
from feedback.notices import notify_anomaly
from feedback.rows import ALERT_SK, alert_pk
from sluice_pipeline.dynamo.keys import join_key
from sluice_pipeline.dynamo.rows import run_key
from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.notices.notices import Notices

_OBJECT: Final = "object"


class Alerts:
    """Between two notices about a check of a dataset are at least ``quiet_seconds``."""

    def __init__(self, table: Table, notices: Notices, quiet_seconds: int) -> None:
        self._table = table
        self._notices = notices
        self._quiet_seconds = quiet_seconds

    def count(self, object_id: str, run: int, rows: int, found: Mapping[str, Found]) -> bool:
        """Counts the anomalies of an object's run (by dataset), once; False when it, or a newer run, has been counted.

        A run after the first adds only what the run before did not have.
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

    def notify(self, object_id: str, dataset: str, checks: Iterable[str]) -> int:
        """Sends the notices about these checks that are due; how many."""
        names = {alert_pk(dataset, check): check for check in checks}
        items = self._table.get_many((name, ALERT_SK) for name in names)
        due = [item["pk"] for item in items if item["pending"] > 0]
        return sum(self._notify_one(name, dataset, names[name], object_id) for name in sorted(due))

    def _notify_one(self, name: str, dataset: str, check: str, object_id: str) -> bool:
        """``told_at`` (the time of the last notice) is the name under which deployments have stored it."""
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
        notify_anomaly(self._notices, dataset, check, count, list(claimed["samples"]), total - count)
        self._table.update(
            name,
            ALERT_SK,
            "SET pending = pending - :count REMOVE claimed_by",
            "claimed_by = :object_id",
            {":count": count, ":object_id": object_id},
        )
        return True


def _marker(object_id: str) -> str:
    return join_key("object", object_id)


def processed_run(table: Table, object_id: str) -> dict[str, Any] | None:
    """What was counted of an object; None before its first run was counted."""
    return table.get(_marker(object_id), _OBJECT)
