"""Redshift Serverless as a service: namespaces, work groups, limits, tags, passwords."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.support.engine_harness import Engine
from tests.support.redshift import Warehouse, client_of, refused

Make = Callable[..., Warehouse]


def name() -> str:
    return f"n{uuid.uuid4().hex[:10]}"


@pytest.fixture
def raw(engine: Engine) -> Any:
    """A client that checks nothing: the service must."""
    return client_of(engine, "redshift-serverless", {"AccessKeyId": "test", "SecretAccessKey": "test"})


# -- namespaces ------------------------------------------------------------------------------------------------------


def test_a_namespace_is_what_aws_makes_of_nothing_but_a_name(warehouse: Make) -> None:
    made = warehouse(manageAdminPassword=False)
    found = made.serverless.get_namespace(namespaceName=made.name)["namespace"]
    assert found["status"] == "AVAILABLE"
    assert (found["adminUsername"], found["dbName"], found["kmsKeyId"]) == ("admin", "dev", "AWS_OWNED_KMS_KEY")
    assert (found["iamRoles"], found["logExports"]) == ([], [])
    assert found["namespaceArn"].endswith(f":namespace/{found['namespaceId']}")
    assert "adminPasswordSecretArn" not in found
    assert made.name in [one["namespaceName"] for one in made.serverless.list_namespaces()["namespaces"]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"namespaceName": "ab"},
        {"namespaceName": "Upper"},
        {"namespaceName": "x" * 65},
        {"dbName": "template0"},
        {"dbName": "Upper"},
        {"dbName": "a b"},
        {"adminUsername": "rdsdb"},
        {"adminUsername": "1a"},
        {"adminUserPassword": "short1A"},
        {"adminUserPassword": "nouppercase1"},
        {"adminUserPassword": "With space 1"},
        {"adminUserPassword": 'Quote"12345'},
        {"adminUserPassword": "Right-passw0rd", "manageAdminPassword": True},
        {"iamRoles": ["no-arn"]},
        {"defaultIamRoleArn": "arn:aws:iam::000000000000:role/other"},
        {"logExports": ["everything"]},
    ],
    ids=lambda wrong: f"{next(iter(wrong))}-{next(iter(wrong.values()))}"[:40],
)
def test_a_wrong_namespace_is_refused_and_not_made(raw: Any, wrong: dict[str, Any]) -> None:
    wanted = {"namespaceName": name()} | wrong
    assert refused(raw.create_namespace, **wanted)[0] == "ValidationException"
    listed = [one["namespaceName"] for one in raw.list_namespaces()["namespaces"]]
    assert wanted["namespaceName"] not in listed


def test_names_are_taken_once_and_unknown_ones_not_found(shared: Warehouse) -> None:
    api = shared.serverless
    assert refused(api.create_namespace, namespaceName=shared.name)[0] == "ConflictException"
    found = refused(api.create_workgroup, workgroupName=shared.name, namespaceName=shared.name)
    assert found[0] == "ConflictException"
    for call in (api.get_namespace, api.update_namespace, api.delete_namespace):
        assert refused(call, namespaceName="no-such")[0] == "ResourceNotFoundException"
    for call in (api.get_workgroup, api.update_workgroup, api.delete_workgroup, api.get_credentials):
        assert refused(call, workgroupName="no-such")[0] == "ResourceNotFoundException"


def test_a_namespace_with_a_work_group_is_not_deleted_and_has_only_one(shared: Warehouse) -> None:
    api = shared.serverless
    code, message = refused(api.delete_namespace, namespaceName=shared.name)
    assert (code, shared.name in message) == ("ConflictException", True)
    assert refused(api.create_workgroup, workgroupName=name(), namespaceName=shared.name)[0] == "ConflictException"
    found = refused(api.create_workgroup, workgroupName=name(), namespaceName="no-such")
    assert found[0] == "ResourceNotFoundException"
    assert shared.rows("select 1") == [[1]]


def test_a_deleted_namespace_leaves_nothing_and_its_name_is_free(engine: Engine, warehouse: Make) -> None:
    made = warehouse()
    made.run("create table t (a int)")
    made.run("create user someone password disable")
    made.delete()
    assert (
        refused(engine.client("secretsmanager").describe_secret, SecretId=made.secret)[0] == "ResourceNotFoundException"
    )
    api = made.serverless
    api.create_namespace(namespaceName=made.name)
    api.create_workgroup(workgroupName=made.name, namespaceName=made.name)
    found = made.data.list_tables(Database="dev", WorkgroupName=made.name, SchemaPattern="public")
    assert found["Tables"] == []


def test_two_namespaces_have_databases_users_and_rows_of_their_own(warehouse: Make) -> None:
    first, second = warehouse(), warehouse()
    for one in (first, second):
        one.run("create table t (a varchar(20))")
        one.run("insert into t values (:name)", Parameters=[{"name": "name", "value": one.name}])
    assert first.rows("select a from t") == [[first.name]]
    assert second.rows("select a from t") == [[second.name]]
    secret = second.engine.client("secretsmanager").get_secret_value(SecretId=second.secret)["SecretString"]
    assert json.loads(secret)["username"] == "admin"
    # The password of one does not open the other.
    assert "password authentication failed" in first.failure("select 1", SecretArn=second.secret)


def test_a_cluster_of_rds_and_a_namespace_do_not_share_a_database(engine: Engine, warehouse: Make) -> None:
    rds, cluster = engine.client("rds"), name()
    rds.create_db_cluster(
        DBClusterIdentifier=cluster,
        Engine="aurora-postgresql",
        MasterUsername=f"m{cluster}",
        DatabaseName=f"d{cluster}",
        ManageMasterUserPassword=True,
    )
    made = warehouse(dbName=f"d{cluster}", adminUsername=f"m{cluster}")
    made.run("create table t (a int)", Database=f"d{cluster}")
    rds.delete_db_cluster(DBClusterIdentifier=cluster, SkipFinalSnapshot=True)
    assert made.rows("select count(*) from t", Database=f"d{cluster}") == [[0]]


def test_a_cluster_of_rds_gets_the_names_that_it_asks_for(engine: Engine, warehouse: Make) -> None:
    rds, one = engine.client("rds"), name()
    made = warehouse(dbName=one, adminUsername=one)
    made.run("create table t as select 5 as a", Database=one)
    session = made.start("select 1", Database=one, SessionKeepAliveSeconds=600)["SessionId"]
    rds.create_db_cluster(
        DBClusterIdentifier=one,
        Engine="aurora-postgresql",
        MasterUsername=one,
        DatabaseName=one,
        MasterUserPassword="Cluster-passw0rd",
    )
    with psycopg.connect(
        host=made.workgroup["endpoint"]["address"],
        port=made.workgroup["endpoint"]["port"],
        dbname=one,
        user=one,
        password="Cluster-passw0rd",
    ) as connection:
        found = connection.execute("select count(*) from pg_tables where schemaname = 'public'").fetchone()
        assert found == (0,)
    assert made.rows("select a from t", Database=one) == [[5]]
    assert made.end(made.data.execute_statement(Sql="select 1", SessionId=session)["Id"])["Status"] == "FAILED"
    rds.delete_db_cluster(DBClusterIdentifier=one, SkipFinalSnapshot=True)
    assert made.rows("select a from t", Database=one) == [[5]]


def test_the_managed_secret_opens_the_database_and_no_other_password_does(shared: Warehouse, engine: Engine) -> None:
    found = json.loads(engine.client("secretsmanager").get_secret_value(SecretId=shared.secret)["SecretString"])
    assert found.keys() == {"username", "password"}
    assert shared.secret.rsplit("secret:", 1)[1].startswith(f"redshift!{shared.name}-admin-")
    with shared.connect(found["username"], found["password"]) as connection:
        assert connection.execute("select current_user, current_database()").fetchone() == ("admin", "dev")
    with pytest.raises(psycopg.OperationalError):
        shared.connect("admin", "wrong")


def test_a_password_is_changed_then_managed_then_given_again(warehouse: Make, engine: Engine) -> None:
    made = warehouse(manageAdminPassword=False, adminUserPassword="First-passw0rd")
    update, secrets = made.serverless.update_namespace, engine.client("secretsmanager")

    def works(password: str) -> bool:
        content = json.dumps({"username": "admin", "password": password})
        arn = secrets.create_secret(Name=f"s-{uuid.uuid4().hex}", SecretString=content)["ARN"]
        return bool(made.end(made.start("select 1", SecretArn=arn)["Id"])["Status"] == "FINISHED")

    assert works("First-passw0rd")
    update(namespaceName=made.name, adminUserPassword="Second-passw0rd")
    assert (works("Second-passw0rd"), works("First-passw0rd")) == (True, False)
    managed = update(namespaceName=made.name, manageAdminPassword=True)["namespace"]
    assert not works("Second-passw0rd")
    assert made.rows("select 1", SecretArn=managed["adminPasswordSecretArn"]) == [[1]]
    wrong = {"namespaceName": made.name, "adminUserPassword": "Third-passw0rd"}
    assert refused(update, **wrong)[0] == "ValidationException"
    assert refused(update, namespaceName=made.name, manageAdminPassword=False)[0] == "ValidationException"
    update(**wrong, manageAdminPassword=False)
    assert works("Third-passw0rd")
    assert "adminPasswordSecretArn" not in made.serverless.get_namespace(namespaceName=made.name)["namespace"]


def test_roles_are_shown_as_aws_shows_them_and_replaced_as_a_whole(warehouse: Make) -> None:
    made = warehouse()
    first, second = (f"arn:aws:iam::000000000000:role/{name}" for name in "ab")
    shown = made.serverless.update_namespace(namespaceName=made.name, iamRoles=[first, second], defaultIamRoleArn=first)
    assert shown["namespace"]["iamRoles"] == [
        f"IamRole(applyStatus=in-sync, iamRoleArn={one})" for one in (first, second)
    ]
    assert shown["namespace"]["defaultIamRoleArn"] == first
    code, _ = refused(made.serverless.update_namespace, namespaceName=made.name, iamRoles=[second])
    assert code == "ValidationException"  # the default would be gone
    shown = made.serverless.update_namespace(namespaceName=made.name, iamRoles=[second], defaultIamRoleArn="")
    assert "defaultIamRoleArn" not in shown["namespace"]


# -- work groups -----------------------------------------------------------------------------------------------------


def test_a_work_group_is_created_and_available(shared: Warehouse) -> None:
    assert shared.workgroup["status"] == "CREATING"
    found = shared.serverless.get_workgroup(workgroupName=shared.name)["workgroup"]
    assert (found["status"], found["namespaceName"], found["baseCapacity"]) == ("AVAILABLE", shared.name, 128)
    assert found["endpoint"]["port"] == found["port"] > 0
    assert found["workgroupArn"].endswith(f":workgroup/{found['workgroupId']}")
    values = {one["parameterKey"]: one["parameterValue"] for one in found["configParameters"]}
    assert values["max_query_execution_time"] == "14400"


@pytest.mark.parametrize(
    "wrong",
    [
        {"baseCapacity": 7},
        {"baseCapacity": 12},
        {"baseCapacity": 520},
        {"baseCapacity": 0},
        {"baseCapacity": 64, "maxCapacity": 32},
        {"port": 1},
        {"workgroupName": "Upper"},
        {"workgroupName": "ab"},
        {"configParameters": [{"parameterKey": "no_such", "parameterValue": "1"}]},
        {"subnetIds": ["subnet-none"]},
    ],
    ids=str,
)
def test_a_wrong_work_group_is_refused(raw: Any, wrong: dict[str, Any]) -> None:
    namespace = name()
    raw.create_namespace(namespaceName=namespace)
    wanted = {"workgroupName": namespace, "namespaceName": namespace} | wrong
    assert refused(raw.create_workgroup, **wanted)[0] == "ValidationException"
    raw.delete_namespace(namespaceName=namespace)


@pytest.mark.parametrize("capacity", [4, 8, 16, 512])
def test_a_capacity_that_aws_has_is_taken(warehouse: Make, capacity: int) -> None:
    made = warehouse()
    answer = made.serverless.update_workgroup(workgroupName=made.name, baseCapacity=capacity)["workgroup"]
    assert (answer["status"], answer["baseCapacity"]) == ("MODIFYING", capacity)
    assert made.serverless.get_workgroup(workgroupName=made.name)["workgroup"]["baseCapacity"] == capacity


def test_subnets_are_three_in_three_zones(engine: Engine, warehouse: Make) -> None:
    ec2 = engine.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{n}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"][
            "SubnetId"
        ]
        for n, zone in enumerate("abca")
    ]
    made = warehouse()
    for wrong in (subnets[:2], [*subnets[:2], subnets[3]]):
        code, message = refused(made.serverless.update_workgroup, workgroupName=made.name, subnetIds=wrong)
        assert (code, "three Availability Zones" in message) == ("ValidationException", True)
    found = made.serverless.update_workgroup(workgroupName=made.name, subnetIds=subnets[:3])["workgroup"]
    assert found["subnetIds"] == subnets[:3]
    [endpoint] = found["endpoint"]["vpcEndpoints"]
    assert endpoint["vpcId"] == vpc
    assert [one["subnetId"] for one in endpoint["networkInterfaces"]] == subnets[:3]


# -- credentials -----------------------------------------------------------------------------------------------------


def test_temporary_credentials_open_the_database(shared: Warehouse) -> None:
    found = shared.serverless.get_credentials(workgroupName=shared.name, dbName="dev")
    again = shared.serverless.get_credentials(workgroupName=shared.name, dbName="dev")
    assert (again["dbUser"], again["dbPassword"]) == (found["dbUser"], found["dbPassword"])
    assert found["nextRefreshTime"] < found["expiration"]
    with shared.connect(found["dbUser"], found["dbPassword"]) as connection:
        assert connection.execute("select current_user").fetchone() == (found["dbUser"],)
        # It has the rights of PUBLIC there.
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("create schema own")


def test_credentials_last_from_15_to_60_minutes(shared: Warehouse) -> None:
    for seconds in (899, 3601, 0, -1):
        code, _ = refused(shared.serverless.get_credentials, workgroupName=shared.name, durationSeconds=seconds)
        assert code == "ValidationException"


def test_a_user_may_not_enter_the_database_of_another_namespace(shared: Warehouse, warehouse: Make) -> None:
    other = warehouse()
    keys = other.engine.client("iam")
    user = name()
    keys.create_user(UserName=user)
    access = keys.create_access_key(UserName=user)["AccessKey"]
    found = client_of(other.engine, "redshift-serverless", access).get_credentials(workgroupName=other.name)
    assert found["dbUser"] == f"IAM:{user}"
    with pytest.raises(psycopg.OperationalError, match="CONNECT"):
        shared.connect(found["dbUser"], found["dbPassword"])


def test_a_user_with_a_password_may_enter(warehouse: Make) -> None:
    made, user = warehouse(dbName=f"d{name()}"), name()
    place = made.place | {"Database": made.namespace["dbName"]}
    made.end(made.data.execute_statement(Sql=f"create user {user} password 'Some-passw0rd1'", **place)["Id"])
    with psycopg.connect(
        host=made.workgroup["endpoint"]["address"],
        port=made.workgroup["endpoint"]["port"],
        dbname=made.namespace["dbName"],
        user=user,
        password="Some-passw0rd1",
    ) as connection:
        assert connection.execute("select current_user").fetchone() == (user,)


# -- tags and limits -------------------------------------------------------------------------------------------------


def test_tags_are_of_namespaces_and_work_groups(shared: Warehouse) -> None:
    api, arn = shared.serverless, shared.workgroup["workgroupArn"]
    api.tag_resource(resourceArn=arn, tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
    api.tag_resource(resourceArn=arn, tags=[{"key": "a", "value": "3"}])
    assert api.list_tags_for_resource(resourceArn=arn)["tags"] == [
        {"key": "a", "value": "3"},
        {"key": "b", "value": "2"},
    ]
    api.untag_resource(resourceArn=arn, tagKeys=["a", "none"])
    assert api.list_tags_for_resource(resourceArn=arn)["tags"] == [{"key": "b", "value": "2"}]
    many = [{"key": str(n), "value": ""} for n in range(201)]
    assert refused(api.tag_resource, resourceArn=arn, tags=many)[0] == "TooManyTagsException"
    other = arn[:-1] + ("0" if arn[-1] != "0" else "1")
    assert refused(api.list_tags_for_resource, resourceArn=other)[0] == "ResourceNotFoundException"


def test_a_usage_limit_is_one_of_its_kind(warehouse: Make) -> None:
    made = warehouse()
    api, arn = made.serverless, made.workgroup["workgroupArn"]
    wanted = {"resourceArn": arn, "usageType": "serverless-compute", "amount": 60}
    limit = api.create_usage_limit(**wanted)["usageLimit"]
    assert (limit["period"], limit["breachAction"]) == ("monthly", "log")
    assert refused(api.create_usage_limit, **wanted)[0] == "ConflictException"
    assert refused(api.create_usage_limit, **(wanted | {"period": "daily", "amount": 0}))[0] == "ValidationException"
    api.update_usage_limit(usageLimitId=limit["usageLimitId"], amount=90, breachAction="deactivate")
    found = api.get_usage_limit(usageLimitId=limit["usageLimitId"])["usageLimit"]
    assert (found["amount"], found["breachAction"]) == (90, "deactivate")
    assert [one["usageLimitId"] for one in api.list_usage_limits(resourceArn=arn)["usageLimits"]] == [
        limit["usageLimitId"]
    ]
    api.delete_usage_limit(usageLimitId=limit["usageLimitId"])
    assert refused(api.get_usage_limit, usageLimitId=limit["usageLimitId"])[0] == "ResourceNotFoundException"


def test_lists_come_in_pages(shared: Warehouse, warehouse: Make) -> None:
    warehouse()
    page = shared.serverless.list_workgroups(maxResults=1)
    assert len(page["workgroups"]) == 1
    pages = shared.serverless.get_paginator("list_workgroups").paginate(PaginationConfig={"PageSize": 1})
    names = [one["workgroupName"] for page in pages for one in page["workgroups"]]
    assert names == sorted(set(names))
    assert shared.name in names
    assert refused(shared.serverless.list_namespaces, nextToken="no token")[0] == "ValidationException"
