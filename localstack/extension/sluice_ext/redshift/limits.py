"""Usage limits: stored; nothing is metered here, so none is ever reached.

https://docs.aws.amazon.com/redshift-serverless/latest/APIReference/API_CreateUsageLimit.html
"""

import uuid
from typing import Any

from localstack.aws.api import RequestContext, ServiceRequest, ServiceResponse

from sluice_ext.redshift import errors
from sluice_ext.redshift.namespaces import arn_of, store_of
from sluice_ext.redshift.store import STORES, page
from sluice_ext.redshift.workgroups import by_name


def _found(context: RequestContext, request: ServiceRequest) -> dict[str, Any]:
    name = str(request["usageLimitId"])
    found = store_of(context).limits.get(name)
    if found is None:
        raise errors.missing(f"UsageLimit {name} not found.", name)
    return found


def _checked(amount: int) -> int:
    if amount < 1:
        raise errors.invalid("amount must be a positive number.")
    return amount


def create(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """CreateUsageLimit."""
    with STORES.lock:
        store = store_of(context)
        target = by_name(store, str(request["resourceArn"])).arn
        period = request.get("period") or "monthly"
        for other in store.limits.values():
            if (other["resourceArn"], other["usageType"], other["period"]) == (target, request["usageType"], period):
                raise errors.conflict("A usage limit of this type and period already exists for the resource.")
        identifier = str(uuid.uuid4())
        made = {
            "usageLimitId": identifier,
            "usageLimitArn": arn_of(context, "usagelimit", identifier),
            "resourceArn": target,
            "usageType": request["usageType"],
            "amount": _checked(request["amount"]),
            "period": period,
            "breachAction": request.get("breachAction") or "log",
        }
        store.limits[identifier] = made
        return {"usageLimit": dict(made)}


def get(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """GetUsageLimit."""
    with STORES.lock:
        return {"usageLimit": dict(_found(context, request))}


def list_(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """ListUsageLimits."""
    with STORES.lock:
        found = [
            dict(one)
            for one in store_of(context).limits.values()
            if request.get("resourceArn") in (None, one["resourceArn"])
            and request.get("usageType") in (None, one["usageType"])
        ]
        some, more = page(found, request)
        return {"usageLimits": some} | more


def update(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """UpdateUsageLimit."""
    with STORES.lock:
        found = _found(context, request)
        if request.get("amount") is not None:
            found["amount"] = _checked(request["amount"])
        if request.get("breachAction"):
            found["breachAction"] = request["breachAction"]
        return {"usageLimit": dict(found)}


def delete(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """DeleteUsageLimit."""
    with STORES.lock:
        found = _found(context, request)
        del store_of(context).limits[found["usageLimitId"]]
        return {"usageLimit": dict(found)}
