"""A caller that assumes a role has its rights within its permissions boundary, and nothing else.

https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.engine_harness import ROLE, Engine, zipped

ACCOUNT = "000000000000"
OPEN = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


class Someone:
    """A role with these rights, within this boundary, and a session of it."""

    def __init__(self, engine: Engine, *rights: dict[str, Any], boundary: dict[str, Any] | None = None) -> None:
        self._engine, iam = engine, engine.client("iam")
        self.name = f"r-{uuid.uuid4().hex[:10]}"
        more: dict[str, str] = {}
        if boundary:
            made = iam.create_policy(PolicyName=f"{self.name}-boundary", PolicyDocument=document(boundary))
            more["PermissionsBoundary"] = self.boundary = made["Policy"]["Arn"]
        self.arn = iam.create_role(RoleName=self.name, AssumeRolePolicyDocument=document(OPEN), **more)["Role"]["Arn"]
        if rights:
            iam.put_role_policy(RoleName=self.name, PolicyName="rights", PolicyDocument=document(*rights))

    def client(self, service: str) -> Any:
        keys = self._engine.client("sts").assume_role(RoleArn=self.arn, RoleSessionName="me")["Credentials"]
        return with_keys(self._engine, service, keys)


def with_keys(engine: Engine, service: str, keys: dict[str, str]) -> Any:
    return boto3.client(
        service, endpoint_url=engine.url, region_name="us-east-1", aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys["SessionToken"],
    )  # fmt: skip


def outcome(call: Callable[..., Any], **parameters: Any) -> str:
    """The word ok, or the code of the error and whether an explicit Deny was the reason."""
    try:
        call(**parameters)
    except ClientError as error:
        denied = " (explicit deny)" if "explicit deny" in error.response["Error"]["Message"] else ""
        return str(error.response["Error"]["Code"]) + denied
    return "ok"


def topic() -> str:
    return f"t-{uuid.uuid4().hex[:10]}"


def test_a_session_has_the_rights_of_its_role_and_nothing_else(engine: Engine) -> None:
    someone = Someone(engine, {"Effect": "Allow", "Action": "sns:CreateTopic", "Resource": "*"})
    assert outcome(someone.client("sns").create_topic, Name=topic()) == "ok"
    assert outcome(someone.client("sns").list_topics) == "AuthorizationError"
    assert outcome(someone.client("sqs").list_queues) == "AccessDenied"
    assert someone.client("sts").get_caller_identity()["Arn"].endswith(f":assumed-role/{someone.name}/me")


@pytest.mark.parametrize(
    ("right", "limit", "said"),
    [
        ("sns:*", "sns:CreateTopic", "ok"),
        ("sns:*", "sqs:*", "AuthorizationError"),
        ("sqs:*", "sns:*", "AuthorizationError"),  # a boundary gives nothing
    ],
)
def test_a_right_counts_within_the_boundary(engine: Engine, right: str, limit: str, said: str) -> None:
    someone = Someone(
        engine,
        {"Effect": "Allow", "Action": right, "Resource": "*"},
        boundary={"Effect": "Allow", "Action": limit, "Resource": "*"},
    )
    assert outcome(someone.client("sns").create_topic, Name=topic()) == said


def test_a_boundary_denies_and_its_change_holds_at_once(engine: Engine) -> None:
    iam = engine.client("iam")
    someone = Someone(engine, EVERYTHING, boundary=EVERYTHING | {"Effect": "Deny"})
    sns = someone.client("sns")
    assert outcome(sns.create_topic, Name=topic()) == "AuthorizationError (explicit deny)"
    iam.delete_role_permissions_boundary(RoleName=someone.name)
    assert outcome(sns.create_topic, Name=topic()) == "ok"
    other = Someone(engine, boundary={"Effect": "Allow", "Action": "sqs:*", "Resource": "*"})
    iam.put_role_permissions_boundary(RoleName=someone.name, PermissionsBoundary=other.boundary)
    assert outcome(sns.create_topic, Name=topic()) == "AuthorizationError"


def test_a_queue_that_lets_the_role_in_does_not_lift_the_boundary_and_one_for_the_session_does(engine: Engine) -> None:
    someone = Someone(engine, boundary={"Effect": "Allow", "Action": "sns:*", "Resource": "*"})
    url = engine.client("sqs").create_queue(QueueName=topic())["QueueUrl"]
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/{someone.name}/me"
    sqs = someone.client("sqs")
    for principal, said in ((someone.arn, "AccessDenied"), (session, "ok")):
        allow = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sqs:*", "Resource": "*"}
        engine.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(allow)})
        assert outcome(sqs.send_message, QueueUrl=url, MessageBody="x") == said


def test_a_condition_on_the_boundary_of_the_role_that_is_made_or_changed(engine: Engine) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html#access_policies_boundaries-delegate"""
    limit = Someone(engine, boundary=EVERYTHING).boundary
    without = {"StringNotEquals": {"iam:PermissionsBoundary": limit}}
    actions = ["iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"]
    refuse = {"Effect": "Deny", "Action": actions, "Resource": "*", "Condition": without}
    iam = Someone(engine, EVERYTHING, refuse).client("iam")
    role = {"RoleName": f"r-{uuid.uuid4().hex[:10]}", "AssumeRolePolicyDocument": document(OPEN)}
    assert outcome(iam.create_role, **role) == "AccessDenied (explicit deny)"
    other = Someone(engine, boundary=EVERYTHING)
    assert outcome(iam.create_role, **role, PermissionsBoundary=other.boundary) == "AccessDenied (explicit deny)"
    assert outcome(iam.create_role, **role, PermissionsBoundary=limit) == "ok"
    rights = {"PolicyName": "rights", "PolicyDocument": document(EVERYTHING)}
    assert outcome(iam.put_role_policy, RoleName=role["RoleName"], **rights) == "ok"
    assert outcome(iam.put_role_policy, RoleName=other.name, **rights) == "AccessDenied (explicit deny)"


def test_who_gives_a_function_a_role_must_be_allowed_to_pass_it(engine: Engine) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html"""
    create = {"Effect": "Allow", "Action": "lambda:*", "Resource": "*"}
    function = {
        "Runtime": "python3.13", "Handler": "handler.handler", "Role": ROLE,
        "Code": {"ZipFile": zipped({"handler.py": "def handler(*_): pass"})},
    }  # fmt: skip
    to = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    own = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": ROLE, "Condition": to}
    for rights, said in (((create,), "AccessDeniedException"), ((create, own), "ok")):
        client = Someone(engine, *rights).client("lambda")
        assert outcome(client.create_function, FunctionName=topic(), **function) == said


def test_api_gateways_actions_are_methods_on_paths(engine: Engine) -> None:
    """https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonapigatewaymanagement.html"""
    resource = "arn:aws:apigateway:us-east-1::/restapis"
    gateway = Someone(engine, {"Effect": "Allow", "Action": "apigateway:GET", "Resource": resource}).client(
        "apigateway"
    )
    assert outcome(gateway.get_rest_apis) == "ok"
    assert outcome(gateway.create_rest_api, name="x") == "AccessDeniedException"
    assert outcome(gateway.get_api_keys) == "AccessDeniedException"


# -- web identity ----------------------------------------------------------------------------------------------------


def token(**claims: Any) -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'RS256'})}.{part({'exp': time.time() + 600} | claims)}.c2lnbmF0dXJl"


def test_a_token_opens_the_role_whose_trust_its_claims_meet(engine: Engine) -> None:
    """https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html"""
    iam, issuer = engine.client("iam"), f"{uuid.uuid4().hex[:10]}.example.com"
    provider = iam.create_open_id_connect_provider(Url=f"https://{issuer}", ClientIDList=["sts.amazonaws.com"])
    meant = {f"{issuer}:sub": "repo:acme/data:environment:dev", f"{issuer}:aud": "sts.amazonaws.com"}
    trust = {
        "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": provider["OpenIDConnectProviderArn"]}, "Condition": {"StringEquals": meant},
    }  # fmt: skip
    someone = Someone(engine, {"Effect": "Allow", "Action": "sns:CreateTopic", "Resource": "*"})
    iam.update_assume_role_policy(RoleName=someone.name, PolicyDocument=document(trust))
    claims = {"iss": f"https://{issuer}", "sub": "repo:acme/data:environment:dev", "aud": "sts.amazonaws.com"}

    def assume(text: str, role: str = someone.arn) -> str:
        sts = engine.client("sts")
        return outcome(
            sts.assume_role_with_web_identity, RoleArn=role, RoleSessionName="job", WebIdentityToken=text
        )  # fmt: skip

    assert assume(token(**claims)) == "ok"
    assert assume(token(**claims | {"sub": "repo:acme/data:ref:refs/heads/main"})) == "AccessDenied"
    assert assume(token(**claims | {"aud": "else"})) == "AccessDenied"
    assert assume(token(**claims), f"arn:aws:iam::{ACCOUNT}:role/no-such-role") == "AccessDenied"
    assert assume(token(**claims | {"iss": "https://else.example.com"})) == "InvalidIdentityToken"
    assert assume(token(**claims | {"exp": time.time() - 1})) == "ExpiredTokenException"
    assert assume("no.token") == assume("a.b.c") == "InvalidIdentityToken"
    keys = engine.client("sts").assume_role_with_web_identity(
        RoleArn=someone.arn, RoleSessionName="job", WebIdentityToken=token(**claims)
    )["Credentials"]
    assert outcome(with_keys(engine, "sns", keys).create_topic, Name=topic()) == "ok"
    assert outcome(with_keys(engine, "sns", keys).list_topics) == "AuthorizationError"
