"""Tags. https://docs.aws.amazon.com/redshift-serverless/latest/APIReference/API_TagResource.html"""

from typing import Final

from localstack.aws.api import RequestContext, ServiceRequest, ServiceResponse

from sluice_ext.redshift import errors
from sluice_ext.redshift.namespaces import store_of
from sluice_ext.redshift.store import STORES

_MAX_TAGS: Final = 200


def _of(context: RequestContext, request: ServiceRequest) -> dict[str, str]:
    arn = str(request["resourceArn"])
    found = store_of(context).tags.get(arn)
    if found is None:
        raise errors.missing(f"Resource {arn} not found.", arn)
    return found


def tag(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """TagResource."""
    with STORES.lock:
        held = _of(context, request)
        merged = held | {one["key"]: one["value"] for one in request["tags"]}
        if len(merged) > _MAX_TAGS:
            raise errors.named("TooManyTagsException", f"A resource can have at most {_MAX_TAGS} tags.")
        held.update(merged)
        return {}


def untag(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """UntagResource."""
    with STORES.lock:
        held = _of(context, request)
        for key in request["tagKeys"]:
            held.pop(key, None)
        return {}


def list_(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """ListTagsForResource."""
    with STORES.lock:
        return {"tags": [{"key": key, "value": value} for key, value in sorted(_of(context, request).items())]}
