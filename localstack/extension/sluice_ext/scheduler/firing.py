"""A schedule is due: its target is invoked, again after a failure; what never arrives goes to a dead-letter queue.

Everything follows `sluice_ext.timeline.clock`, the waiting before an attempt, too.
"""

import hashlib
import json
import logging
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sluice_ext.metrics.store import STORE, Metric
from sluice_ext.pausing import GATE
from sluice_ext.scheduler import targets
from sluice_ext.scheduler.store import ENABLED, STORES, Delivery, Key, Schedule, Store, find
from sluice_ext.timeline.clock import CLOCK

LOG = logging.getLogger(__name__)
_LABEL: Final = "a schedule of EventBridge Scheduler"
# 185 attempts, the most there are, take about a day, the longest age.
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 480.0
_MAX_BODY: Final = 240_000  # bytes; a message of SQS has 256 KiB with its attributes


def set_up(schedule: Schedule, since: datetime | None = None) -> None:
    """Begin, change or end what is to come, as the schedule says; ``since`` is now unless it is given."""
    if schedule.given["State"] != ENABLED:
        cancel(schedule)
    elif schedule.done:
        CLOCK.cancel(_key(schedule.key))
    else:
        CLOCK.repeat(_key(schedule.key), schedule.after, lambda due: fire(schedule.key, due), since)


def cancel(schedule: Schedule) -> None:
    """End a schedule that is deleted or disabled; what waits to be tried again is not."""
    CLOCK.cancel(_key(schedule.key))
    for delivery in schedule.pending.values():
        CLOCK.cancel(_key(delivery.id))
    schedule.pending.clear()


def fire(key: Key, scheduled: datetime) -> None:
    """The time has come."""
    with GATE.work(_LABEL, source=True):
        with STORES.lock:
            schedule = find(key)
            if schedule is None or not schedule.enabled:
                return
            due = scheduled + _delay(schedule, scheduled)
            delivery = Delivery(str(uuid.uuid4()), scheduled, due, due, schedule.given["Target"])
            schedule.fired, schedule.done = scheduled, schedule.one_time
            schedule.pending[delivery.id] = delivery
        if due > scheduled:
            _wait(key, delivery)
        else:
            _attempt(key, delivery)


def _delay(schedule: Schedule, scheduled: datetime) -> timedelta:
    """Where in its flexible time window an invocation is: anywhere, and the same whenever it is asked."""
    window = schedule.given["FlexibleTimeWindow"]
    if window["Mode"] == "OFF":
        return timedelta()
    digest = hashlib.sha256(f"{schedule.arn}|{scheduled.isoformat()}".encode()).digest()
    return timedelta(seconds=int.from_bytes(digest[:8]) % (int(window["MaximumWindowInMinutes"]) * 60))


def _wait(key: Key, delivery: Delivery) -> None:
    CLOCK.once(_key(delivery.id), delivery.due, lambda _due: _again(key, delivery.id))


def _again(key: Key, number: str) -> None:
    with GATE.work(_LABEL, source=True):
        with STORES.lock:
            schedule = find(key)
            delivery = schedule.pending.get(number) if schedule else None
        if delivery is not None:
            _attempt(key, delivery)


def _attempt(key: Key, delivery: Delivery) -> None:
    """Invoke the target once; the delivery ends or waits."""
    account, region = key[:2]
    schedule = find(key)
    if schedule is None:
        return
    delivery.attempts += 1
    text = _input(schedule, delivery)
    _count(key, "InvocationAttemptCount")
    try:
        targets.invoke(delivery.target, text, account, region, _group_arn(key))
    except Exception as error:  # noqa: BLE001 - whatever a service answers is an error of the target
        failed = error if isinstance(error, targets.Failed) else targets.Failed("InternalError", str(error))
        LOG.info("Attempt %d of %s failed: %s %s", delivery.attempts, schedule.arn, failed.code, failed.message)
        _count(key, "TargetErrorThrottledCount" if failed.throttled else "TargetErrorCount")
        if not (exhausted := _exhausted(delivery)):
            _wait(key, delivery)
            return
        _count(key, "InvocationDroppedCount")
        _to_dead_letter_queue(key, delivery, text, failed, exhausted)
    with STORES.lock:
        schedule.pending.pop(delivery.id, None)
        end_completed(schedule)


def _exhausted(delivery: Delivery) -> str:
    """Which condition of the retry policy is met; otherwise the next attempt is due later, and this is empty."""
    policy = delivery.target["RetryPolicy"]
    if delivery.attempts > policy["MaximumRetryAttempts"]:
        return "MaximumRetryAttempts"
    wait = min(_FIRST_WAIT * 2 ** min(delivery.attempts - 1, 20), _LONGEST_WAIT)
    delivery.due = CLOCK.now() + timedelta(seconds=wait)
    too_old = delivery.due - delivery.began > timedelta(seconds=policy["MaximumEventAgeInSeconds"])
    return "MaximumEventAgeInSeconds" if too_old else ""


def _to_dead_letter_queue(key: Key, delivery: Delivery, text: str, failed: targets.Failed, exhausted: str) -> None:
    """https://docs.aws.amazon.com/scheduler/latest/UserGuide/configuring-schedule-dlq.html"""
    queue = (delivery.target.get("DeadLetterConfig") or {}).get("Arn")
    schedule = find(key)
    if not queue or schedule is None:
        return
    body = text.encode()[:_MAX_BODY].decode(errors="ignore")
    attributes = {
        "ERROR_CODE": failed.code,
        "ERROR_MESSAGE": failed.message[:2000],
        "EXECUTION_ID": delivery.id,
        "EXHAUSTED_RETRY_CONDITION": exhausted,
        "IS_PAYLOAD_TRUNCATED": "true" if body != text else "false",
        "RETRY_ATTEMPTS": str(delivery.attempts - 1),
        "SCHEDULED_TIME": stamp(delivery.scheduled),
        "SCHEDULE_ARN": schedule.arn,
        "TARGET_ARN": str(delivery.target["Arn"]),
    }
    role = str(delivery.target["RoleArn"])
    try:
        targets.dead_letter(queue, body, attributes, role, key[0], key[1], _group_arn(key))
    except Exception as error:  # noqa: BLE001 - the message is lost, as on AWS; the metric says so
        LOG.warning("The dead-letter message of %s was not sent: %s", schedule.arn, error)
        _count(key, "InvocationsFailedToBeSentToDeadLetterCount")
        code = error.code if isinstance(error, targets.Failed) else "InternalError"
        _count(key, f"InvocationsFailedToBeSentToDeadLetterCount_{code}")
        return
    _count(key, "InvocationsSentToDeadLetterCount")
    if body != text:
        _count(key, "InvocationsSentToDeadLetterCount_Truncated_MessageSizeExceeded")


def end_completed(schedule: Schedule) -> None:
    """Delete a schedule that is to be deleted after its last invocation, when that has ended. Call it with the lock."""
    if schedule.given["ActionAfterCompletion"] != "DELETE" or schedule.pending or find(schedule.key) is not schedule:
        return
    if schedule.given["State"] == ENABLED and CLOCK.next(_key(schedule.key)) is None:
        del STORES.of(schedule.account, schedule.region).schedules[schedule.key[2:]]


def _input(schedule: Schedule, delivery: Delivery) -> str:
    """What the target gets. Without an Input it is an event.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
    """
    given = delivery.target.get("Input")
    if given is None and ":scheduler:::aws-sdk:" in delivery.target["Arn"]:
        return ""
    if given is None:
        event = {
            "version": "0", "id": delivery.id, "detail-type": "Scheduled Event", "source": "aws.scheduler",
            "account": schedule.account, "time": stamp(delivery.scheduled), "region": schedule.region,
            "resources": [schedule.arn], "detail": "{}",
        }  # fmt: skip
        return json.dumps(event)
    text = str(given)
    for name, value in (
        ("schedule-arn", schedule.arn),
        ("scheduled-time", stamp(delivery.scheduled)),
        ("execution-id", delivery.id),
        ("attempt-number", str(delivery.attempts)),
    ):
        text = text.replace(f"<aws.scheduler.{name}>", value)
    return text


def stamp(moment: datetime) -> str:
    """2022-03-22T18:59:43Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _count(key: Key, name: str) -> None:
    """https://docs.aws.amazon.com/scheduler/latest/UserGuide/monitoring-cloudwatch.html"""
    STORE.add(Metric(key[0], key[1], "AWS/Scheduler", name, (("ScheduleGroup", key[2]),)), 1, "Count")


def _key(of: Key | str) -> tuple[str, Any]:
    return "scheduler", of


def _group_arn(key: Key) -> str:
    return f"arn:aws:scheduler:{key[1]}:{key[0]}:schedule-group/{key[2]}"


class Saved:
    """Everything that is scheduled, for a saved state."""

    def dump(self) -> tuple[float, dict[tuple[str, str], Store]]:
        """How far the clock was ahead (s), and the stores."""
        return CLOCK.moved_seconds, STORES.dump()

    def load(self, saved: tuple[float, dict[tuple[str, str], Store]]) -> None:
        """Restore what `dump` returned, in the machine's time.

        A schedule that came due while the engine was stopped fires once, for the last of these times.
        """
        moved, stores = saved
        STORES.load(stores)
        now = CLOCK.now()
        with STORES.lock:
            for schedule in [one for store in stores.values() for one in store.schedules.values()]:
                for delivery in schedule.pending.values():
                    delivery.due = max(delivery.due - timedelta(seconds=moved), now)
                    _wait(schedule.key, delivery)
                set_up(schedule)
                if missed := _missed(schedule, now):
                    CLOCK.once(_key(f"missed {schedule.arn}"), now, _firing(schedule.key, missed))
                else:
                    end_completed(schedule)


def _firing(key: Key, scheduled: datetime) -> Any:
    return lambda _due: fire(key, scheduled)


def _missed(schedule: Schedule, now: datetime) -> datetime | None:
    """The last time that has come since it fired or was changed."""
    if not schedule.enabled:
        return None
    floor = max(schedule.fired or schedule.modified, schedule.modified)
    # From near to far, so that not every minute of a year is looked at.
    for span in (timedelta(minutes=2), timedelta(hours=2), timedelta(days=2), timedelta(days=62), now - floor):
        last, found = None, schedule.after(max(floor, now - span))
        while found is not None and found <= now:
            last, found = found, schedule.after(found)
        if last is not None:
            return last
    return None


SAVED = Saved()
