"""The alarms that watch a release: of the functions' errors, and of the dead-letter queues of their branches."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from sluice.pipeline.branches import CORE, Branches

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack
    from sluice.release.aliases import Live

_AT_A_TIME = 100  # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html


def names(stack: Stack, functions: Collection[Live]) -> list[str]:
    """Names that the alarms of these functions have where observability is on (infra/modules/alarms)."""
    prefix = stack["ingest_function"].removesuffix("-ingest")
    branches = {one.branch for one in functions} | {CORE}
    queues = [queue.label for queue in Branches.of(stack).queues.values() if queue.branch in branches]
    return sorted(
        {f"{prefix}-{one.key}-errors" for one in functions} | {f"{prefix}-{label}-dead-letters" for label in queues}
    )


def states(stack: Stack, wanted: Collection[str]) -> dict[str, str]:
    """OK, ALARM or INSUFFICIENT_DATA by name, of the alarms that exist."""
    client, listed = stack.client("cloudwatch"), sorted(wanted)
    found: dict[str, str] = {}
    for start in range(0, len(listed), _AT_A_TIME):
        answer = client.describe_alarms(AlarmNames=listed[start : start + _AT_A_TIME], MaxRecords=_AT_A_TIME)
        found |= {one["AlarmName"]: one["StateValue"] for one in answer["MetricAlarms"]}
    return found
