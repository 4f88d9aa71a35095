"""Redshift in Step Functions, with a role whose policies are enforced."""

import json
import time
import uuid
from typing import Any

import pytest

from tests.support.engine_harness import Engine, eventually
from tests.support.redshift import Warehouse

DATA = ("redshift-data:ExecuteStatement", "redshift-data:BatchExecuteStatement")


class Workflow:
    """A role with policies, and machines that run one call with it."""

    def __init__(self, engine: Engine, *statements: dict[str, Any]) -> None:
        self.engine, self.name = engine, f"wf{uuid.uuid4().hex[:10]}"
        iam = engine.client("iam")
        trust = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        self.role = iam.create_role(RoleName=self.name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow"} | one for one in statements]}
        iam.put_role_policy(RoleName=self.name, PolicyName="own", PolicyDocument=json.dumps(policy))

    def call(self, action: str, arguments: dict[str, Any]) -> Any:
        """Run aws-sdk:<action>; the execution when it has ended."""
        states = self.engine.client("stepfunctions")
        task = {"Type": "Task", "Resource": f"arn:aws:states:::aws-sdk:{action}", "Parameters": arguments, "End": True}
        machine = states.create_state_machine(
            name=f"m{uuid.uuid4().hex[:10]}",
            roleArn=self.role,
            definition=json.dumps({"StartAt": "Call", "States": {"Call": task}}),
        )["stateMachineArn"]
        execution = states.start_execution(stateMachineArn=machine)["executionArn"]
        found = eventually(
            lambda: (d := states.describe_execution(executionArn=execution))["status"] != "RUNNING" and d, 30, action
        )
        states.delete_state_machine(stateMachineArn=machine)
        return found


def allowed(shared: Warehouse, *more: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """What a workflow needs that runs statements as its own role."""
    workgroup = shared.workgroup["workgroupArn"]
    return (
        {"Action": [*DATA, "redshift-serverless:GetCredentials"], "Resource": workgroup},
        {"Action": ["redshift-data:DescribeStatement", "redshift-data:GetStatementResult"], "Resource": "*"},
        *more,
    )


def test_a_state_runs_a_statement_and_others_look_at_it(shared: Warehouse, engine: Engine) -> None:
    workflow = Workflow(engine, *allowed(shared))
    place = {"WorkgroupName": shared.name, "Database": "dev"}
    started = workflow.call("redshiftdata:executeStatement", place | {"Sql": "select 1 as a", "ClientToken": "one"})
    assert started["status"] == "SUCCEEDED", started
    output = json.loads(started["output"])
    assert (output["DbUser"], output["Database"]) == (f"IAMR:{workflow.name}", "dev")

    def finished() -> bool:
        found = workflow.call("redshiftdata:describeStatement", {"Id": output["Id"]})
        return bool(json.loads(found["output"])["Status"] == "FINISHED")

    eventually(finished, 30)
    rows = workflow.call("redshiftdata:getStatementResult", {"Id": output["Id"]})
    assert json.loads(rows["output"])["Records"] == [[{"LongValue": 1}]]
    again = workflow.call("redshiftdata:executeStatement", place | {"Sql": "select 1 as a", "ClientToken": "one"})
    assert json.loads(again["output"])["Id"] == output["Id"]


def test_a_state_runs_a_batch_and_reads_a_namespace(shared: Warehouse, engine: Engine) -> None:
    workflow = Workflow(engine, *allowed(shared, {"Action": "redshift-serverless:GetNamespace", "Resource": "*"}))
    place = {"WorkgroupName": shared.name, "Database": "dev"}
    found = workflow.call("redshiftdata:batchExecuteStatement", place | {"Sqls": ["select 1", "select 2"]})
    assert found["status"] == "SUCCEEDED", found
    found = workflow.call("redshiftserverless:getNamespace", {"NamespaceName": shared.name})
    assert found["status"] == "SUCCEEDED", found
    assert shared.namespace["namespaceArn"] in found["output"]


def test_an_error_has_the_name_that_a_catch_names(shared: Warehouse, engine: Engine) -> None:
    workflow = Workflow(engine, *allowed(shared))
    found = workflow.call("redshiftdata:describeStatement", {"Id": str(uuid.uuid4())})
    assert (found["status"], found["error"]) == ("FAILED", "RedshiftData.ResourceNotFoundException")
    assert found["cause"].startswith("Query does not exist.")


@pytest.mark.parametrize(
    ("left", "needed"),
    [
        (("redshift-serverless:GetCredentials",), "redshift-data:ExecuteStatement"),
        (DATA, "redshift-serverless:GetCredentials"),
        ((), "redshift-data:ExecuteStatement"),
    ],
)
def test_a_role_needs_both_the_statement_and_its_credentials(
    shared: Warehouse, engine: Engine, left: tuple[str, ...], needed: str
) -> None:
    actions = [*left, "redshift-data:ListStatements"]
    workflow = Workflow(engine, {"Action": actions, "Resource": "*"})
    place = {"WorkgroupName": shared.name, "Database": "dev"}
    found = workflow.call("redshiftdata:executeStatement", place | {"Sql": "select 1"})
    assert found["status"] == "FAILED"
    assert f"is not authorized to perform: {needed} on resource" in found["cause"]
    assert shared.workgroup["workgroupArn"] in found["cause"]


def test_a_role_for_another_work_group_is_refused(shared: Warehouse, engine: Engine) -> None:
    other = shared.workgroup["workgroupArn"][:-4] + "0000"
    workflow = Workflow(engine, {"Action": [*DATA, "redshift-serverless:GetCredentials"], "Resource": other})
    place = {"WorkgroupName": shared.name, "Database": "dev"}
    found = workflow.call("redshiftdata:executeStatement", place | {"Sql": "select 1"})
    # The API's model has no exception of that name, so AWS's client has only its general one.
    assert (found["status"], found["error"]) == ("FAILED", "RedshiftData.RedshiftDataException")
    assert "redshift-data:ExecuteStatement" in found["cause"]


def test_a_secret_is_read_with_the_role_s_rights(shared: Warehouse, engine: Engine) -> None:
    statement = {"Action": list(DATA), "Resource": shared.workgroup["workgroupArn"]}
    arguments = shared.place | {"Sql": "select 1"}
    without = Workflow(engine, statement)
    found = without.call("redshiftdata:executeStatement", arguments)
    assert (found["status"], "secretsmanager:GetSecretValue" in found["cause"]) == ("FAILED", True)
    both = Workflow(engine, statement, {"Action": "secretsmanager:GetSecretValue", "Resource": shared.secret})
    assert both.call("redshiftdata:executeStatement", arguments)["status"] == "SUCCEEDED"


def test_the_time_of_a_statement_is_real(shared: Warehouse) -> None:
    began = time.monotonic()
    found = shared.run("select pg_sleep(0.3)")
    assert 0.3 <= found["Duration"] / 1e9 <= time.monotonic() - began
