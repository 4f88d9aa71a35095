"""Work groups. https://docs.aws.amazon.com/redshift-serverless/latest/APIReference/API_CreateWorkgroup.html"""

import uuid
from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import ClientError
from localstack.aws.api import RequestContext, ServiceRequest, ServiceResponse
from localstack.aws.connect import connect_to

from sluice_ext import postgres, settings
from sluice_ext.redshift import credentials, errors
from sluice_ext.redshift.namespaces import NAME, arn_of, store_of
from sluice_ext.redshift.store import STORES, Store, Workgroup, now, page

PORT: Final = settings.REDSHIFT_PORT or settings.POSTGRES_PORT
_PLACES: Final = 3
_MAX_CAPACITY: Final = 512
# https://docs.aws.amazon.com/redshift/latest/mgmt/serverless-configuration-parameters.html
_PARAMETERS: Final = {
    "auto_mv": "true",
    "datestyle": "ISO, MDY",
    "enable_case_sensitive_identifier": "false",
    "enable_user_activity_logging": "true",
    "max_query_execution_time": "14400",
    "query_group": "default",
    "require_ssl": "false",
    "search_path": "$user, public",
    "use_fips_ssl": "false",
}
_LIMITS: Final = (
    "max_query_blocks_read", "max_scan_row_count", "max_query_queue_time", "max_query_cpu_time",
    "max_query_cpu_usage_percent", "max_query_temp_blocks_to_disk", "max_join_row_count",
    "max_nested_loop_join_row_count",
)  # fmt: skip


def create(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """CreateWorkgroup. The answer says CREATING; it is there at once."""
    name = str(request["workgroupName"])
    if not NAME.fullmatch(name):
        raise errors.invalid(f"The workgroup name {name} is not valid. It must have 3-64 characters of a-z, 0-9 and -.")
    with STORES.lock:
        store = store_of(context)
        store.namespace(str(request["namespaceName"]))
        if name in store.workgroups:
            raise errors.conflict(f"Workgroup {name} already exists.")
        if other := store.of_namespace(str(request["namespaceName"])):
            raise errors.conflict(f"The namespace is already associated with the workgroup {other.name}.")
        identifier = str(uuid.uuid4())
        shown: dict[str, Any] = {
            "workgroupArn": arn_of(context, "workgroup", identifier),
            "workgroupId": identifier,
            "workgroupName": name,
            "namespaceName": request["namespaceName"],
            "baseCapacity": 128,
            "enhancedVpcRouting": False,
            "publiclyAccessible": False,
            "configParameters": _configured({}, []),
            "subnetIds": [],
            "securityGroupIds": [],
            "ipAddressType": "ipv4",
            "trackName": "current",
            "patchVersion": "1.0",
            "workgroupVersion": "1.0",
            "status": "AVAILABLE",
            "creationDate": now(),
        }
        made = Workgroup(shown | _settings(context, request, shown))
        store.workgroups[name] = made
        store.tags[made.arn] = {tag["key"]: tag["value"] for tag in request.get("tags") or []}
        return {"workgroup": _shown(made) | {"status": "CREATING"}}


def _settings(context: RequestContext, request: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """What a request changes, checked."""
    found: dict[str, Any] = {
        key: request[key]
        for key in ("enhancedVpcRouting", "publiclyAccessible", "ipAddressType", "trackName", "pricePerformanceTarget")
        if request.get(key) is not None
    }
    if request.get("port") not in (None, PORT):
        raise errors.invalid(f"port: this engine listens on {PORT} only.")
    found |= _capacities(request, before)
    if request.get("subnetIds"):
        found |= _network(context, list(request["subnetIds"]))
    if request.get("securityGroupIds"):
        found["securityGroupIds"] = list(request["securityGroupIds"])
    if request.get("configParameters") is not None:
        held = {one["parameterKey"]: one["parameterValue"] for one in before["configParameters"]}
        found["configParameters"] = _configured(held, request["configParameters"])
    return found


def _capacities(request: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, int]:
    found = {key: int(request[key]) for key in ("baseCapacity", "maxCapacity") if request.get(key) is not None}
    # https://docs.aws.amazon.com/redshift/latest/mgmt/serverless-capacity.html
    for key, value in found.items():
        if value == -1 and key == "maxCapacity":
            continue
        if value != 4 and not (8 <= value <= _MAX_CAPACITY and value % 8 == 0):
            raise errors.invalid(
                f"{key} {value} is not valid: it must be 4, or from 8 to {_MAX_CAPACITY} in increments of 8."
            )
    merged = {**before, **found}
    if (upper := merged.get("maxCapacity", -1)) != -1 and upper < merged["baseCapacity"]:
        raise errors.invalid(f"maxCapacity {upper} must not be less than baseCapacity {merged['baseCapacity']}.")
    return found


def _network(context: RequestContext, wanted: list[str]) -> dict[str, Any]:
    """The subnets, and the addresses that the work group has in them.

    https://docs.aws.amazon.com/redshift/latest/mgmt/serverless-usage-considerations.html
    """
    ec2 = connect_to(aws_access_key_id=context.account_id, aws_secret_access_key="-", region_name=context.region).ec2
    try:
        subnets = ec2.describe_subnets(SubnetIds=wanted)["Subnets"]
    except ClientError as error:
        raise errors.invalid(str(error.response["Error"]["Message"])) from error
    if len({one["VpcId"] for one in subnets}) > 1:
        raise errors.invalid("All subnets must belong to the same VPC.")
    if len(subnets) < _PLACES or len({one["AvailabilityZone"] for one in subnets}) < _PLACES:
        raise errors.invalid(
            "Your VPC must have at least three subnets, and they must span across three Availability Zones."
        )
    interfaces = [
        {
            "availabilityZone": one["AvailabilityZone"],
            "networkInterfaceId": f"eni-{uuid.uuid4().hex[:17]}",
            "privateIpAddress": settings.POSTGRES_HOST,
            "subnetId": one["SubnetId"],
        }
        for one in subnets
    ]
    endpoint = {
        "vpcEndpointId": f"vpce-{uuid.uuid4().hex[:17]}",
        "vpcId": subnets[0]["VpcId"],
        "networkInterfaces": interfaces,
    }
    return {"subnetIds": wanted, "endpoint": {"vpcEndpoints": [endpoint]}}


def _configured(held: Mapping[str, str], changes: list[dict[str, str]]) -> list[dict[str, str]]:
    values = _PARAMETERS | dict(held)
    for one in changes:
        key = str(one.get("parameterKey"))
        if key not in _PARAMETERS and key not in _LIMITS:
            raise errors.invalid(f"The configuration parameter {key} is not valid.")
        values[key] = str(one.get("parameterValue"))
    return [{"parameterKey": key, "parameterValue": value} for key, value in sorted(values.items())]


def _shown(workgroup: Workgroup) -> dict[str, Any]:
    """As the API shows it. The server's address may be another after a restart."""
    endpoint = {"address": settings.POSTGRES_HOST, "port": PORT, "vpcEndpoints": []}
    endpoint |= workgroup.shown.get("endpoint") or {}
    return workgroup.shown | {"endpoint": endpoint, "port": PORT}


def get(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """GetWorkgroup."""
    with STORES.lock:
        return {"workgroup": _shown(store_of(context).workgroup(request["workgroupName"]))}


def list_(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """ListWorkgroups."""
    with STORES.lock:
        found = sorted(store_of(context).workgroups.values(), key=lambda one: one.name)
        some, more = page(found, request)
        return {"workgroups": [_shown(one) for one in some]} | more


def update(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """UpdateWorkgroup. The answer says MODIFYING; the change is there at once."""
    with STORES.lock:
        workgroup = store_of(context).workgroup(request["workgroupName"])
        workgroup.shown |= _settings(context, request, workgroup.shown)
        return {"workgroup": _shown(workgroup) | {"status": "MODIFYING"}}


def delete(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """DeleteWorkgroup."""
    with STORES.lock:
        store = store_of(context)
        workgroup = store.workgroup(request["workgroupName"])
        del store.workgroups[workgroup.name]
        store.tags.pop(workgroup.arn, None)
        for key in [key for key, one in store.limits.items() if one["resourceArn"] == workgroup.arn]:
            store.tags.pop(store.limits.pop(key)["usageLimitArn"], None)
        return {"workgroup": _shown(workgroup) | {"status": "DELETING"}}


def by_name(store: Store, name: str) -> Workgroup:
    """A work group by its name or its ARN. Raises ResourceNotFoundException."""
    if name.startswith("arn:"):
        found = next((one for one in store.workgroups.values() if one.arn == name), None)
        if found is None:
            raise errors.missing(f"Workgroup {name} not found.", name)
        return found
    return store.workgroup(name)


def get_credentials(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """https://docs.aws.amazon.com/redshift-serverless/latest/APIReference/API_GetCredentials.html"""
    if not request.get("workgroupName"):
        raise errors.invalid("workgroupName is required: this engine has no custom domains.")
    seconds = request.get("durationSeconds")
    if seconds is not None and not credentials.DEFAULT_SECONDS <= seconds <= credentials.MAX_SECONDS:
        raise errors.invalid(
            f"durationSeconds must be between {credentials.DEFAULT_SECONDS} and {credentials.MAX_SECONDS}."
        )
    store = store_of(context)
    workgroup = store.workgroup(str(request["workgroupName"]))
    credentials.demand(context, "redshift-serverless:GetCredentials", workgroup.arn)
    namespace = store.namespace(workgroup.shown["namespaceName"])
    user = credentials.identity_of(context).database_user
    try:
        made = credentials.login(namespace, user, seconds or credentials.DEFAULT_SECONDS)
    except postgres.Unreachable as error:
        raise errors.invalid(str(error)) from error
    return {
        "dbUser": user,
        "dbPassword": made.password,
        "expiration": made.expires,
        "nextRefreshTime": made.refresh,
    }
