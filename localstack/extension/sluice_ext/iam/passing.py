"""Which roles a call gives to a service, and which actions of IAM it makes on which of its resources. Pure.

Who gives a service a role must be allowed to pass it:
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

Parameters = Mapping[str, Any]

# Calls with a role at the top of their parameters.
_ROLES: Final = {
    ("lambda", "CreateFunction"): "Role",
    ("lambda", "UpdateFunctionConfiguration"): "Role",
    ("states", "CreateStateMachine"): "roleArn",
    ("states", "UpdateStateMachine"): "roleArn",
    ("events", "PutRule"): "RoleArn",
    ("logs", "PutSubscriptionFilter"): "roleArn",
    ("rds", "CreateDBInstance"): "MonitoringRoleArn",
    ("rds", "CreateDBCluster"): "MonitoringRoleArn",
    ("rds", "ModifyDBCluster"): "MonitoringRoleArn",
    ("ec2", "CreateFlowLogs"): "DeliverLogsPermissionArn",
    ("apigateway", "PutIntegration"): "credentials",
    ("redshift-serverless", "CreateNamespace"): "iamRoles",
    ("redshift-serverless", "UpdateNamespace"): "iamRoles",
    ("glue", "CreateJob"): "Role",
    ("glue", "CreateCrawler"): "Role",
    ("glue", "UpdateCrawler"): "Role",
}


def roles_of(prefix: str, operation: str, parameters: Parameters) -> Iterator[str]:
    """The roles (names or ARNs) that a call passes to a service."""
    given = parameters.get(_ROLES.get((prefix, operation), ""))
    for one in given if isinstance(given, list) else [given] if given else []:
        yield str(one)
    if (prefix, operation) == ("glue", "UpdateJob") and (role := (parameters.get("JobUpdate") or {}).get("Role")):
        yield str(role)
    # https://docs.aws.amazon.com/scheduler/latest/UserGuide/security_iam_id-based-policies.html
    if prefix == "scheduler" and (role := (parameters.get("Target") or {}).get("RoleArn")):
        yield str(role)
    if (prefix, operation) == ("events", "PutTargets"):
        yield from (str(one["RoleArn"]) for one in parameters.get("Targets") or [] if one.get("RoleArn"))
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html
    if (prefix, operation) == ("apigateway", "UpdateAccount"):
        changes = parameters.get("patchOperations") or []
        yield from (
            str(one["value"]) for one in changes if one.get("path") == "/cloudwatchRoleArn" and one.get("value")
        )


def iam_resource(operation: str, parameters: Parameters, iam: str) -> str:
    """What a call to IAM is about. ``iam``: arn:<partition>:iam::<account>. A list is about everything.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
    """
    if operation.endswith("ServiceLinkedRole"):
        service = str(parameters.get("AWSServiceName") or "*")
        return f"{iam}:role/aws-service-role/{service}/*"
    path = str(parameters.get("Path") or "/")
    for parameter, kind in (("RoleName", "role"), ("UserName", "user"), ("GroupName", "group")):
        if name := parameters.get(parameter):
            return f"{iam}:{kind}{path}{name}"
    if name := parameters.get("InstanceProfileName"):
        return f"{iam}:instance-profile{path}{name}"
    for parameter in ("PolicyArn", "OpenIDConnectProviderArn", "SAMLProviderArn"):
        if parameters.get(parameter):
            return str(parameters[parameter])
    if operation == "CreatePolicy":
        return f"{iam}:policy{path}{parameters.get('PolicyName')}"
    if operation == "CreateOpenIDConnectProvider":
        return f"{iam}:oidc-provider/{str(parameters.get('Url')).removeprefix('https://')}"
    return "*"
