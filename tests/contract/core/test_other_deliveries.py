"""With enforcement: what API Gateway invokes, and what EventBridge writes to CloudWatch Logs."""

import json
import urllib.error
import urllib.request
import uuid

import pytest

from tests.support.deliveries import Rule, allowing, document
from tests.support.engine_harness import ACCOUNT, Engine, Function, eventually

ANSWER = "def handler(event, context):\n    return {'statusCode': 200, 'body': 'hello'}\n"


def deployed(engine: Engine, function: Function) -> str:
    """A REST API whose root invokes the function on GET; returns its id."""
    api = engine.client("apigateway")
    invocations = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions"
    made = api.create_rest_api(name=f"api-{uuid.uuid4().hex[:8]}")
    method = {"restApiId": made["id"], "resourceId": made["rootResourceId"], "httpMethod": "GET"}
    api.put_method(**method, authorizationType="NONE")
    api.put_integration(
        **method, type="AWS_PROXY", integrationHttpMethod="POST", uri=f"{invocations}/{function.arn}/invocations"
    )
    api.create_deployment(restApiId=made["id"], stageName="live")
    return str(made["id"])


def get(engine: Engine, api: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"{engine.url}/restapis/{api}/live/_user_request_/", timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_api_without_permission_for_its_method_answers_500(engine: Engine, method: str) -> None:
    """https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-control-access-using-iam-policies-to-invoke-api.html"""
    function = Function(engine, ANSWER)
    api = deployed(engine, function)
    assert get(engine, api) == (500, '{"message":"Internal server error"}')
    engine.client("lambda").add_permission(
        FunctionName=function.name, StatementId="api", Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn=f"arn:aws:execute-api:us-east-1:{ACCOUNT}:{api}/*/{method}/",
    )  # fmt: skip
    assert get(engine, api)[0] == (200 if method == "GET" else 500)


def test_eventbridge_writes_to_a_log_group_with_a_policy_of_the_region(engine: Engine) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-cloudwatchlogs-permissions"""
    logs, rule = engine.client("logs"), Rule(engine)
    group = f"/aws/events/{uuid.uuid4().hex[:8]}"
    logs.create_log_group(logGroupName=group)
    arn = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{group}"
    rule.target(arn)
    rule.send({"n": 1})
    eventually(lambda: rule.metric("FailedInvocations") == 1, 20, "the failure")
    statement = allowing("events.amazonaws.com", "", f"{arn}:*")
    statement["Action"] = ["logs:CreateLogStream", "logs:PutLogEvents"]
    logs.put_resource_policy(policyName=rule.name, policyDocument=document(statement))
    rule.send({"n": 2})
    found = eventually(lambda: logs.filter_log_events(logGroupName=group)["events"], 20, "the event")
    assert [json.loads(event["message"])["detail"] for event in found] == [{"n": 2}]
