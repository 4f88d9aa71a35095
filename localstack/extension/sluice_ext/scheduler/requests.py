"""What AWS demands of a schedule beyond its model, with AWS's messages."""

import logging
from datetime import UTC, timedelta
from typing import Any, Final

from localstack.aws.api import CommonServiceException, RequestContext

from sluice_ext.iam import trust
from sluice_ext.scheduler import targets, universal
from sluice_ext.scheduler.store import DEFAULT, ENABLED
from sluice_ext.timeline import expressions
from sluice_ext.timeline.clock import CLOCK
from sluice_ext.timeline.cron import Malformed

LOG = logging.getLogger(__name__)

_GRACE: Final = timedelta(minutes=5)
_MAX_AGE, _MAX_RETRIES = 86400, 185
_KEPT: Final = (
    "ActionAfterCompletion", "Description", "EndDate", "FlexibleTimeWindow", "KmsKeyArn", "Name", "ScheduleExpression",
    "StartDate", "Target",
)  # fmt: skip


def invalid(message: str) -> CommonServiceException:
    """ValidationException."""
    return CommonServiceException("ValidationException", message, 400, True)


def missing(what: str, name: str) -> CommonServiceException:
    """ResourceNotFoundException. what: Schedule or Schedule group."""
    return CommonServiceException("ResourceNotFoundException", f"{what} {name} does not exist.", 404, True)


def conflict(message: str) -> CommonServiceException:
    """ConflictException."""
    return CommonServiceException("ConflictException", message, 409, True)


def group_arn(context: RequestContext, name: str) -> str:
    """ARN of a schedule group."""
    return f"arn:aws:scheduler:{context.region}:{context.account_id}:schedule-group/{name}"


def described(context: RequestContext, request: dict[str, Any], former: str = "") -> dict[str, Any]:
    """What a schedule has from now on: all that is given, and the defaults of the rest. Raises ValidationException.

    ``former`` is the expression that it had; the time of a one-time schedule may have passed only if it is the same.
    """
    given = {name: request[name] for name in _KEPT if request.get(name) is not None}
    given |= {
        "GroupName": request.get("GroupName") or DEFAULT,
        "State": request.get("State") or ENABLED,
        "ScheduleExpressionTimezone": request.get("ScheduleExpressionTimezone") or "UTC",
        "ActionAfterCompletion": request.get("ActionAfterCompletion") or "NONE",
    }
    for name in ("StartDate", "EndDate"):
        if name in given:
            given[name] = given[name].astimezone(UTC)
    _check_times(given, former)
    window = given["FlexibleTimeWindow"]
    if window["Mode"] == "FLEXIBLE" and not window.get("MaximumWindowInMinutes"):
        raise invalid("MaximumWindowInMinutes is required when the mode of FlexibleTimeWindow is FLEXIBLE.")
    if window["Mode"] == "OFF" and window.get("MaximumWindowInMinutes"):
        raise invalid("MaximumWindowInMinutes must not be specified when the mode of FlexibleTimeWindow is OFF.")
    given["Target"] = _target(dict(given["Target"]))
    source = group_arn(context, given["GroupName"])
    if not trust.assumable(given["Target"]["RoleArn"], context.account_id, (targets.SERVICE,), source_arn=source):
        raise invalid("The execution role you provide must allow AWS EventBridge Scheduler to assume the role.")
    return given


def _check_times(given: dict[str, Any], former: str) -> None:
    now, text = CLOCK.now(), given["ScheduleExpression"]
    start, end = given.get("StartDate"), given.get("EndDate")
    try:
        expressions.zone_of(given["ScheduleExpressionTimezone"])
    except Malformed:
        raise invalid("Invalid ScheduleExpressionTimezone.") from None
    try:
        expression = expressions.parse(text, start or now, given["ScheduleExpressionTimezone"])
    except Malformed:
        raise invalid(f"Invalid Schedule Expression {text}.") from None
    if isinstance(expression, expressions.Once):
        if text != former and expression.after(now - timedelta(minutes=1)) is None:
            LOG.warning("The schedule %s never fires: the time of %s has passed", given["Name"], text)
        return
    if start and start < now - _GRACE and not former:
        raise invalid("The StartDate you specify cannot be earlier than 5 minutes ago.")
    if end and end <= now:
        raise invalid("The EndDate you specify cannot be earlier than now.")
    if start and end and end <= start:
        raise invalid("The EndDate you specify must come after the StartDate.")


def _target(target: dict[str, Any]) -> dict[str, Any]:
    arn = str(target["Arn"])
    given = target.get("RetryPolicy") or {}
    target["RetryPolicy"] = {
        "MaximumEventAgeInSeconds": given.get("MaximumEventAgeInSeconds", _MAX_AGE),
        "MaximumRetryAttempts": given.get("MaximumRetryAttempts", _MAX_RETRIES),
    }
    queue = str((target.get("DeadLetterConfig") or {}).get("Arn") or "")
    if queue.endswith(".fifo"):
        raise invalid("A FIFO queue cannot be used as a dead-letter queue.")
    if universal.is_universal(arn):
        try:
            universal.parse(arn).request(target.get("Input") or "")
        except universal.Refused as error:
            raise invalid(str(error)) from None
        return target
    parts = arn.split(":", 2)
    service = parts[2].split(":")[0] if len(parts) == 3 else ""
    if service in targets.UNAVAILABLE:
        raise CommonServiceException("NotImplementedException", f"targets of {service} are not called here", 501)
    if parts[0] != "arn" or service not in targets.TEMPLATED or not targets.TEMPLATED[service][0].fullmatch(parts[2]):
        raise invalid("Provided Arn is not in correct format.")
    if service == "events" and not target.get("EventBridgeParameters"):
        raise invalid("EventBridgeParameters is required for a target that is an event bus.")
    if target.get("SqsParameters", {}).get("MessageGroupId") and not arn.endswith(".fifo"):
        raise invalid("MessageGroupId is for targets that are FIFO queues.")
    return target
