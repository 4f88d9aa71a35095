"""The service: moto answers for Aurora PostgreSQL clusters; a cluster's role and database are created on PostgreSQL.

Operations that would do nothing real are refused: other engines, instances outside of a cluster, snapshots, restores,
proxies. A cluster's endpoint is the address at which a function reaches the server.
"""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

from localstack.aws.api import CommonServiceException, RequestContext, ServiceRequest, ServiceResponse
from localstack.aws.skeleton import Skeleton
from localstack.aws.spec import load_service
from localstack.services.moto import _proxy_moto
from localstack.services.plugins import SERVICE_PLUGINS, Service
from moto.rds import models
from moto.rds.models import DBCluster, RDSBackend, rds_backends

from sluice_ext import postgres, settings
from sluice_ext.patching import replace
from sluice_ext.postgres import NameTaken
from sluice_ext.rds import server

ENGINE: Final = "aurora-postgresql"
_lock = threading.RLock()

# Operations that moto answers alone: they do not touch data.
PASSED_ON: Final = (
    "AddTagsToResource", "RemoveTagsFromResource", "ListTagsForResource",
    "CreateDBSubnetGroup", "DescribeDBSubnetGroups", "ModifyDBSubnetGroup", "DeleteDBSubnetGroup",
    "CreateDBClusterParameterGroup", "DescribeDBClusterParameterGroups", "ModifyDBClusterParameterGroup",
    "DescribeDBClusterParameters", "DeleteDBClusterParameterGroup",
    "DescribeDBClusters", "DescribeDBInstances", "DescribeGlobalClusters", "DeleteDBInstance",
)  # fmt: skip

Operation = Callable[[RequestContext, ServiceRequest], ServiceResponse]


def create_service() -> Service:
    """The RDS service for LocalStack's service manager."""
    replace(models.MasterUserSecret, "_generate_secret_string", _secret_string, expect="(self)")
    # Functions run on the engine's host, so they reach the server at the same address.
    for attribute in ("endpoint", "reader_endpoint"):
        replace(models.DBCluster, attribute, property(lambda _: settings.POSTGRES_HOST))
    replace(models.DBInstance, "address", property(lambda _: settings.POSTGRES_HOST))
    # It belongs to Serverless v1; moto shows an empty one, and every plan would fill it.
    replace(models.DBCluster, "scaling_configuration_info", property(lambda _: None))
    for kind in (models.DBCluster, models.DBInstance):
        # There are no snapshots, so none is listed.
        replace(kind, "save_automated_backup", lambda _: None, expect="(self)")
        replace(kind, "default_port", staticmethod(lambda _engine: settings.POSTGRES_PORT), expect="(engine)")
        # A restored state may have been saved on another port.
        kind.port = property(lambda _: settings.POSTGRES_PORT, lambda _self, _port: None)
    own: dict[str, Operation] = {
        "CreateDBCluster": _create_cluster,
        "ModifyDBCluster": _modify_cluster,
        "DeleteDBCluster": _delete_cluster,
        "CreateDBInstance": _create_instance,
        "ModifyDBInstance": _modify_instance,
    }
    table = {name: _locked(call) for name, call in (dict.fromkeys(PASSED_ON, _proxy_moto) | own).items()}
    return Service(name="rds", skeleton=Skeleton(load_service("rds"), table))


def _locked(call: Operation) -> Operation:
    """Run one operation at a time: moto is not thread-safe."""

    def one_at_a_time(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
        with _lock:
            return call(context, request)

    return one_at_a_time


def _secret_string(self: Any) -> str:
    """Content of a secret that RDS manages: the master's name and password, nothing else."""
    return json.dumps({"username": self.resource.master_username, "password": postgres.new_password()})


# -- clusters --------------------------------------------------------------------------------------------------------


def _create_cluster(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    identifier, backend = _identifier(request), _backend(context)
    _check(request, identifier, backend)
    # moto writes the managed secret into Secrets Manager, which may not be loaded yet.
    SERVICE_PLUGINS.require("secretsmanager")
    made = _proxy_moto(context, request)
    cluster = backend.clusters[identifier]
    password = _managed_password(cluster) or str(request.get("MasterUserPassword"))
    try:
        server.create(cluster.master_username, password, cluster.database_name)
    except Exception as error:
        del backend.clusters[identifier]
        if cluster.manage_master_user_password:
            cluster.master_user_secret.delete_secret()
        raise _refusal(error) from error
    return made


def _check(request: ServiceRequest, identifier: str, backend: RDSBackend) -> None:
    """Raises an error for requests that RDS would refuse, and for those that this server cannot fulfil."""
    if identifier in backend.clusters:
        raise CommonServiceException("DBClusterAlreadyExistsFault", f"DB cluster {identifier} already exists.", 400)
    if request.get("Engine") != ENGINE:
        raise _invalid(f"Engine {request.get('Engine')!r}: this engine runs {ENGINE} only.")
    for unsupported in ("SnapshotIdentifier", "ReplicationSourceIdentifier", "GlobalClusterIdentifier"):
        if request.get(unsupported):
            raise _invalid(f"{unsupported} is not supported by this engine.")
    if request.get("EnableIAMDatabaseAuthentication"):
        raise _invalid("IAM database authentication is not supported by this engine.")
    _check_port(request)
    username, database = str(request.get("MasterUsername") or ""), request.get("DatabaseName")
    if not server.USERNAME.fullmatch(username) or username.lower() in server.RESERVED:
        raise _invalid(f"MasterUsername {username!r} is reserved, or not a valid name.")
    if database is not None and (not server.DATABASE.fullmatch(database) or database.lower() in server.RESERVED):
        raise _invalid(f"DatabaseName {database!r} is reserved, or not a valid name.")
    if bool(request.get("ManageMasterUserPassword")) == bool(request.get("MasterUserPassword")):
        code = "InvalidParameterCombination"
        raise CommonServiceException(code, "Specify either MasterUserPassword or ManageMasterUserPassword.", 400, True)
    for other in _all_clusters():
        if other.master_username == username or (database and other.database_name == database):
            raise _invalid(
                f"This engine has one PostgreSQL server, and cluster {other.db_cluster_identifier} has the master "
                f"{other.master_username!r} and the database {other.database_name!r} on it."
            )


def _modify_cluster(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    cluster = _cluster(context, request)
    for unsupported in ("NewDBClusterIdentifier", "EnableIAMDatabaseAuthentication", "RotateMasterUserPassword"):
        if request.get(unsupported):
            raise _invalid(f"{unsupported} is not supported by this engine.")
    _check_port(request)
    was_managed = cluster.manage_master_user_password
    changed = _proxy_moto(context, request)
    password = request.get("MasterUserPassword") or (None if was_managed else _managed_password(cluster))
    if password:
        try:
            server.set_password(cluster.master_username, str(password))
        except Exception as error:
            raise _refusal(error) from error
    return changed


def _delete_cluster(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    cluster = _cluster(context, request)
    if not request.get("SkipFinalSnapshot"):
        raise _invalid("This engine has no snapshots: SkipFinalSnapshot must be true.")
    gone = _proxy_moto(context, request)
    try:
        server.drop(cluster.master_username, cluster.database_name)
    except Exception as error:
        raise _refusal(error) from error
    return gone


def _cluster(context: RequestContext, request: ServiceRequest) -> DBCluster:
    cluster = _backend(context).clusters.get(_identifier(request))
    if cluster is None:
        raise CommonServiceException(
            "DBClusterNotFoundFault", f"DBCluster {_identifier(request)} not found.", 404, True
        )
    return cluster


def _identifier(request: ServiceRequest) -> str:
    return str(request.get("DBClusterIdentifier") or "").lower()


def _managed_password(cluster: DBCluster) -> str | None:
    """The password in the secret that RDS manages for the cluster; None if RDS does not manage it."""
    if not cluster.manage_master_user_password:
        return None
    secret = cluster.master_user_secret.secret
    return str(json.loads(secret.versions[secret.default_version_id]["secret_string"])["password"])


# -- instances -------------------------------------------------------------------------------------------------------


def _create_instance(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    if not request.get("DBClusterIdentifier"):
        raise _invalid("This engine creates only instances of a cluster: DBClusterIdentifier is missing.")
    _cluster(context, request)
    return _proxy_moto(context, request)


def _modify_instance(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    for unsupported in ("MasterUserPassword", "NewDBInstanceIdentifier", "DBPortNumber"):
        if request.get(unsupported):
            raise _invalid(f"{unsupported} is not supported by this engine for an instance of a cluster.")
    return _proxy_moto(context, request)


# -- common ----------------------------------------------------------------------------------------------------------


def _backend(context: RequestContext) -> RDSBackend:
    return rds_backends[context.account_id][context.region]


def _all_clusters() -> Iterator[DBCluster]:
    """The clusters of all accounts and regions, which share the server."""
    for regions in rds_backends.values():
        for backend in regions.values():
            yield from backend.clusters.values()


def _check_port(request: ServiceRequest) -> None:
    if request.get("Port") not in (None, settings.POSTGRES_PORT):
        raise _invalid(f"Port: this engine's PostgreSQL listens on {settings.POSTGRES_PORT} only.")


def _invalid(message: str) -> CommonServiceException:
    return CommonServiceException("InvalidParameterValue", message, 400, True)


def _refusal(error: Exception) -> CommonServiceException:
    if isinstance(error, NameTaken):
        return _invalid(str(error))
    return CommonServiceException("InternalFailure", f"{type(error).__name__}: {error}", 500)
