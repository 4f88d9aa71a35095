"""The API of EventBridge Scheduler.

https://docs.aws.amazon.com/scheduler/latest/APIReference/Welcome.html
"""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from localstack.aws.api import RequestContext, ServiceRequest, ServiceResponse
from localstack.aws.skeleton import Skeleton
from localstack.aws.spec import load_service
from localstack.services.plugins import Service

from sluice_ext import paging
from sluice_ext.pausing import GATE
from sluice_ext.scheduler import constraints, firing
from sluice_ext.scheduler.requests import conflict, described, group_arn, invalid, missing
from sluice_ext.scheduler.store import DEFAULT, STORES, Group, Schedule, Store
from sluice_ext.timeline.clock import CLOCK

Operation = Callable[[RequestContext, Any], ServiceResponse]
_PAGE = 100


def create_service() -> Service:
    """The service for LocalStack's service manager."""
    model = load_service("scheduler")
    operations: dict[str, Operation] = {
        "CreateSchedule": _idempotent(create),
        "GetSchedule": get,
        "UpdateSchedule": _idempotent(update),
        "DeleteSchedule": _idempotent(delete),
        "ListSchedules": list_schedules,
        "CreateScheduleGroup": _idempotent(create_group),
        "GetScheduleGroup": get_group,
        "DeleteScheduleGroup": _idempotent(delete_group),
        "ListScheduleGroups": list_groups,
        "TagResource": tag,
        "UntagResource": untag,
        "ListTagsForResource": list_tags,
    }
    table = {
        name: _checked(model.operation_model(name).input_shape, operation) for name, operation in operations.items()
    }
    return Service(name="scheduler", skeleton=Skeleton(model, table))


def _checked(shape: Any, operation: Operation) -> Operation:
    def run(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
        if wrong := constraints.violations(shape, dict(request)):
            raise invalid(wrong)
        with STORES.lock:
            return operation(context, request)

    return run


def _idempotent(operation: Operation) -> Operation:
    """A request with the ClientToken of an earlier one is answered as that was, and changes nothing."""

    def run(context: RequestContext, request: dict[str, Any]) -> ServiceResponse:
        token = request.get("ClientToken")
        if not token:
            return operation(context, request)
        asked = {name: value for name, value in request.items() if name != "ClientToken"}
        content = operation.__name__ + json.dumps(asked, default=str, sort_keys=True)
        store = _store(context)
        if token in store.tokens:
            former, answer = store.tokens[token]
            if former != content:
                raise conflict("The ClientToken has been used with other parameters.")
            return answer
        answer = operation(context, request)
        store.remember(token, content, answer)
        return answer

    return run


def _store(context: RequestContext) -> Store:
    store = STORES.of(context.account_id, context.region)
    if DEFAULT not in store.groups:
        now = CLOCK.now()
        store.groups[DEFAULT] = Group(DEFAULT, group_arn(context, DEFAULT), now, now)
    return store


# -- schedules ---------------------------------------------------------------------------------------------------------


def create(context: RequestContext, request: dict[str, Any]) -> ServiceResponse:
    """CreateSchedule."""
    store = _store(context)
    group = _group(store, request.get("GroupName"))
    if group.state != "ACTIVE":
        raise conflict(f"Schedule group {group.name} is being deleted.")
    if (group.name, request["Name"]) in store.schedules:
        raise conflict(f"Schedule {request['Name']} already exists.")
    given, now = described(context, request), CLOCK.now()
    schedule = Schedule(context.account_id, context.region, given, created=now, modified=now, anchor=now)
    store.schedules[group.name, given["Name"]] = schedule
    # "If you do not provide a StartDate for a rate-based schedule, your schedule starts invoking the target
    # immediately."
    firing.set_up(schedule, now - timedelta(microseconds=1) if given["ScheduleExpression"].startswith("rate") else None)
    _one_time_of_now(schedule)
    return {"ScheduleArn": schedule.arn}


def update(context: RequestContext, request: dict[str, Any]) -> ServiceResponse:
    """UpdateSchedule: what is not given has its default again."""
    schedule = _schedule(_store(context), request)
    former, now = schedule.given, CLOCK.now()
    schedule.given = described(context, request, str(former["ScheduleExpression"]))
    schedule.modified = now
    if schedule.given["ScheduleExpression"] != former["ScheduleExpression"]:
        schedule.anchor, schedule.done = now, False
    firing.set_up(schedule)
    _one_time_of_now(schedule)
    return {"ScheduleArn": schedule.arn}


def _one_time_of_now(schedule: Schedule) -> None:
    """A one-time schedule for the current minute fires at once."""
    now = CLOCK.now()
    if schedule.one_time and schedule.enabled and schedule.after(now) is None:
        firing.set_up(schedule, now - timedelta(minutes=1))


def get(context: RequestContext, request: dict[str, Any]) -> ServiceResponse:
    """GetSchedule."""
    found = _schedule(_store(context), request)
    return found.given | {
        "Arn": found.arn,
        "CreationDate": found.created,
        "LastModificationDate": found.modified,
    }


def delete(context: RequestContext, request: dict[str, Any]) -> ServiceResponse:
    """DeleteSchedule."""
    store = _store(context)
    found = _schedule(store, request)
    firing.cancel(found)
    del store.schedules[found.key[2:]]
    return {}


def list_schedules(context: RequestContext, request: dict[str, Any]) -> ServiceResponse:
    """ListSchedules, by group and name."""
    store, state = _store(context), request.get("State")
    if request.get("GroupName"):
        _group(store, request["GroupName"])
    listed = [
        {
            "Arn": one.arn,
            "Name": name,
            "GroupName": group,
            "State": one.given["State"],
            "CreationDate": one.created,
            "LastModificationDate": one.modified,
            "Target": {"Arn": one.given["Target"]["Arn"]},
        }
        for (group, name), one in sorted(store.schedules.items())
        if group == (request.get("GroupName") or group)
        and name.startswith(request.get("NamePrefix") or "")
        and one.given["State"] == (state or one.given["State"])
    ]
    return _page("Schedules", listed, request)


def _schedule(store: Store, request: dict[str, Any]) -> Schedule:
    group = _group(store, request.get("GroupName"))
    found = store.schedules.get((group.name, request["Name"]))
    if found is None:
        raise missing("Schedule", request["Name"])
    return found


# -- groups ------------------------------------------------------------------------------------------------------------


def create_group(context: RequestContext, request: dict[str, Any]) -> ServiceResponse:
    """CreateScheduleGroup."""
    store, name, now = _store(context), request["Name"], CLOCK.now()
    if name in store.groups:
        raise conflict(f"Schedule group {name} already exists.")
    tags = {one["Key"]: one["Value"] for one in request.get("Tags") or []}
    store.groups[name] = Group(name, group_arn(context, name), now, now, tags=tags)
    return {"ScheduleGroupArn": store.groups[name].arn}


def get_group(context: RequestContext, request: dict[str, Any]) -> ServiceResponse:
    """GetScheduleGroup."""
    return _shown(_group(_store(context), request["Name"]))


def delete_group(context: RequestContext, request: dict[str, Any]) -> ServiceResponse:
    """DeleteScheduleGroup: the group is DELETING until its schedules are deleted."""
    store = _store(context)
    group = _group(store, request["Name"])
    if group.name == DEFAULT:
        raise invalid("The default schedule group cannot be deleted.")
    if group.state != "ACTIVE":
        raise conflict(f"Schedule group {group.name} is being deleted.")
    group.state, group.modified = "DELETING", CLOCK.now()
    remove = GATE.follow_up("the deletion of a schedule group", _remove)
    threading.Thread(target=remove, args=(store, group), name="schedule-group", daemon=True).start()
    return {}


def _remove(store: Store, group: Group) -> None:
    with STORES.lock:
        for key, schedule in [(key, one) for key, one in store.schedules.items() if key[0] == group.name]:
            firing.cancel(schedule)
            del store.schedules[key]
        del store.groups[group.name]


def list_groups(context: RequestContext, request: dict[str, Any]) -> ServiceResponse:
    """ListScheduleGroups, by name."""
    prefix = request.get("NamePrefix") or ""
    listed = [_shown(one) for name, one in sorted(_store(context).groups.items()) if name.startswith(prefix)]
    return _page("ScheduleGroups", listed, request)


def _group(store: Store, name: str | None) -> Group:
    found = store.groups.get(name or DEFAULT)
    if found is None:
        raise missing("Schedule group", str(name))
    return found


def _shown(group: Group) -> dict[str, Any]:
    return {
        "Arn": group.arn,
        "Name": group.name,
        "State": group.state,
        "CreationDate": group.created,
        "LastModificationDate": group.modified,
    }


def _page(name: str, listed: list[dict[str, Any]], request: dict[str, Any]) -> ServiceResponse:
    try:
        found, token = paging.page(listed, request.get("NextToken"), request.get("MaxResults") or _PAGE)
    except paging.BadToken:
        raise invalid("Invalid NextToken.") from None
    return {name: found} | ({"NextToken": token} if token else {})


# -- tags --------------------------------------------------------------------------------------------------------------


def tag(context: RequestContext, request: dict[str, Any]) -> ServiceResponse:
    """TagResource; only groups have tags."""
    group = _tagged(context, request)
    group.tags |= {one["Key"]: one["Value"] for one in request["Tags"]}
    return {}


def untag(context: RequestContext, request: dict[str, Any]) -> ServiceResponse:
    """UntagResource."""
    group = _tagged(context, request)
    for key in request["TagKeys"]:
        group.tags.pop(key, None)
    return {}


def list_tags(context: RequestContext, request: dict[str, Any]) -> ServiceResponse:
    """ListTagsForResource."""
    return {"Tags": [{"Key": key, "Value": value} for key, value in _tagged(context, request).tags.items()]}


def _tagged(context: RequestContext, request: dict[str, Any]) -> Group:
    return _group(_store(context), str(request["ResourceArn"]).rsplit("/", 1)[-1])
