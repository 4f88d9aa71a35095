"""RDS: a cluster's role and database are real, its password is checked, and nothing is left when it is deleted."""

import json
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from botocore.exceptions import ClientError

from sluice import engine
from sluice.engine.instance import Instance


@dataclass
class Database:
    """An engine with its PostgreSQL."""

    instance: Instance
    made: list[str] = field(default_factory=list)

    def client(self, service: str) -> Any:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=self.instance.endpoint_url, region_name="us-east-1", **keys)

    def cluster(self, **options: Any) -> dict[str, Any]:
        """A new cluster with names of its own and a managed password, described."""
        name = "c" + uuid.uuid4().hex[:10]
        wanted = {
            "DBClusterIdentifier": name,
            "Engine": "aurora-postgresql",
            "MasterUsername": "m" + name,
            "DatabaseName": "d" + name,
            "ManageMasterUserPassword": True,
        } | options
        self.client("rds").create_db_cluster(**{key: value for key, value in wanted.items() if value is not None})
        self.made.append(wanted["DBClusterIdentifier"])
        return self.describe(wanted["DBClusterIdentifier"])

    def describe(self, name: str) -> dict[str, Any]:
        [found] = self.client("rds").describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
        return dict(found)

    def delete(self, name: str) -> None:
        self.client("rds").delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)
        self.made.remove(name)

    def secret(self, cluster: dict[str, Any]) -> dict[str, str]:
        value = self.client("secretsmanager").get_secret_value(SecretId=cluster["MasterUserSecret"]["SecretArn"])
        return dict(json.loads(value["SecretString"]))

    def connect(self, cluster: dict[str, Any], user: str, password: str) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=cluster["Endpoint"],
            port=cluster["Port"],
            dbname=cluster["DatabaseName"],
            user=user,
            password=password,
            autocommit=True,
            connect_timeout=5,
        )

    def roles(self) -> set[str]:
        """Of the server, as its administrator sees them."""
        info = self.instance.info()
        assert info
        with psycopg.connect(info.postgres_dsn) as connection:
            rows = connection.execute("SELECT rolname FROM pg_roles UNION SELECT datname FROM pg_database").fetchall()
        return {name for (name,) in rows}


@pytest.fixture(scope="module")
def server() -> Iterator[Database]:
    home = Path(tempfile.mkdtemp(prefix="sluice-rds-"))
    own = Instance(home)
    try:
        engine.up(own, kind=engine.EMBEDDED, report=lambda _: None)  # its PostgreSQL is reached as functions reach it
        yield Database(own)
    finally:
        engine.down(own, report=lambda _: None)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def database(server: Database) -> Iterator[Database]:
    yield server
    for name in list(server.made):
        server.delete(name)


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


def test_the_managed_secret_opens_the_database_as_its_owner(database: Database) -> None:
    cluster = database.cluster()
    assert cluster["Status"] == "available"
    assert cluster["MasterUserSecret"]["SecretStatus"] in ("creating", "active")
    secret = database.secret(cluster)
    # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-secrets-manager.html
    assert secret.keys() == {"username", "password"}
    assert secret["username"] == cluster["MasterUsername"]
    assert len(secret["password"]) >= 28
    with database.connect(cluster, **as_user(secret)) as connection:
        row = connection.execute(
            "SELECT current_user, rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        assert row == (secret["username"], False, True, True)
        connection.execute("CREATE SCHEMA own CREATE TABLE own.t (x int)")


def as_user(secret: dict[str, str]) -> dict[str, str]:
    return {"user": secret["username"], "password": secret["password"]}


def test_a_wrong_password_and_none_are_refused(database: Database) -> None:
    cluster = database.cluster()
    for password in ("wrong", ""):
        with pytest.raises(psycopg.OperationalError, match="password"):
            database.connect(cluster, cluster["MasterUsername"], password)


def test_two_clusters_have_passwords_of_their_own(database: Database) -> None:
    first, second = database.cluster(), database.cluster()
    assert database.secret(first)["password"] != database.secret(second)["password"]
    with pytest.raises(psycopg.OperationalError, match="password"):
        database.connect(second, second["MasterUsername"], database.secret(first)["password"])


def test_a_changed_password_holds_at_once_and_the_old_one_no_longer(database: Database) -> None:
    cluster = database.cluster(ManageMasterUserPassword=None, MasterUserPassword="first-password")
    database.connect(cluster, cluster["MasterUsername"], "first-password").close()
    database.client("rds").modify_db_cluster(
        DBClusterIdentifier=cluster["DBClusterIdentifier"], MasterUserPassword="second-password", ApplyImmediately=True
    )
    database.connect(cluster, cluster["MasterUsername"], "second-password").close()
    with pytest.raises(psycopg.OperationalError, match="password"):
        database.connect(cluster, cluster["MasterUsername"], "first-password")


def test_a_password_handed_to_rds_to_manage_is_a_new_one(database: Database) -> None:
    cluster = database.cluster(ManageMasterUserPassword=None, MasterUserPassword="first-password")
    name = cluster["DBClusterIdentifier"]
    database.client("rds").modify_db_cluster(
        DBClusterIdentifier=name, ManageMasterUserPassword=True, ApplyImmediately=True
    )
    secret = database.secret(database.describe(name))
    assert secret["password"] != "first-password"
    database.connect(cluster, **as_user(secret)).close()


def test_deleting_ends_sessions_and_drops_database_roles_and_secret(database: Database) -> None:
    before = database.roles()
    cluster = database.cluster()
    secret = database.secret(cluster)
    connection = database.connect(cluster, **as_user(secret))
    connection.execute("CREATE ROLE of_the_cluster LOGIN PASSWORD 'a-password'")
    connection.execute("CREATE TABLE t AS SELECT 1 AS x")
    connection.execute("GRANT SELECT ON t TO of_the_cluster")
    database.delete(cluster["DBClusterIdentifier"])
    assert database.roles() == before
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    arn = cluster["MasterUserSecret"]["SecretArn"]
    code = refused(lambda: database.client("secretsmanager").get_secret_value(SecretId=arn))
    assert code == "ResourceNotFoundException"
    rds = database.client("rds")
    again = refused(lambda: rds.describe_db_clusters(DBClusterIdentifier=cluster["DBClusterIdentifier"]))
    assert again == "DBClusterNotFoundFault"


def test_a_cluster_made_again_is_empty(database: Database) -> None:
    cluster = database.cluster()
    name = cluster["DBClusterIdentifier"]
    with database.connect(cluster, **as_user(database.secret(cluster))) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS x")
    database.delete(name)
    options = {"MasterUsername": cluster["MasterUsername"], "DatabaseName": cluster["DatabaseName"]}
    again = database.cluster(DBClusterIdentifier=name, **options)
    with database.connect(again, **as_user(database.secret(again))) as connection:
        assert connection.execute("SELECT to_regclass('t')").fetchone() == (None,)


def test_an_instance_needs_its_cluster_and_its_cluster_cannot_go_first(database: Database) -> None:
    rds, cluster = database.client("rds"), database.cluster()
    name = cluster["DBClusterIdentifier"]
    options = {"DBInstanceClass": "db.serverless", "Engine": "aurora-postgresql", "DBInstanceIdentifier": name}
    assert refused(lambda: rds.create_db_instance(**options)) == "InvalidParameterValue"
    missing = {"DBClusterIdentifier": "there-is-none"}
    assert refused(lambda: rds.create_db_instance(**options | missing)) == "DBClusterNotFoundFault"
    rds.create_db_instance(**options, DBClusterIdentifier=name)
    [instance] = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
    assert instance["Endpoint"]["Address"] == cluster["Endpoint"]
    assert instance["Endpoint"]["Port"] == cluster["Port"]
    [member] = database.describe(name)["DBClusterMembers"]
    assert member["IsClusterWriter"]
    assert refused(lambda: database.delete(name)) == "InvalidDBClusterStateFault"
    database.connect(cluster, **as_user(database.secret(cluster))).close()
    rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"Engine": "aurora-mysql"}, "InvalidParameterValue"),
        ({"MasterUsername": "postgres"}, "InvalidParameterValue"),
        ({"MasterUsername": 'x"; DROP ROLE postgres; --'}, "InvalidParameterValue"),
        ({"DatabaseName": "template1"}, "InvalidParameterValue"),
        ({"DatabaseName": "a b"}, "InvalidParameterValue"),
        ({"MasterUserPassword": "both-of-them"}, "InvalidParameterCombination"),
        ({"ManageMasterUserPassword": None}, "InvalidParameterCombination"),
        ({"Port": 1}, "InvalidParameterValue"),
        ({"EnableIAMDatabaseAuthentication": True}, "InvalidParameterValue"),
    ],
)
def test_what_cannot_be_made_is_refused_and_leaves_nothing(
    database: Database, options: dict[str, Any], code: str
) -> None:
    before = database.roles()
    assert refused(lambda: database.cluster(**options)) == code
    assert database.client("rds").describe_db_clusters()["DBClusters"] == []
    assert database.roles() == before


def test_names_in_use_are_refused_and_left_alone(database: Database) -> None:
    cluster = database.cluster()
    name = cluster["DBClusterIdentifier"]
    assert refused(lambda: database.cluster(DBClusterIdentifier=name)) == "DBClusterAlreadyExistsFault"
    assert refused(lambda: database.cluster(MasterUsername=cluster["MasterUsername"])) == "InvalidParameterValue"
    assert refused(lambda: database.cluster(DatabaseName=cluster["DatabaseName"])) == "InvalidParameterValue"
    database.connect(cluster, **as_user(database.secret(cluster))).close()


def test_what_no_cluster_made_is_never_dropped(database: Database) -> None:
    info = database.instance.info()
    assert info
    with psycopg.connect(info.postgres_dsn, autocommit=True) as connection:
        connection.execute("CREATE ROLE other_user LOGIN")
        try:
            assert refused(lambda: database.cluster(MasterUsername="other_user")) == "InvalidParameterValue"
            assert "other_user" in database.roles()
            assert database.client("rds").describe_db_clusters()["DBClusters"] == []
        finally:
            connection.execute("DROP ROLE other_user")


@pytest.mark.parametrize(
    "operation", ["create_db_cluster_snapshot", "restore_db_cluster_from_snapshot", "start_db_cluster"]
)
def test_what_is_not_done_is_not_answered(database: Database, operation: str) -> None:
    arguments = {
        "create_db_cluster_snapshot": {"DBClusterSnapshotIdentifier": "s", "DBClusterIdentifier": "c"},
        "restore_db_cluster_from_snapshot": {
            "DBClusterIdentifier": "c", "SnapshotIdentifier": "s", "Engine": "aurora-postgresql"
        },
        "start_db_cluster": {"DBClusterIdentifier": "c"},
    }[operation]  # fmt: skip
    with pytest.raises(ClientError) as caught:
        getattr(database.client("rds"), operation)(**arguments)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_a_final_snapshot_is_refused_and_the_cluster_stays(database: Database) -> None:
    cluster = database.cluster()
    name, rds = cluster["DBClusterIdentifier"], database.client("rds")
    options = {"SkipFinalSnapshot": False, "FinalDBSnapshotIdentifier": "last"}
    assert refused(lambda: rds.delete_db_cluster(DBClusterIdentifier=name, **options)) == "InvalidParameterValue"
    database.connect(cluster, **as_user(database.secret(cluster))).close()
