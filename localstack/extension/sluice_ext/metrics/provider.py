"""LocalStack's CloudWatch with metric math, exact dimensions, and alarms that are evaluated every few seconds."""

import time
from datetime import UTC, datetime
from typing import Any

from localstack.aws.api import CommonServiceException, RequestContext, handler
from localstack.aws.api.cloudwatch import PutMetricAlarmInput
from localstack.services.cloudwatch import provider_v2
from localstack.services.cloudwatch.models import LocalStackCompositeAlarm, LocalStackMetricAlarm, cloudwatch_stores
from localstack.services.cloudwatch.provider_v2 import CloudwatchProvider
from localstack.services.plugins import Service
from localstack.utils.aws import arns
from localstack.utils.time import timestamp_millis

from sluice_ext.metrics import actions, alarms, answers, reasons
from sluice_ext.metrics.composite import InvalidRule, Rule
from sluice_ext.metrics.queries import Queries
from sluice_ext.metrics.store import RETENTION_SECONDS, STORE
from sluice_ext.patching import replace

_DAY = 86_400  # the longest period that is asked for
_STATE = ("StateValue", "StateReason", "StateReasonData", "StateUpdatedTimestamp", "StateTransitionedTimestamp")


def create_service() -> Service:
    """The CloudWatch service for LocalStack's service manager."""
    replace(provider_v2, "CloudwatchDatabase", lambda: STORE)
    actions.install()
    return Service.for_provider(SluiceCloudwatch())


class SluiceCloudwatch(CloudwatchProvider):  # type: ignore[misc]
    """The operations that differ from LocalStack's; the data is in `sluice_ext.metrics.store`."""

    def __init__(self) -> None:
        super().__init__()
        self.alarm_scheduler = alarms.AlarmScheduler(_metric_alarms)

    @handler("PutMetricAlarm", expand=False)
    def put_metric_alarm(self, context: RequestContext, request: PutMetricAlarmInput) -> None:
        """Create or change an alarm; a changed one retains its state. An alarm that cannot be evaluated is refused."""
        try:
            if request.get("ComparisonOperator") not in reasons.COMPARISONS:
                raise ValueError(f"{request.get('ComparisonOperator')} is not supported by this engine")
            alarms.queries_of(context.account_id, context.region, request)
        except (ValueError, KeyError) as error:
            raise CommonServiceException("ValidationError", str(error), 400, True) from error
        store = self.get_store(context.account_id, context.region)
        arn = arns.cloudwatch_alarm_arn(request["AlarmName"], context.account_id, context.region)
        before = store.alarms.get(arn)
        super().put_metric_alarm(context, request)
        if before is None:
            # LocalStack does not store them, and every plan would set them again.
            store.TAGS.tag_resource(arn, request.get("Tags") or [])
        else:
            self.alarm_scheduler.release(store.alarms[arn])
            store.alarms[arn].alarm.update({name: before.alarm[name] for name in _STATE if name in before.alarm})

    @handler("DescribeAlarms")
    def describe_alarms(self, context: RequestContext, **kwargs: Any) -> Any:
        """As LocalStack, but of copies: an evaluation may change an alarm while the answer is written."""
        return _copied(super().describe_alarms(context, **kwargs))

    @handler("DescribeAlarmsForMetric")
    def describe_alarms_for_metric(self, context: RequestContext, **kwargs: Any) -> Any:
        """The same."""
        return _copied(super().describe_alarms_for_metric(context, **kwargs))

    @handler("SetAlarmState")
    def set_alarm_state(self, context: RequestContext, alarm_name: str, *args: Any, **kwargs: Any) -> None:
        """Set the state, which stays until the alarm's next evaluation, unless that is what sets it.

        The actions for it are the alarm's, and none of them stops the others or the call.
        """
        arn = arns.cloudwatch_alarm_arn(alarm_name, context.account_id, context.region)
        if not context.is_internal_call:
            self.alarm_scheduler.hold(self.get_store(context.account_id, context.region).alarms.get(arn))
        with actions.of(arn):
            super().set_alarm_state(context, alarm_name, *args, **kwargs)

    def _update_state(
        self, context: RequestContext, alarm: Any, state_value: Any, state_reason: str, state_reason_data: Any = None
    ) -> None:
        data = state_reason_data and reasons.with_start(state_reason_data)
        super()._update_state(context, alarm, state_value, state_reason, data)

    def _run_composite_alarm_actions(self, context: RequestContext, composite_alarm: Any, *args: Any) -> None:
        with actions.of(composite_alarm.alarm["AlarmArn"]):
            super()._run_composite_alarm_actions(context, composite_alarm, *args)

    @handler("GetMetricData", expand=False)
    def get_metric_data(self, context: RequestContext, request: dict[str, Any]) -> dict[str, Any]:
        """Values of metrics and expressions; a period begins at a multiple of its length."""
        oldest = max(request["StartTime"].timestamp(), time.time() - RETENTION_SECONDS - _DAY)
        try:
            queries = Queries(context.account_id, context.region, request["MetricDataQueries"])
            return answers.answer(request, queries.series(oldest, request["EndTime"].timestamp()))
        except ValueError as error:
            raise CommonServiceException("ValidationError", str(error), 400, True) from error

    @handler("PutCompositeAlarm", expand=False)
    def put_composite_alarm(self, context: RequestContext, request: Any) -> None:
        """Create or change a composite alarm; a rule that is not understood, or names no alarm, is refused."""
        store = self.get_store(context.account_id, context.region)
        try:
            missing = [name for name in Rule(request["AlarmRule"]).names if _named(store, name) is None]
        except InvalidRule as error:
            raise CommonServiceException("ValidationError", str(error), 400, True) from error
        if missing:
            what = f"Could not save the composite alarm as alarms {missing} in the alarm rule do not exist"
            raise CommonServiceException("ValidationError", what, 400, True)
        before = _named(store, request["AlarmName"])
        super().put_composite_alarm(context, request)
        if before is not None and (made := _named(store, request["AlarmName"])) is not None:
            made.alarm.update({name: before.alarm[name] for name in _STATE if name in before.alarm})
        self._evaluate_composite_alarms(context, None)

    def _evaluate_composite_alarms(self, context: Any, triggering_alarm: Any) -> None:
        """As long as one changes: rules name composite alarms too."""
        store = self.get_store(context.account_id, context.region)
        composites = [alarm for alarm in list(store.alarms.values()) if isinstance(alarm, LocalStackCompositeAlarm)]
        for _ in composites:
            before = [alarm.alarm["StateValue"] for alarm in composites]
            for alarm in composites:
                self._evaluate_composite_alarm(context, alarm, triggering_alarm)
            if before == [alarm.alarm["StateValue"] for alarm in composites]:
                return

    def _evaluate_composite_alarm(self, context: Any, composite_alarm: Any, triggering_alarm: Any) -> None:
        store, alarm = self.get_store(context.account_id, context.region), composite_alarm.alarm
        rule = Rule(alarm["AlarmRule"])
        children = [found for name in rule.names if (found := _named(store, name)) is not None]

        def state(name: str) -> str | None:
            child = _named(store, name)
            return None if child is None else str(child.alarm["StateValue"])

        new, old = reasons.ALARM if rule.holds(state) else reasons.OK, alarm["StateValue"]
        if new == old or not children:
            return
        trigger = triggering_alarm if triggering_alarm in children else _last_changed(children)
        at = trigger.alarm.get("StateTransitionedTimestamp") or datetime.now(UTC)
        named = {
            "arn": trigger.alarm["AlarmArn"],
            "state": {"value": trigger.alarm["StateValue"], "timestamp": timestamp_millis(at)},
        }
        reason = f"{named['arn']} transitioned to {trigger.alarm['StateValue']} at {at:%A %d %B, %Y %H:%M:%S} UTC"
        alarm["StateTransitionedTimestamp"] = datetime.now(UTC)
        self._update_state(context, composite_alarm, new, reason, {"triggeringAlarms": [named]})
        if alarm["ActionsEnabled"]:
            self._run_composite_alarm_actions(context, composite_alarm, old, trigger)


def _copied(answer: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    return {kind: [dict(one) for one in alarms_found] for kind, alarms_found in answer.items()}


def _named(store: Any, name: str) -> Any:
    """The alarm with this name or ARN, or None."""
    return next((one for arn, one in list(store.alarms.items()) if name in (arn, one.alarm["AlarmName"])), None)


def _last_changed(children: list[Any]) -> Any:
    oldest = datetime.fromtimestamp(0, UTC)
    return max(children, key=lambda child: child.alarm.get("StateTransitionedTimestamp") or oldest)


def _metric_alarms() -> list[LocalStackMetricAlarm]:
    return [
        alarm
        for _account, _region, store in cloudwatch_stores.iter_stores()
        for alarm in list(store.alarms.values())
        if isinstance(alarm, LocalStackMetricAlarm)
    ]
