"""Metric alarms: the state that follows from their last periods.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html

AWS evaluates an alarm once a minute on the last whole minutes, and on a few older ones where data is missing. Here an
alarm is evaluated every few seconds and its periods end at that moment: it fires seconds after its cause and returns to
OK one evaluation range after the cause has ended. Older periods count only with TreatMissingData missing or ignore.
A state of SetAlarmState stays as long as AWS's does at most: until a period (at most a minute) has passed.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from localstack.aws.connect import connect_to

from sluice_ext import settings
from sluice_ext.metrics import reasons
from sluice_ext.metrics.expressions import Value
from sluice_ext.metrics.queries import Queries
from sluice_ext.metrics.reasons import ALARM, COMPARISONS, NO_DATA, OK, Point
from sluice_ext.pausing import GATE

LOG = logging.getLogger(__name__)
_OLDER_PERIODS = 2
_MINUTE = 60


def latest(points: Sequence[Point], count: int) -> list[Point]:
    """The last ``count`` periods; older data replaces the gaps in them."""
    recent = points[-count:]
    gaps = [point for point in recent if point.value is None]
    older = [point for point in points[:-count] if point.value is not None][-len(gaps) :] if gaps else []
    if not older:
        return [*recent]
    return [*gaps[: len(gaps) - len(older)], *older, *(point for point in recent if point.value is not None)]


def state_of(points: Sequence[Value], alarm: Mapping[str, Any]) -> str | None:
    """The state that the last periods (oldest first, None for no data) give; None leaves the state as it is."""
    breaches, _ = COMPARISONS[alarm["ComparisonOperator"]]
    wanted = alarm.get("DatapointsToAlarm") or len(points)
    treat = alarm.get("TreatMissingData") or "missing"
    filled = {"breaching": True, "notBreaching": False}.get(treat)
    verdicts = [filled if point is None else breaches(point, alarm["Threshold"]) for point in points]
    if verdicts.count(True) >= wanted:
        return ALARM
    present = [verdict for verdict in verdicts if verdict is not None]
    if not present:
        return NO_DATA if treat == "missing" else None
    # All data is breaching and old enough: the gaps after it do not delay the alarm.
    if all(present) and verdicts[-wanted]:
        return ALARM if treat == "missing" else None
    return OK if filled is not None or len(present) == len(points) or not all(present) else None


class AlarmScheduler:
    """Replaces LocalStack's scheduler, which evaluates only simple alarms, and those once per evaluation range."""

    def __init__(self, alarms: Callable[[], list[Any]]) -> None:
        self._alarms = alarms
        self._held: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Evaluate all alarms from now on."""
        if self._thread is None or not self._thread.is_alive():
            self._stop.clear()
            self._thread = threading.Thread(target=self._run, name="cloudwatch-alarms", daemon=True)
            self._thread.start()

    def shutdown(self) -> None:
        """Stop evaluating."""
        self._stop.set()

    def schedule_metric_alarm(self, alarm_arn: str) -> None:
        """Nothing to do: every alarm that exists is evaluated."""

    def delete_scheduler_for_alarm(self, alarm_arn: str) -> None:
        """Nothing to do: a deleted alarm is not evaluated."""

    def restart_existing_alarms(self) -> None:
        """Nothing to do."""

    def hold(self, found: Any) -> None:
        """The alarm was given a state: the next evaluation is after its period, or after a minute."""
        if found is not None:
            period = min(_MINUTE, int(found.alarm.get("Period") or _MINUTE))
            self._held[found.alarm["AlarmArn"]] = time.monotonic() + period

    def release(self, found: Any) -> None:
        """Evaluate the alarm again from now on."""
        self._held.pop(found.alarm["AlarmArn"], None)

    def _is_held(self, arn: str) -> bool:
        if (until := self._held.get(arn)) is None:
            return False
        if time.monotonic() < until:
            return True
        self._held.pop(arn, None)
        return False

    def _run(self) -> None:
        while not self._stop.wait(settings.ALARM_SECONDS):
            for found in self._alarms():
                if self._is_held(found.alarm["AlarmArn"]):
                    continue
                try:
                    with GATE.work(f"alarm {found.alarm.get('AlarmName')}", source=True):
                        evaluate(found.account_id, found.region, found.alarm)
                except Exception as error:  # noqa: BLE001 - one alarm must not stop the others
                    LOG.warning("Cannot evaluate the alarm %s: %s", found.alarm.get("AlarmName"), error)


def evaluate(account: str, region: str, alarm: Mapping[str, Any]) -> None:
    """Evaluate one alarm. If its state changes, set it; CloudWatch then runs its actions."""
    queries, result, period = queries_of(account, region, alarm)
    now, count = time.time(), int(alarm["EvaluationPeriods"])
    older = _OLDER_PERIODS if (alarm.get("TreatMissingData") or "missing") in ("missing", "ignore") else 0
    starts = [now - i * period for i in range(count + older, 0, -1)]
    points = latest([Point(start, queries.values(start, start + period)[result]) for start in starts], count)
    state = state_of([point.value for point in points], alarm)
    if state is None or state == alarm["StateValue"]:
        return
    points = _with_samples(points, account, region, alarm, period)
    client = connect_to(aws_access_key_id=account, region_name=region).cloudwatch
    client.set_alarm_state(
        AlarmName=alarm["AlarmName"],
        StateValue=state,
        StateReason=reasons.reason(points, alarm, state),
        StateReasonData=reasons.reason_data(points, alarm, period),
    )


def _with_samples(
    points: Sequence[Point], account: str, region: str, alarm: Mapping[str, Any], period: int
) -> list[Point]:
    """How many samples each period has; unknown where metrics are calculated with."""
    if alarm.get("Metrics"):
        return [*points]
    queries, result, _ = queries_of(account, region, {**alarm, "Statistic": "SampleCount"})
    return [replace(one, samples=queries.values(one.start, one.start + period)[result]) for one in points]


def queries_of(account: str, region: str, alarm: Mapping[str, Any]) -> tuple[Queries, str, int]:
    """An alarm's queries, the id of the one that is compared, and the length of its periods (s)."""
    if listed := alarm.get("Metrics"):
        (result,) = [query["Id"] for query in listed if query.get("ReturnData", True)]
        periods = [query["MetricStat"]["Period"] for query in listed if query.get("MetricStat")]
        return Queries(account, region, listed), result, int(max(periods))
    names = ("MetricName", "Namespace", "Dimensions")
    stat = {
        "Metric": {name: alarm[name] for name in names if alarm.get(name)},
        "Stat": alarm.get("Statistic") or alarm["ExtendedStatistic"],
    } | ({"Unit": alarm["Unit"]} if alarm.get("Unit") else {})
    return Queries(account, region, [{"Id": "m", "MetricStat": stat}]), "m", int(alarm["Period"])
