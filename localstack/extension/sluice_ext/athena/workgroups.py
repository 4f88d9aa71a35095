"""Work groups and tags. https://docs.aws.amazon.com/athena/latest/ug/workgroups-manage-queries-control-costs.html"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from localstack.aws.api import RequestContext, ServiceRequest, ServiceResponse

from sluice_ext import paging
from sluice_ext.athena.errors import invalid
from sluice_ext.athena.store import ENGINE_VERSION, PRIMARY, STORES, Store

_NAME = re.compile(r"[a-zA-Z0-9._-]{1,128}")
_MIN_CUTOFF = 10_000_000
_DEFAULTS: Final = {
    "EnforceWorkGroupConfiguration": True,
    "PublishCloudWatchMetricsEnabled": False,
    "RequesterPaysEnabled": False,
    "EngineVersion": ENGINE_VERSION,
}
# ResultConfigurationUpdates and WorkGroupConfigurationUpdates name what they remove.
_REMOVALS = {
    "RemoveBytesScannedCutoffPerQuery": "BytesScannedCutoffPerQuery",
    "RemoveCustomerContentEncryptionConfiguration": "CustomerContentEncryptionConfiguration",
    "RemoveOutputLocation": "OutputLocation",
    "RemoveEncryptionConfiguration": "EncryptionConfiguration",
    "RemoveExpectedBucketOwner": "ExpectedBucketOwner",
    "RemoveAclConfiguration": "AclConfiguration",
}


def _store(context: RequestContext) -> Store:
    return STORES.of(context.account_id, context.region)


def get_group(store: Store, name: str) -> dict[str, Any]:
    """A work group by name."""
    found = store.workgroups.get(name)
    if found is None:
        raise invalid(
            f"WorkGroup is not found: {name}" if _NAME.fullmatch(name) else f"Invalid work group name: {name}"
        )
    return found


def enabled(store: Store, name: str) -> dict[str, Any]:
    """A work group that takes queries."""
    found = get_group(store, name)
    if found["State"] != "ENABLED":
        raise invalid(f"WorkGroup {name} is disabled.")
    return found


def _create(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    store, name = _store(context), request["Name"]
    if not _NAME.fullmatch(name):
        raise invalid(f"Invalid work group name: {name}")
    configuration = _checked(_DEFAULTS | dict(request.get("Configuration") or {}))
    configuration["EngineVersion"] = _engine(configuration.get("EngineVersion"))
    configuration.setdefault("ResultConfiguration", {})
    with STORES.lock:
        if name in store.workgroups:
            raise invalid("WorkGroup is already created")
        store.workgroups[name] = {
            "Name": name,
            "State": "ENABLED",
            "Configuration": configuration,
            "Description": request.get("Description") or "",
            "CreationTime": datetime.now(UTC),
        }
        store.tags[_arn(context, name)] = {tag["Key"]: tag["Value"] for tag in request.get("Tags") or []}
    return {}


def _engine(asked: Mapping[str, Any] | None) -> dict[str, str]:
    selected = (asked or {}).get("SelectedEngineVersion") or "AUTO"
    if selected not in ("AUTO", "Athena engine version 3"):
        raise invalid(f"Engine version {selected} is not supported by this engine.")
    return {"SelectedEngineVersion": selected, "EffectiveEngineVersion": "Athena engine version 3"}


def _checked(configuration: dict[str, Any]) -> dict[str, Any]:
    cutoff = configuration.get("BytesScannedCutoffPerQuery")
    if cutoff is not None and cutoff < _MIN_CUTOFF:
        raise invalid(f"BytesScannedCutoffPerQuery must be at least {_MIN_CUTOFF}.")
    location = (configuration.get("ResultConfiguration") or {}).get("OutputLocation")
    if location and not str(location).startswith("s3://"):
        raise invalid(f"outputLocation is not a valid S3 path. Provided: {location}")
    return configuration


def _get(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    return {"WorkGroup": get_group(_store(context), request["WorkGroup"])}


def _list(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    groups = sorted(_store(context).workgroups.values(), key=lambda one: str(one["Name"]))
    found, token = page(groups, request, 50)
    shown = [
        {key: one[key] for key in ("Name", "State", "Description", "CreationTime") if key in one}
        | {"EngineVersion": one["Configuration"]["EngineVersion"]}
        for one in found
    ]
    return {"WorkGroups": shown, "NextToken": token}


def _update(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    with STORES.lock:
        group = get_group(_store(context), request["WorkGroup"])
        changes = dict(request.get("ConfigurationUpdates") or {})
        configuration = dict(group["Configuration"])
        results = changes.pop("ResultConfigurationUpdates", None)
        if results:
            configuration["ResultConfiguration"] = _changed(configuration.get("ResultConfiguration") or {}, results)
        if "EngineVersion" in changes:
            changes["EngineVersion"] = _engine(changes["EngineVersion"])
        configuration = _checked(_changed(configuration, changes))
        group["Configuration"] = configuration
        for key in ("Description", "State"):
            if request.get(key) is not None:
                group[key] = request[key]
    return {}


def _changed(before: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    removed = {gone for flag, gone in _REMOVALS.items() if changes.get(flag)}
    kept = {key: value for key, value in before.items() if key not in removed}
    return kept | {key: value for key, value in changes.items() if key not in _REMOVALS and value is not None}


def _delete(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    store, name = _store(context), request["WorkGroup"]
    with STORES.lock:
        get_group(store, name)
        if name == PRIMARY:
            raise invalid("primary WorkGroup could not be deleted")
        held = any(one["WorkGroup"] == name for one in store.named.values()) or any(
            g == name for g, _ in store.prepared
        )
        if held and not request.get("RecursiveDeleteOption"):
            raise invalid(f"WorkGroup {name} is not empty")
        del store.workgroups[name]
        store.tags.pop(_arn(context, name), None)
        store.named = {key: one for key, one in store.named.items() if one["WorkGroup"] != name}
        store.prepared = {key: one for key, one in store.prepared.items() if key[0] != name}
        for key in [key for key, one in store.executions.items() if one.shown["WorkGroup"] == name]:
            del store.executions[key]
    return {}


# -- tags ------------------------------------------------------------------------------------------------------------


def _arn(context: RequestContext, name: str) -> str:
    return f"arn:{context.partition}:athena:{context.region}:{context.account_id}:workgroup/{name}"


def _tags_of(context: RequestContext, request: ServiceRequest) -> dict[str, str]:
    arn = str(request["ResourceARN"])
    get_group(_store(context), arn.rsplit("/", 1)[-1])
    return _store(context).tags.setdefault(arn, {})


def _tag(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    with STORES.lock:
        _tags_of(context, request).update({tag["Key"]: tag["Value"] for tag in request["Tags"]})
    return {}


def _untag(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    with STORES.lock:
        tags = _tags_of(context, request)
        for key in request["TagKeys"]:
            tags.pop(key, None)
    return {}


def _list_tags(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    return {"Tags": [{"Key": key, "Value": value} for key, value in sorted(_tags_of(context, request).items())]}


def page[T](listed: Sequence[T], request: Mapping[str, Any], page_size: int) -> tuple[list[T], str | None]:
    """A page of a list and the token of the next one."""
    try:
        return paging.page(listed, request.get("NextToken"), min(request.get("MaxResults") or page_size, page_size))
    except paging.BadToken:
        raise invalid("Invalid NextToken") from None


OPERATIONS: dict[str, Callable[[RequestContext, ServiceRequest], ServiceResponse]] = {
    "CreateWorkGroup": _create,
    "GetWorkGroup": _get,
    "ListWorkGroups": _list,
    "UpdateWorkGroup": _update,
    "DeleteWorkGroup": _delete,
    "TagResource": _tag,
    "UntagResource": _untag,
    "ListTagsForResource": _list_tags,
}
