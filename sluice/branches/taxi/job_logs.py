"""What runs of the branch's Glue jobs have printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack

# https://docs.aws.amazon.com/glue/latest/dg/monitor-continuous-logging-view.html
_GROUPS = {"transform": "/aws-glue/jobs"}
_OTHER_GROUP = "/aws-glue/python-jobs"


def lines(stack: Stack, job: str, run: str) -> list[str]:
    """Of a run, its output and then its errors; [] where it has printed nothing."""
    client = stack.client("logs")
    found: list[str] = []
    for part in ("output", "error"):
        group = f"{_GROUPS.get(job, _OTHER_GROUP)}/{part}"
        try:
            pages = client.get_paginator("filter_log_events").paginate(logGroupName=group, logStreamNamePrefix=run)
            found += [event["message"].rstrip("\n") for page in pages for event in page["events"]]
        except client.exceptions.ResourceNotFoundException:
            continue
    return found
