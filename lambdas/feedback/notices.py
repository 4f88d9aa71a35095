"""Notices about feedback: rows that are valid but unusual."""

from typing import Final

from sluice_pipeline.notices.notices import Notices

ANOMALY: Final = "feedback.anomaly"


def notify_anomaly(
    notices: Notices, dataset: str, check: str, count: int, samples: list[str], notified_before: int
) -> None:
    """``count`` rows break a check; ``notified_before`` is how many rows the notices before were about."""
    body = {
        "dataset": dataset,
        "check": check,
        "count": count,
        "notified_before": notified_before,
        "samples": samples,
        "reason": f"{count} x {check}",
        "look": f"sluice feedback --dataset {dataset} --anomalies",
        "repair": "no row is rejected: ask the sender, or change the check in the dataset's YAML and `make deploy`",
    }
    notices.publish(ANOMALY, dataset, "warning", str(body["reason"]), body)
