"""Metric alarms: the state that follows from their last periods.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html

AWS evaluates an alarm once a minute on the last whole minutes, and on a few older ones where data is missing. Here an
alarm is evaluated every few seconds and its periods end at that moment: it fires seconds after its cause and returns to
OK one evaluation range after the cause has ended. Older periods count only with TreatMissingData missing or ignore.
A state of SetAlarmState stays as long as AWS's does at most: until a period (at most a minute) has passed.
"""

import json
import logging
import operator
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from localstack.aws.connect import connect_to

from sluice_ext import settings
from sluice_ext.metrics.expressions import Value
from sluice_ext.metrics.queries import Queries
from sluice_ext.pausing import GATE

LOG = logging.getLogger(__name__)
ALARM, OK, NO_DATA = "ALARM", "OK", "INSUFFICIENT_DATA"
COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}


_OLDER_PERIODS = 2
_MINUTE = 60
_TREATED = {"missing": "Missing", "breaching": "Breaching", "notBreaching": "NonBreaching", "ignore": "Ignore"}


def latest(points: Sequence[Value], count: int) -> list[Value]:
    """The last ``count`` periods; older data replaces the gaps in them."""
    missing = sum(point is None for point in points[-count:])
    older = [point for point in points[:-count] if point is not None][-missing:] if missing else []
    gaps = [None] * (missing - len(older))
    return [*gaps, *older, *(point for point in points[-count:] if point is not None)] if older else [*points[-count:]]


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
    points = [queries.values(now - i * period, now - (i - 1) * period)[result] for i in range(count + older, 0, -1)]
    points = latest(points, count)
    state = state_of(points, alarm)
    if state is None or state == alarm["StateValue"]:
        return
    reason, data = _reason(points, alarm, state), _reason_data(points, alarm, period)
    client = connect_to(aws_access_key_id=account, region_name=region).cloudwatch
    client.set_alarm_state(AlarmName=alarm["AlarmName"], StateValue=state, StateReason=reason, StateReasonData=data)


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


def _reason(points: Sequence[Value], alarm: Mapping[str, Any], state: str) -> str:
    present = [point for point in points if point is not None]
    if not present:
        treated, count = _TREATED[alarm.get("TreatMissingData") or "missing"], len(points)
        periods, missing = ("period", "datapoint was") if count == 1 else ("periods", "datapoints were")
        what = f"no datapoints were received for {count} {periods} and {count} missing {missing} treated as [{treated}]"
        return f"Insufficient Data: {what}." if state == NO_DATA else f"Threshold Crossed: {what}."
    breaches, words = COMPARISONS[alarm["ComparisonOperator"]]
    found = sum(breaches(point, alarm["Threshold"]) == (state == ALARM) for point in present)
    wanted = alarm.get("DatapointsToAlarm") or len(points)
    fewest = wanted if state == ALARM else len(points) - wanted + 1
    verb = ("was" if found == 1 else "were") + ("" if state == ALARM else " not")
    return (
        f"Threshold Crossed: {found} out of the last {len(present)} datapoints "
        f"[{', '.join(str(float(point)) for point in reversed(present))}] {verb} {words} the threshold "
        f"({float(alarm['Threshold'])}) (minimum {fewest} datapoint{'s' if fewest > 1 else ''} for "
        f"{'OK -> ALARM' if state == ALARM else 'ALARM -> OK'} transition)."
    )


def _reason_data(points: Sequence[Value], alarm: Mapping[str, Any], period: int) -> str:
    data = {
        "version": "1.0",
        "queryDate": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000"),
        "statistic": alarm.get("Statistic") or alarm.get("ExtendedStatistic"),
        "unit": alarm.get("Unit"),
        "period": period,
        "recentDatapoints": [point for point in points if point is not None],
        "threshold": alarm["Threshold"],
    }
    return json.dumps({name: value for name, value in data.items() if value is not None})
