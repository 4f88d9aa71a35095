"""Who may call a method of a REST API.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/permissions.html
"""

import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.support.engine_harness import Engine, Function, eventually

ECHO = """
import json
def handler(event, context):
    return {"statusCode": 200, "body": json.dumps(event["requestContext"].get("authorizer"))}
"""
# The token (or the header Who) says what the authorizer answers.
JUDGE = """
import json, uuid
def handler(event, context):
    said = event.get("authorizationToken") or event["headers"]["Who"]
    if said == "unauthorized":
        raise Exception("Unauthorized")
    if said == "broken":
        raise Exception("no")
    if said == "nothing":
        return None
    context = {"call": uuid.uuid4().hex, "n": 1, "yes": True, "arn": event["methodArn"]}
    answer = {"principalId": "me", "context": context}
    effect = {"deny": "Deny", "none": "Allow"}.get(said, "Allow")
    resource = "arn:aws:execute-api:*:*:other/*" if said == "none" else event["methodArn"].split("/")[0] + "/*"
    statement = {"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource}
    if said == "one path":
        statement["Resource"] = event["methodArn"]
    if said == "invalid effect":
        statement["Effect"] = "Maybe"
    answer["policyDocument"] = {"Version": "2012-10-17", "Statement": [statement]}
    if said == "no principal":
        del answer["principalId"]
    if said == "nested context":
        answer["context"] = {"a": {"b": 1}}
    return answer
"""


class Api:
    """A REST API whose methods /one and /two ask an authorizer, or IAM."""

    def __init__(
        self,
        engine: Engine,
        echo: Function,
        judge: Function,
        kind: str = "CUSTOM",
        *,
        milliseconds: int = 29000,
        **authorizer: Any,
    ) -> None:
        self.client, self.engine = engine.client("apigateway"), engine
        for one in {echo.name: echo, judge.name: judge}.values():
            one.allow("apigateway")
        self.id = self.client.create_rest_api(name=f"api-{uuid.uuid4().hex[:8]}")["id"]
        root = self.client.get_resources(restApiId=self.id)["items"][0]["id"]
        uri = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{}/invocations"
        options: dict[str, Any] = {}
        if kind == "CUSTOM":
            settings = {"type": "TOKEN", "identitySource": "method.request.header.Authorization"} | authorizer
            made = self.client.create_authorizer(
                restApiId=self.id, name="judge", authorizerUri=uri.format(judge.arn), **settings
            )
            options = {"authorizerId": made["id"]}
        elif kind == "COGNITO_USER_POOLS":
            pool = "arn:aws:cognito-idp:us-east-1:000000000000:userpool/us-east-1_abc"
            made = self.client.create_authorizer(
                restApiId=self.id, name="pool", type=kind, providerARNs=[pool],
                identitySource="method.request.header.Authorization",
            )  # fmt: skip
            options = {"authorizerId": made["id"]}
        for part in ("one", "two"):
            resource = self.client.create_resource(restApiId=self.id, parentId=root, pathPart=part)["id"]
            where = {"restApiId": self.id, "resourceId": resource, "httpMethod": "GET"}
            self.client.put_method(**where, authorizationType=kind, **options)
            self.client.put_integration(
                **where,
                type="AWS_PROXY",
                integrationHttpMethod="POST",
                uri=uri.format(echo.arn),
                timeoutInMillis=milliseconds,
            )
        self.client.create_deployment(restApiId=self.id, stageName="v1")

    def url(self, path: str) -> str:
        return f"{self.engine.url}/_aws/execute-api/{self.id}/v1{path}"

    def get(self, path: str = "/one", **headers: str) -> tuple[int, Any, str]:
        """Status, body and kind of error."""
        request = urllib.request.Request(self.url(path), headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read()), ""
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read()), error.headers.get("x-amzn-ErrorType", "")

    def token(self, token: str, path: str = "/one") -> tuple[int, Any, str]:
        return self.get(path, Authorization=token)


@pytest.fixture
def api(engine: Engine, function: Callable[..., Function]) -> Callable[..., Api]:
    return lambda *args, **options: Api(engine, function(ECHO), function(JUDGE), *args, **options)


def test_a_lambda_authorizer_decides_and_its_context_reaches_the_function(api: Callable[..., Api]) -> None:
    one = api()
    status, seen, _ = one.token("allow")
    assert status == 200
    assert seen["principalId"] == "me"
    assert (seen["n"], seen["yes"]) == ("1", "true")
    assert seen["arn"] == f"arn:aws:execute-api:us-east-1:000000000000:{one.id}/v1/GET/one"
    forbidden = "User is not authorized to access this resource"
    assert one.token("deny") == (403, {"Message": f"{forbidden} with an explicit deny"}, "AccessDeniedException")
    assert one.token("none") == (403, {"Message": forbidden}, "AccessDeniedException")
    assert one.token("unauthorized") == (401, {"message": "Unauthorized"}, "UnauthorizedException")
    assert one.get() == (401, {"message": "Unauthorized"}, "UnauthorizedException")


@pytest.mark.parametrize("said", ["broken", "nothing", "invalid effect", "no principal", "nested context"])
def test_an_authorizer_that_does_not_answer_as_it_has_to_is_an_error_of_the_api(
    api: Callable[..., Api], said: str
) -> None:
    assert api().token(said) == (500, {"message": None}, "AuthorizerConfigurationException")


def test_an_answer_is_kept_for_its_time_for_every_method_of_the_stage(api: Callable[..., Api]) -> None:
    one = api(authorizerResultTtlInSeconds=2)
    first = one.token("allow")[1]["call"]
    assert one.token("allow")[1]["call"] == one.token("allow", "/two")[1]["call"] == first
    assert one.token("allow too")[1]["call"] != first
    eventually(lambda: one.token("allow")[1]["call"] != first, 10, "the answer is too old")
    # A policy for one path refuses the other one while it is kept.
    assert one.token("one path")[0] == 200
    assert one.token("one path", "/two")[0] == 403


def test_kept_answers_are_flushed_and_none_is_kept_without_a_time(api: Callable[..., Api]) -> None:
    one, without = api(), api(authorizerResultTtlInSeconds=0)
    first = one.token("allow")[1]["call"]
    assert one.token("allow")[1]["call"] == first
    one.client.flush_stage_authorizers_cache(restApiId=one.id, stageName="v1")
    assert one.token("allow")[1]["call"] != first
    assert without.token("allow")[1]["call"] != without.token("allow")[1]["call"]


def test_a_token_of_the_wrong_form_is_refused_without_a_call(api: Callable[..., Api]) -> None:
    one = api(identityValidationExpression="allow [a-z]+")
    assert one.token("allow me")[0] == 200
    assert one.token("allow 1") == (401, {"message": "Unauthorized"}, "UnauthorizedException")


def test_a_request_authorizer_wants_all_its_sources(api: Callable[..., Api]) -> None:
    sources = "method.request.header.Who, method.request.querystring.q"
    one = api(type="REQUEST", identitySource=sources)
    assert one.get("/one?q=1", Who="allow")[0] == 200
    assert one.get("/one", Who="allow")[0] == 401
    assert one.get("/one?q=1")[0] == 401
    assert one.get("/one?q=1", Who="deny")[0] == 403


def signed(one: Api, service: str = "execute-api", region: str = "us-east-1", key: str = "test") -> dict[str, str]:
    request = AWSRequest("GET", one.url("/one"))
    SigV4Auth(Credentials(key, "test"), service, region).add_auth(request)
    return dict(request.headers.items())


def test_a_method_with_iam_wants_a_signature_of_now_for_this_service(api: Callable[..., Api]) -> None:
    one = api("AWS_IAM")
    assert one.get() == (403, {"message": "Missing Authentication Token"}, "MissingAuthenticationTokenException")
    assert one.token("Bearer x")[0::2] == (403, "IncompleteSignatureException")
    assert one.get(**signed(one, service="s3"))[0::2] == (403, "InvalidSignatureException")
    assert one.get(**signed(one, region="eu-west-1"))[0::2] == (403, "InvalidSignatureException")
    headers = signed(one)
    assert one.get(**headers)[0] == 200
    old = datetime.now(UTC) - timedelta(minutes=6)
    day = headers["X-Amz-Date"][:8]
    late = headers | {"X-Amz-Date": f"{old:%Y%m%dT%H%M%SZ}"}
    late["Authorization"] = late["Authorization"].replace(day, f"{old:%Y%m%d}")
    assert one.get(**late)[0::2] == (403, "ExpiredTokenException")


def test_a_role_needs_a_policy_to_invoke_a_method_with_iam(
    api: Callable[..., Api], engine: Engine, function: Callable[..., Function]
) -> None:
    one = api("AWS_IAM")
    caller = f"""
import json, os, urllib.request, urllib.error
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.session import Session
def handler(event, context):
    request = AWSRequest("GET", {one.url("/one")!r})
    SigV4Auth(Session().get_credentials(), "execute-api", "us-east-1").add_auth(request)
    try:
        call = urllib.request.Request(request.url, headers=dict(request.headers.items()))
        with urllib.request.urlopen(call) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
"""
    iam, name = engine.client("iam"), f"role-{uuid.uuid4().hex[:8]}"
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = {"Version": "2012-10-17", "Statement": [trust]}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))["Role"]["Arn"]
    deployed = function(caller, Role=role)

    def answer() -> Any:
        return deployed.invoke()["payload"]

    status, body = answer()
    assert status == 403
    assert "is not authorized to perform: execute-api:Invoke" in body
    allowed = {
        "Effect": "Allow",
        "Action": "execute-api:Invoke",
        "Resource": f"arn:aws:execute-api:*:*:{one.id}/v1/GET/one",
    }
    document = {"Version": "2012-10-17", "Statement": [allowed]}
    iam.put_role_policy(RoleName=name, PolicyName="invoke", PolicyDocument=json.dumps(document))
    assert answer()[0] == 200


def test_a_user_pool_is_refused_clearly(api: Callable[..., Api]) -> None:
    one = api("COGNITO_USER_POOLS")
    assert one.get() == (401, {"message": "Unauthorized"}, "UnauthorizedException")
    status, body, kind = one.token("eyJhbGciOiJIUzI1NiJ9.e30.x")
    assert (status, kind) == (500, "AuthorizerConfigurationException")
    assert "no Cognito" in body["message"]


def test_an_integration_that_takes_too_long_is_answered_with_504(
    engine: Engine, function: Callable[..., Function]
) -> None:
    """https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html"""
    slow = function("import time\ndef handler(event, context):\n    time.sleep(4)\n", Timeout=10)
    one = Api(engine, slow, slow, "AWS_IAM", milliseconds=1500)
    assert one.get(**signed(one)) == (504, {"message": "Endpoint request timed out"}, "InternalServerErrorException")


@pytest.mark.parametrize(
    "answer", ["None", "'text'", "[1]", "{'statusCode': 'x'}", "{'other': 1}", "1 / 0", "{'headers': []}"]
)
def test_a_function_that_does_not_answer_as_a_proxy_has_to_is_a_502(
    engine: Engine, function: Callable[..., Function], answer: str
) -> None:
    """https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html"""
    wrong = function(f"def handler(event, context):\n    return {answer}\n")
    one = Api(engine, wrong, wrong, "AWS_IAM")
    assert one.get(**signed(one)) == (502, {"message": "Internal server error"}, "InternalServerErrorException")
