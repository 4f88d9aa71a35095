"""API Gateway: keys, throttling, quotas, size, gateway responses and access logs, as AWS has them."""

import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.engine_harness import Engine, Function, eventually

ECHO = "import json\ndef handler(event, context):\n    return {'statusCode': 200, 'body': json.dumps(event['path'])}\n"
ERROR = {"success": False, "error": {"message": "slow down", "type": "TooManyRequests"}, "suggestions": []}
Answer = tuple[int, dict[str, str], Any]


class Api:
    """A REST API: /open for everybody, everything else with a key."""

    def __init__(self, engine: Engine, function: Function, **settings: Any) -> None:
        self.client, self.url = engine.client("apigateway"), engine.url
        self.id = self.client.create_rest_api(name=f"api-{uuid.uuid4().hex[:8]}")["id"]
        function.allow("apigateway")
        root = self.client.get_resources(restApiId=self.id)["items"][0]["id"]
        uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{function.arn}/invocations"
        for part, key_required in (("open", False), ("{proxy+}", True)):
            made = self.client.create_resource(restApiId=self.id, parentId=root, pathPart=part)["id"]
            where = {"restApiId": self.id, "resourceId": made, "httpMethod": "ANY"}
            self.client.put_method(**where, authorizationType="NONE", apiKeyRequired=key_required)
            self.client.put_integration(**where, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)
        for kind, template in settings.pop("responses", {}).items():
            self.client.put_gateway_response(
                restApiId=self.id,
                responseType=kind,
                responseTemplates={"application/json": template},
                responseParameters={"gatewayresponse.header.Access-Control-Allow-Origin": "'https://a.example'"},
                **({"statusCode": "405"} if kind == "MISSING_AUTHENTICATION_TOKEN" else {}),
            )
        deployment = self.client.create_deployment(restApiId=self.id)["id"]
        self.client.create_stage(restApiId=self.id, stageName="v1", deploymentId=deployment)
        stages = [{"apiId": self.id, "stage": "v1"}]
        self.plan = self.client.create_usage_plan(name=f"plan-{self.id}", apiStages=stages, **settings)["id"]

    def key(self) -> str:
        made = self.client.create_api_key(name=f"key-{uuid.uuid4().hex[:8]}", enabled=True)
        self.client.create_usage_plan_key(usagePlanId=self.plan, keyId=made["id"], keyType="API_KEY")
        value: str = made["value"]
        return value

    def patch_stage(self, *changes: tuple[str, str]) -> None:
        operations = [{"op": "replace", "path": path, "value": value} for path, value in changes]
        self.client.update_stage(restApiId=self.id, stageName="v1", patchOperations=operations)

    def get(self, path: str, key: str | None = None, method: str = "GET", body: bytes | None = None) -> Answer:
        request = urllib.request.Request(
            f"{self.url}/_aws/execute-api/{self.id}/v1{path}",
            data=body,
            method=method,
            headers={"X-Api-Key": key} if key else {},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, dict(answer.headers), json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), json.loads(error.read())


@pytest.fixture
def api(engine: Engine, function: Callable[..., Function]) -> Callable[..., Api]:
    return lambda **settings: Api(engine, function(ECHO), **settings)


def test_a_method_that_wants_a_key_refuses_none_a_wrong_one_and_a_disabled_one(api: Callable[..., Api]) -> None:
    one = api()
    key = one.key()
    assert one.get("/open")[0] == 200
    assert one.get("/other", key)[:3:2] == (200, "/other")
    for wrong in (None, "wrong", key[:-1]):
        assert one.get("/other", wrong)[:3:2] == (403, {"message": "Forbidden"})
    found = one.client.get_api_keys(includeValues=True)["items"]
    key_id = next(item["id"] for item in found if item["value"] == key)
    one.client.update_api_key(apiKey=key_id, patchOperations=[{"op": "replace", "path": "/enabled", "value": "false"}])
    assert one.get("/other", key)[0] == 403


def test_a_key_beyond_its_plans_burst_is_throttled_and_others_are_not(api: Callable[..., Api]) -> None:
    one = api(throttle={"rateLimit": 0.01, "burstLimit": 3})
    key, other = one.key(), one.key()
    assert [one.get("/x", key)[0] for _ in range(5)] == [200, 200, 200, 429, 429]
    assert one.get("/x", other)[0] == 200
    assert one.get("/open")[0] == 200
    status, headers, body = one.get("/x", key)
    assert (status, body) == (429, {"message": "Too Many Requests"})
    assert headers["x-amzn-ErrorType"] == "TooManyRequestsException"


def test_tokens_come_back_at_the_plans_rate(api: Callable[..., Api]) -> None:
    one = api(throttle={"rateLimit": 5.0, "burstLimit": 1})
    key = one.key()
    assert one.get("/x", key)[0] == 200
    eventually(lambda: one.get("/x", key)[0] == 200, 5, "a token")


def test_a_keys_quota_ends(api: Callable[..., Api]) -> None:
    one = api(quota={"limit": 2, "period": "MONTH"})
    key, other = one.key(), one.key()
    assert [one.get("/x", key)[:3:2] for _ in range(3)] == [
        (200, "/x"), (200, "/x"), (429, {"message": "Limit Exceeded"})
    ]  # fmt: skip
    assert one.get("/x", other)[0] == 200


def test_the_stages_limit_holds_without_a_key_too(api: Callable[..., Api]) -> None:
    one = api()
    one.patch_stage(("/*/*/throttling/rateLimit", "0.01"), ("/*/*/throttling/burstLimit", "2"))
    assert [one.get("/open")[0] for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize(
    ("source", "status", "body"),
    [
        ("return {'statusCode': 201, 'body': json.dumps(event['httpMethod'] + 'é\u2713')}", 201, "POSTé\u2713"),
        ("return {'statusCode': 201, 'body': '\"é\u2713\"'}", 201, "é\u2713"),
        ("return {'body': json.dumps(event['headers']['X-Api-Key'])}", 200, "k"),
        ("raise ValueError('inside')", 502, {"message": "Internal server error"}),
        ("return 'no object'", 502, {"message": "Internal server error"}),
    ],
)
def test_a_functions_outcome_is_the_callers_answer(
    engine: Engine, function: Callable[..., Function], source: str, status: int, body: Any
) -> None:
    """https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html"""
    one = Api(engine, function(f"import json\ndef handler(event, context):\n    {source}\n"))
    assert one.get("/open", "k", method="POST", body=b"")[:3:2] == (status, body)


def test_a_body_over_ten_megabytes_is_refused(api: Callable[..., Api]) -> None:
    status, _, body = api().get("/open", method="POST", body=b"x" * (10 * 1024 * 1024 + 1))
    assert (status, body) == (413, {"message": "Request Too Long"})


def test_a_gateway_response_has_its_template_headers_and_status(api: Callable[..., Api]) -> None:
    plain = json.dumps(ERROR)
    with_message = '{"said": $context.error.messageString, "kind": "$context.error.responseType"}'
    one = api(
        throttle={"rateLimit": 0.01, "burstLimit": 1},
        responses={"THROTTLED": plain, "DEFAULT_4XX": with_message, "MISSING_AUTHENTICATION_TOKEN": plain},
    )
    key = one.key()
    one.get("/x", key)
    status, headers, body = one.get("/x", key)
    assert (status, body, headers["Access-Control-Allow-Origin"]) == (429, ERROR, "https://a.example")
    # what has none of its own takes the default of its class
    assert one.get("/x")[:3:2] == (403, {"said": "Forbidden", "kind": "INVALID_API_KEY"})
    # the root has no method: a path that is not there
    assert one.get("/")[0] == 405


def test_requests_are_logged_in_the_stages_format(api: Callable[..., Api], engine: Engine) -> None:
    one, logs, group = api(), engine.client("logs"), f"/aws/apigateway/{uuid.uuid4().hex[:8]}"
    logs.create_log_group(logGroupName=group)
    form = json.dumps({"path": "$context.path", "status": "$context.status", "key": "$context.identity.apiKeyId"})
    arn = f"arn:aws:logs:us-east-1:000000000000:log-group:{group}"
    one.patch_stage(("/accessLogSettings/destinationArn", arn), ("/accessLogSettings/format", form))
    key = one.key()
    assert (one.get("/x", key)[0], one.get("/x")[0], one.get("/a%22b")[0]) == (200, 403, 403)

    def lines() -> list[dict[str, str]]:
        return [json.loads(e["message"]) for e in logs.filter_log_events(logGroupName=group)["events"]]

    eventually(lambda: len(lines()) == 3, 5, "three lines")
    assert [(line["path"].split("/v1")[1], line["status"]) for line in lines()] == [
        ("/x", "200"), ("/x", "403"), ("/a%22b", "403")
    ]  # fmt: skip
    assert lines()[0]["key"] != "-"
    assert lines()[1]["key"] == "-"
