"""LocalStack's CloudWatch with metric math, exact dimensions, and alarms that are evaluated every few seconds."""

import time
from datetime import UTC, datetime
from typing import Any

from localstack.aws.api import CommonServiceException, RequestContext, handler
from localstack.aws.api.cloudwatch import PutMetricAlarmInput
from localstack.services.cloudwatch import provider_v2
from localstack.services.cloudwatch.models import LocalStackMetricAlarm, cloudwatch_stores
from localstack.services.cloudwatch.provider_v2 import CloudwatchProvider
from localstack.services.plugins import Service
from localstack.utils.aws import arns

from sluice_ext.metrics import actions, alarms
from sluice_ext.metrics.expressions import UnsupportedExpression
from sluice_ext.metrics.queries import Queries
from sluice_ext.metrics.store import RETENTION_SECONDS, STORE
from sluice_ext.patching import replace

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
            if request.get("ComparisonOperator") not in alarms.COMPARISONS:
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
            store.alarms[arn].alarm.update({name: before.alarm[name] for name in _STATE if name in before.alarm})

    @handler("SetAlarmState")
    def set_alarm_state(self, context: RequestContext, alarm_name: str, *args: Any, **kwargs: Any) -> None:
        """Set the state; the actions for it are the alarm's, and none of them stops the others or the call."""
        with actions.of(arns.cloudwatch_alarm_arn(alarm_name, context.account_id, context.region)):
            super().set_alarm_state(context, alarm_name, *args, **kwargs)

    def _run_composite_alarm_actions(self, context: RequestContext, composite_alarm: Any, *args: Any) -> None:
        with actions.of(composite_alarm.alarm["AlarmArn"]):
            super()._run_composite_alarm_actions(context, composite_alarm, *args)

    @handler("GetMetricData", expand=False)
    def get_metric_data(self, context: RequestContext, request: dict[str, Any]) -> dict[str, Any]:
        """Values of metrics and expressions; a period begins at a multiple of its length."""
        listed = request["MetricDataQueries"]
        try:
            queries = Queries(context.account_id, context.region, listed)
        except UnsupportedExpression as error:
            raise CommonServiceException("ValidationError", str(error), 400, True) from error
        period = max([int(q["MetricStat"]["Period"]) for q in listed if q.get("MetricStat")] or [60])
        oldest = max(request["StartTime"].timestamp(), time.time() - RETENTION_SECONDS - period)
        begin, end = int(oldest) // period * period, request["EndTime"].timestamp()
        times = [begin + i * period for i in range(max(0, -int(-(end - begin) // period)))]
        if request.get("ScanBy") != "TimestampAscending":
            times.reverse()
        found = {at: queries.values(at, at + period) for at in times}
        results = []
        for query in listed:
            if query.get("ReturnData") is False:
                continue
            name = query["Id"]
            points = [(at, values[name]) for at, values in found.items() if values[name] is not None]
            stat = query.get("MetricStat")
            results.append(
                {
                    "Id": name,
                    "Label": query.get("Label") or (stat["Metric"]["MetricName"] if stat else name),
                    "StatusCode": "Complete",
                    "Timestamps": [datetime.fromtimestamp(at, UTC) for at, _ in points],
                    "Values": [value for _, value in points],
                }
            )
        return {"MetricDataResults": results, "Messages": []}


def _metric_alarms() -> list[LocalStackMetricAlarm]:
    return [
        alarm
        for _account, _region, store in cloudwatch_stores.iter_stores()
        for alarm in list(store.alarms.values())
        if isinstance(alarm, LocalStackMetricAlarm)
    ]
