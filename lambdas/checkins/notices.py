"""Notices about check-ins: a day without a file."""

from typing import Final

from sluice_pipeline.notices.notices import Notices

CHECKINS_MISSING: Final = "checkin.missing"


def notify_missing(notices: Notices, dataset: str, day: str) -> None:
    """A day has no check-in file."""
    prefix = f"bronze/{dataset}/dt={day}/"
    body = {
        "dataset": dataset,
        "day": day,
        "reason": f"no file is under {prefix}",
        "look": f"sluice checkins runs --day {day}",
        "repair": f"upload the file under {prefix}, then sluice checkins submit --day {day}",
    }
    notices.publish(CHECKINS_MISSING, dataset, "error", str(body["reason"]), body)
