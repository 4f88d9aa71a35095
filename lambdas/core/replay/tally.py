"""The reconciliation of a replay, added up object by object."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from sluice_pipeline.ledger.items import ObjectItem
from sluice_pipeline.replays.request import Entry, outcome_of

_ROWS: Final = ("rows_in", "rows_silver", "rows_quarantined")
_PROBLEMS_KEPT: Final = 1000  # in the result; a notice names the first few


@dataclass
class Tally:
    """Counts by dataset, before and after, and every object that needs the operator."""

    datasets: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    problems: list[dict[str, str]] = field(default_factory=list)
    left_out: list[dict[str, str]] = field(default_factory=list)
    problem_count: int = 0
    objects: int = 0

    def add(self, entry: Entry, item: ObjectItem | None, gone: str | None) -> None:
        """``item`` is the object as it is now; ``gone`` the reason when its version could not be read."""
        outcome = outcome_of(entry, item, gone)
        counts = self.datasets.setdefault(
            entry["dataset"], {"outcomes": Counter(), "before": Counter(), "after": Counter()}
        )
        self.objects += 1
        counts["outcomes"][outcome.kind] += 1
        for name in _ROWS:
            counts["before"][name] += int(entry[name])
            counts["after"][name] += int(item[name]) if item else 0
        if outcome.kind != "committed":
            line = {"object_id": entry["object_id"], "key": entry["key"], "dataset": entry["dataset"]}
            line |= {"outcome": outcome.kind, "reason": outcome.reason}
            self.problem_count += not outcome.fine
            kept = self.left_out if outcome.fine else self.problems
            if len(kept) < _PROBLEMS_KEPT:
                kept.append(line)

    @property
    def ok(self) -> bool:
        return not self.problem_count

    def total(self, part: str) -> Counter[str]:
        """Outcomes, rows before or rows after of all datasets together."""
        return sum((counts[part] for counts in self.datasets.values()), Counter())

    def result(self, name: str) -> dict[str, Any]:
        """The reconciliation as JSON."""
        return {
            "name": name,
            "ok": self.ok,
            "objects": self.objects,
            "outcomes": dict(self.total("outcomes")),
            "before": _rows(self.total("before")),
            "after": _rows(self.total("after")),
            "datasets": {
                dataset: {
                    "outcomes": dict(counts["outcomes"]),
                    "before": _rows(counts["before"]),
                    "after": _rows(counts["after"]),
                }
                for dataset, counts in sorted(self.datasets.items())
            },
            "problem_count": self.problem_count,
            "problems": self.problems,
            "left_out": self.left_out,
        }


def _rows(counts: Counter[str]) -> dict[str, int]:
    return {name: counts[name] for name in _ROWS}


def notice(result: dict[str, Any], dataset: str, named: int = 5) -> dict[str, Any]:
    """The notice: counts, the first objects that need the operator, and the command that shows the rest."""
    kind = "replay.done" if result["ok"] else "replay.failed"
    counts = {name: result[name] for name in ("objects", "outcomes", "before", "after", "problem_count", "rules")}
    return {"kind": kind, "severity": "info" if result["ok"] else "error", "replay": result["name"]} | {
        "dataset": dataset,
        **counts,
        "problems": result["problems"][:named],
        "look": f"sluice replay --show {result['name']}",
        "repair": "" if result["ok"] else "fix the cause, then replay again with another --id",
    }
