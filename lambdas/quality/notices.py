"""Notices about staged objects: withheld by an expectation, or not audited."""

from collections.abc import Mapping
from typing import Any, Final

from quality.verdict import Broken
from sluice_pipeline.ledger.items import ObjectItem
from sluice_pipeline.notices.notices import Notices, about_object

WITHHELD: Final = "quality.withheld"
FAILED: Final = "quality.failed"


def notify_withheld(notices: Notices, item: ObjectItem, broken: list[Broken], reason: str) -> None:
    """``broken``: the expectations that did not hold, hard ones first."""
    object_id = item["object_id"]
    body = about_object(item) | {
        "run": int(item["run"]),
        "reason": reason,
        "expectations": [_described(one) for one in broken],
        "look": f"sluice quality show {object_id}",
        "repair": f"fix the file or the rule and `make deploy`, then sluice replay --run {object_id}; "
        f"or sluice quality release {object_id} --reason WHY publishes it as it is",
    }
    notices.publish(WITHHELD, item["dataset"], "error", reason, body)


def notify_failed(notices: Notices, item: ObjectItem, error: str) -> None:
    """The audit did not come to a verdict: the object stays staged."""
    object_id = item["object_id"]
    body = about_object(item) | {
        "run": int(item["run"]),
        "reason": f"the audit failed: {error}",
        "look": f"sluice quality show {object_id}",
        "repair": f"fix the cause, then sluice quality run {object_id}",
    }
    notices.publish(FAILED, item["dataset"], "error", str(body["reason"]), body)


def _described(broken: Broken) -> Mapping[str, Any]:
    named = ("name", "expectation", "field", "hard", "rows", "failed", "samples")
    return {"dataset": broken.dataset} | {name: broken.expectation.get(name) for name in named}
