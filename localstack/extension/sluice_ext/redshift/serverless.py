"""The service `redshift-serverless`. Operations that would do nothing real are not there: snapshots, custom domains,
endpoint access, reservations, scheduled actions."""

from collections.abc import Callable

from localstack.aws.api import RequestContext, ServiceRequest, ServiceResponse
from localstack.aws.skeleton import Skeleton
from localstack.aws.spec import load_service
from localstack.services.plugins import Service

from sluice_ext.redshift import limits, namespaces, tags, workgroups

OPERATIONS: dict[str, Callable[[RequestContext, ServiceRequest], ServiceResponse]] = {
    "CreateNamespace": namespaces.create,
    "GetNamespace": namespaces.get,
    "ListNamespaces": namespaces.list_,
    "UpdateNamespace": namespaces.update,
    "DeleteNamespace": namespaces.delete,
    "CreateWorkgroup": workgroups.create,
    "GetWorkgroup": workgroups.get,
    "ListWorkgroups": workgroups.list_,
    "UpdateWorkgroup": workgroups.update,
    "DeleteWorkgroup": workgroups.delete,
    "GetCredentials": workgroups.get_credentials,
    "CreateUsageLimit": limits.create,
    "GetUsageLimit": limits.get,
    "ListUsageLimits": limits.list_,
    "UpdateUsageLimit": limits.update,
    "DeleteUsageLimit": limits.delete,
    "TagResource": tags.tag,
    "UntagResource": tags.untag,
    "ListTagsForResource": tags.list_,
}


def create_service() -> Service:
    """The service for LocalStack's service manager."""
    name = "redshift-serverless"
    return Service(name=name, skeleton=Skeleton(load_service(name), OPERATIONS))
