"""Namespaces. https://docs.aws.amazon.com/redshift-serverless/latest/APIReference/API_CreateNamespace.html"""

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any, Final

from localstack.aws.api import RequestContext, ServiceRequest, ServiceResponse
from localstack.services.plugins import SERVICE_PLUGINS

from sluice_ext import postgres
from sluice_ext.redshift import database, errors
from sluice_ext.redshift.store import STORES, Namespace, Store, now, page

NAME: Final = re.compile(r"[a-z0-9-]{3,64}")
# https://docs.aws.amazon.com/redshift/latest/dg/r_names.html
_USER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_+.@-]{0,126}")
_DATABASE: Final = re.compile(r"[a-z][a-z0-9_$+.@-]{0,63}")
_RESERVED_DATABASES: Final = {"template0", "template1", "padb_harvest", "sys:internal", "postgres"}
_RESERVED_USERS: Final = {"rdsdb", "public", "postgres", "none"}
_PASSWORD: Final = re.compile(
    r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[\x21\x23-\x26\x28-\x2e\x30-\x3f\x41-\x5b\x5d-\x7e]{8,64}"
)
_LOGS: Final = {"useractivitylog", "userlog", "connectionlog"}
_ROLE: Final = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")


def store_of(context: RequestContext) -> Store:
    """The store of the caller's account and region."""
    return STORES.of(context.account_id, context.region)


def arn_of(context: RequestContext, kind: str, name: str) -> str:
    """ARN of a namespace, work group or usage limit by its id."""
    return f"arn:{context.partition}:redshift-serverless:{context.region}:{context.account_id}:{kind}/{name}"


def create(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """CreateNamespace."""
    name = str(request["namespaceName"])
    if not NAME.fullmatch(name):
        raise errors.invalid(f"The namespace name {name} is not valid. It must have 3-64 characters of a-z, 0-9 and -.")
    wanted = str(request.get("dbName") or "dev")
    if not _DATABASE.fullmatch(wanted) or wanted in _RESERVED_DATABASES:
        raise errors.invalid(f"The database name {wanted} is not valid.")
    administrator = str(request.get("adminUsername") or "admin")
    _check_user(administrator)
    _check_passwords(request)
    managed = bool(request.get("manageAdminPassword"))
    password = str(request.get("adminUserPassword") or postgres.new_password())
    shown = _described(context, request, name, wanted, administrator)
    with STORES.lock:
        store = store_of(context)
        if name in store.namespaces:
            raise errors.conflict(f"Namespace {name} already exists.")
        shown |= _roles(request, [])
        try:
            real, role = database.create(name, wanted, administrator, password)
        except (postgres.NameTaken, postgres.Unreachable) as error:
            raise errors.invalid(str(error)) from error
        made = Namespace(shown, real, role, password)
        if managed:
            _manage(context, made, request.get("adminPasswordSecretKmsKeyId"))
        store.namespaces[name] = made
        store.tags[shown["namespaceArn"]] = {tag["key"]: tag["value"] for tag in request.get("tags") or []}
        return {"namespace": dict(made.shown)}


def _described(
    context: RequestContext, request: Mapping[str, Any], name: str, wanted: str, administrator: str
) -> dict[str, Any]:
    identifier = str(uuid.uuid4())
    return {
        "namespaceArn": arn_of(context, "namespace", identifier),
        "namespaceId": identifier,
        "namespaceName": name,
        "adminUsername": administrator,
        "dbName": wanted,
        "kmsKeyId": request.get("kmsKeyId") or "AWS_OWNED_KMS_KEY",
        "logExports": _logs(request.get("logExports") or []),
        "status": "AVAILABLE",
        "creationDate": now(),
    }


def _check_user(name: str) -> None:
    if not _USER.fullmatch(name) or name.lower() in _RESERVED_USERS:
        raise errors.invalid(f"The admin user name {name} is reserved, or not valid.")


def _check_passwords(request: Mapping[str, Any]) -> None:
    password, managed = request.get("adminUserPassword"), request.get("manageAdminPassword")
    if managed and password:
        raise errors.invalid("You can't specify adminUserPassword when manageAdminPassword is true.")
    if request.get("adminPasswordSecretKmsKeyId") and managed is False:
        raise errors.invalid("You can't specify adminPasswordSecretKmsKeyId when manageAdminPassword is false.")
    if password is not None and not _PASSWORD.fullmatch(str(password)):
        raise errors.invalid(
            "The admin user password must have 8-64 printable characters, at least one of a-z, one of A-Z "
            "and one of 0-9, and none of ' \" \\ / @ and space."
        )


def _logs(wanted: list[str]) -> list[str]:
    if unknown := set(wanted) - _LOGS:
        raise errors.invalid(f"Log exports {sorted(unknown)} are not valid.")
    return list(wanted)


def roles_of(namespace: Namespace) -> list[str]:
    """ARNs of the roles that COPY and UNLOAD may name."""
    return [str(one).rsplit("iamRoleArn=", 1)[-1].rstrip(")") for one in namespace.shown["iamRoles"]]


def _roles(request: Mapping[str, Any], before: list[str], default: str | None = None) -> dict[str, Any]:
    given = request.get("iamRoles")
    roles = before if given is None else list(dict.fromkeys(map(str, given)))
    default = request.get("defaultIamRoleArn") if request.get("defaultIamRoleArn") is not None else default
    for role in [*roles, *([default] if default else [])]:
        if not _ROLE.fullmatch(role):
            raise errors.invalid(f"The role {role} is not a valid ARN of an IAM role.")
    if default and default not in roles:
        raise errors.invalid(f"The default IAM role {default} is not among the roles of the namespace.")
    shown: dict[str, Any] = {"iamRoles": [f"IamRole(applyStatus=in-sync, iamRoleArn={role})" for role in roles]}
    return shown | ({"defaultIamRoleArn": default} if default else {})


# -- the administrator's secret --------------------------------------------------------------------------------------


def _secrets(context: RequestContext) -> Any:
    # moto's backend has what Secrets Manager lets only services do; it may not be loaded yet.
    SERVICE_PLUGINS.require("secretsmanager")
    from moto.secretsmanager.models import secretsmanager_backends

    return secretsmanager_backends[context.account_id][context.region]


def _manage(context: RequestContext, namespace: Namespace, key: str | None) -> None:
    """Redshift stores the password in Secrets Manager.

    https://docs.aws.amazon.com/redshift/latest/mgmt/redshift-secrets-manager-integration.html
    """
    secret = _secrets(context).create_managed_secret(
        service_name="redshift",
        secret_id=f"redshift!{namespace.name}-{namespace.administrator}",
        secret_string=json.dumps({"username": namespace.administrator, "password": namespace.password}),
        description=f"Secret for Amazon Redshift namespace {namespace.name}",
        kms_key_id=key,
        tags=[{"Key": "aws:redshift-serverless:namespaceArn", "Value": namespace.shown["namespaceArn"]}],
    )
    namespace.shown |= {"adminPasswordSecretArn": secret.arn, "adminPasswordSecretKmsKeyId": secret.kms_key_id}


def _release(context: RequestContext, namespace: Namespace) -> None:
    """Delete the secret that Redshift manages, if any."""
    namespace.shown.pop("adminPasswordSecretKmsKeyId", None)
    arn = namespace.shown.pop("adminPasswordSecretArn", None)
    backend = _secrets(context) if arn else None
    if backend is not None and backend.secrets.get(arn) is not None:
        backend.delete_secret(arn, recovery_window_in_days=None, force_delete_without_recovery=True)


# -- the others ------------------------------------------------------------------------------------------------------


def get(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """GetNamespace."""
    with STORES.lock:
        return {"namespace": dict(store_of(context).namespace(request["namespaceName"]).shown)}


def list_(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """ListNamespaces."""
    with STORES.lock:
        found = sorted(store_of(context).namespaces.values(), key=lambda one: one.name)
        some, more = page(found, request)
        return {"namespaces": [dict(one.shown) for one in some]} | more


def update(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """UpdateNamespace."""
    with STORES.lock:
        namespace = store_of(context).namespace(request["namespaceName"])
        if request.get("adminUsername") and request["adminUsername"] != namespace.administrator:
            raise errors.invalid("This engine does not rename the admin user of a namespace.")
        _check_passwords(request)
        roles = _roles(request, roles_of(namespace), namespace.shown.get("defaultIamRoleArn"))
        logs = _logs(request["logExports"]) if request.get("logExports") is not None else namespace.shown["logExports"]
        _change_password(context, request, namespace)
        namespace.shown.pop("defaultIamRoleArn", None)
        namespace.shown |= roles | {"logExports": logs}
        if request.get("kmsKeyId"):
            namespace.shown["kmsKeyId"] = request["kmsKeyId"]
        return {"namespace": dict(namespace.shown)}


def _change_password(context: RequestContext, request: Mapping[str, Any], namespace: Namespace) -> None:
    managed = "adminPasswordSecretArn" in namespace.shown
    password, manage = request.get("adminUserPassword"), request.get("manageAdminPassword")
    if managed and password and manage is not False:
        raise errors.invalid("You can't change the admin user password while Amazon Redshift manages it.")
    if manage and not managed:
        password = postgres.new_password()
    elif manage is False and managed and not password:
        raise errors.invalid("adminUserPassword is required when manageAdminPassword is set to false.")
    if password:
        database.set_password(namespace.role, str(password))
        namespace.password = str(password)
    if manage is False and managed:
        _release(context, namespace)
    elif manage and not managed:
        _manage(context, namespace, request.get("adminPasswordSecretKmsKeyId"))


def delete(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """DeleteNamespace."""
    with STORES.lock:
        store = store_of(context)
        namespace = store.namespace(request["namespaceName"])
        if request.get("finalSnapshotName"):
            raise errors.invalid("This engine has no snapshots of namespaces: finalSnapshotName must not be given.")
        if workgroup := store.of_namespace(namespace.name):
            raise errors.conflict(
                f"There is an existing workgroup {workgroup.name} associated with the namespace {namespace.name}."
            )
        try:
            database.drop(namespace)
        except postgres.Unreachable as error:
            raise errors.invalid(str(error)) from error
        _release(context, namespace)
        del store.namespaces[namespace.name]
        store.tags.pop(namespace.shown["namespaceArn"], None)
        return {"namespace": namespace.shown | {"status": "DELETING"}}
