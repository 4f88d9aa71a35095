"""infra/bootstrap: who may take the roles, and that the apply role finds no way around its boundary.

The policies come from a plan that contacts nothing; the engine's evaluator of IAM policies decides on them.
https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sluice.terraform.aws import OFFLINE_PROVIDER
from sluice_ext.iam.policy import ALLOWED, DENIED, decide, listed, statements
from tests.infra.conftest import MockRun
from tests.infra.planning import INFRA, copy_infra, environment, one_provider, terraform

ACCOUNT = "123456789012"
IAM = f"arn:aws:iam::{ACCOUNT}"
BOUNDARY = f"{IAM}:policy/sluice-prod-boundary"
STATE = "arn:aws:s3:::sluice-prod-state"
VARIABLES = {"env": "prod", "region": "eu-west-1", "account_id": ACCOUNT, "state_bucket": "sluice-prod-state",
             "repository": "acme/data"}  # fmt: skip


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Planned values by address."""
    home = tmp_path_factory.mktemp("bootstrap")
    folder = copy_infra(home / "infra") / "bootstrap"
    (folder / "offline_override.tf").write_text(OFFLINE_PROVIDER)
    env = environment(home)
    made = terraform(folder, "init", "-input=false", "-no-color", env=env)
    assert made.returncode == 0, made.stderr
    words = [f"-var={name}={value}" for name, value in VARIABLES.items()]
    with one_provider(folder, env) as attached:
        made = terraform(folder, "plan", "-input=false", "-no-color", "-out=plan", *words, env=attached)
        assert made.returncode == 0, made.stderr
        shown = json.loads(terraform(folder, "show", "-json", "plan", env=attached).stdout)
    return {one["address"]: one["change"]["after"] for one in shown["resource_changes"]}


def document(planned: dict[str, dict[str, Any]], address: str, name: str = "policy") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(planned[address][name])
    return found


class Role:
    """A role's policy within its boundary: both must allow a call."""

    def __init__(self, planned: dict[str, dict[str, Any]], name: str, boundary: str) -> None:
        self.policy = statements(document(planned, f"aws_iam_role_policy.{name}"))
        self.boundary = statements(document(planned, f"aws_iam_policy.{boundary}"))

    def may(self, action: str, resource: str, **context: str) -> bool:
        keys = {name.replace("__", ":"): value for name, value in context.items()}
        found = [decide(policy, action, resource, keys) for policy in (self.policy, self.boundary)]
        return found == [ALLOWED, ALLOWED]


@pytest.fixture(scope="module")
def apply(planned: dict[str, dict[str, Any]]) -> Role:
    return Role(planned, "apply", "deployer_boundary")


@pytest.fixture(scope="module")
def plan(planned: dict[str, dict[str, Any]]) -> Role:
    return Role(planned, "plan", "deployer_boundary")


def test_only_jobs_of_the_repository_take_the_roles(planned: dict[str, dict[str, Any]]) -> None:
    """https://docs.github.com/en/actions/reference/security/oidc"""
    wanted = {
        "plan": ["repo:acme/data:environment:prod", "repo:acme/data:pull_request"],
        "apply": ["repo:acme/data:environment:prod"],
    }
    for name, subjects in wanted.items():
        trust = document(planned, f'aws_iam_role.deployer["sluice-prod-{name}"]', "assume_role_policy")
        [statement] = trust["Statement"]
        assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
        assert statement["Principal"] == {"Federated": f"{IAM}:oidc-provider/token.actions.githubusercontent.com"}
        assert statement["Condition"] == {
            "StringEquals": {
                "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
                "token.actions.githubusercontent.com:sub": subjects,
            }
        }
    provider = planned["aws_iam_openid_connect_provider.github[0]"]
    assert (provider["url"], provider["client_id_list"]) == (
        "https://token.actions.githubusercontent.com", ["sts.amazonaws.com"],
    )  # fmt: skip


@pytest.mark.parametrize("repository", ["*", "acme/*", "acme", "acme/data:environment:prod", "a/b/c", "", "acme/da ta"])
def test_a_repository_with_a_wildcard_or_a_colon_is_refused(repository: str) -> None:
    text = (INFRA / "bootstrap/variables.tf").read_text()
    [pattern] = re.findall(r'regex\("([^"]+)", var\.repository\)', text)
    assert re.fullmatch(pattern, repository) is None
    assert re.fullmatch(pattern, "acme/data.platform_2")


ROLE_CHANGES = ("iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary")
ROLE = f"{IAM}:role/sluice-prod-ingest"


@pytest.mark.parametrize("action", ROLE_CHANGES)
def test_the_apply_role_makes_no_role_without_the_boundary(apply: Role, action: str) -> None:
    assert apply.may(action, ROLE, iam__permissionsboundary=BOUNDARY)
    assert not apply.may(action, ROLE)
    assert not apply.may(action, ROLE, iam__permissionsboundary=f"{IAM}:policy/other")
    assert not apply.may(action, ROLE, iam__permissionsboundary="arn:aws:iam::aws:policy/AdministratorAccess")


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:DeleteRolePermissionsBoundary", ROLE),
        *((action, policy) for policy in (BOUNDARY, f"{IAM}:policy/sluice-prod-deployer-boundary") for action in (
            "iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion", "iam:DeletePolicyVersion", "iam:DeletePolicy")),
        *((action, f"{IAM}:role/sluice-prod-{name}") for name in ("plan", "apply") for action in (
            "iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:PassRole",
            "iam:PutRolePermissionsBoundary", "iam:DeleteRole")),
        ("iam:AttachRolePolicy", ROLE),
        ("iam:CreateUser", f"{IAM}:user/x"),
        ("iam:CreateAccessKey", f"{IAM}:user/x"),
        ("iam:CreateRole", f"{IAM}:role/other"),
        ("iam:PassRole", f"{IAM}:role/other"),
        ("iam:UpdateOpenIDConnectProviderThumbprint", f"{IAM}:oidc-provider/token.actions.githubusercontent.com"),
        ("sts:AssumeRole", ROLE),
        ("s3:DeleteBucket", STATE),
        ("s3:PutBucketPolicy", STATE),
        ("s3:PutBucketVersioning", STATE),
        ("s3:DeleteObjectVersion", f"{STATE}/sluice/prod/terraform.tfstate"),
    ],
)  # fmt: skip
def test_the_apply_role_has_no_way_around_it(apply: Role, action: str, resource: str) -> None:
    assert not apply.may(action, resource, iam__permissionsboundary=BOUNDARY)


def test_the_boundary_holds_whatever_else_the_apply_role_gets(planned: dict[str, dict[str, Any]], apply: Role) -> None:
    apply_as_admin = Role.__new__(Role)
    apply_as_admin.policy = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
    apply_as_admin.boundary = apply.boundary
    assert not apply_as_admin.may("iam:CreateRole", ROLE)
    assert not apply_as_admin.may("iam:CreatePolicyVersion", BOUNDARY)
    assert not apply_as_admin.may("iam:CreateUser", f"{IAM}:user/x")


# Terraform's types by their beginning, the longest first, and the service whose calls make them.
SERVICES = {
    "api_gateway": "apigateway", "cloudwatch_event": "events", "cloudwatch_log": "logs", "cloudwatch": "cloudwatch",
    "db": "rds", "rds": "rds", "redshiftserverless": "redshift-serverless", "sfn": "states", "athena": "athena",
    "dynamodb": "dynamodb", "glue": "glue", "lambda": "lambda", "s3": "s3", "scheduler": "scheduler",
    "secretsmanager": "secretsmanager", "sns": "sns", "sqs": "sqs", "default_security": "ec2", "route_table": "ec2",
    "security_group": "ec2", "subnet": "ec2", "vpc": "ec2",
}  # fmt: skip
# Types whose calls the apply role has one by one: what makes, reads and removes them.
CALLS = {
    "aws_iam_role": ["CreateRole", "GetRole", "DeleteRole", "TagRole", "UpdateAssumeRolePolicy", "PassRole",
                     "ListInstanceProfilesForRole", "ListRolePolicies", "ListAttachedRolePolicies"],
    "aws_iam_role_policy": ["PutRolePolicy", "GetRolePolicy", "DeleteRolePolicy"],
    "aws_iam_role_policy_attachment": ["AttachRolePolicy", "ListAttachedRolePolicies", "DetachRolePolicy"],
    "aws_wafv2_web_acl_association": ["AssociateWebACL", "GetWebACLForResource", "DisassociateWebACL"],
}  # fmt: skip


def test_the_apply_role_makes_every_type_of_resource_of_every_branch(apply: Role, plan: Role) -> None:
    """https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html"""
    types = {
        found
        for path in INFRA.rglob("*.tf")
        if "bootstrap" not in path.parts and ".terraform" not in path.parts
        for found in re.findall(r'^resource "(aws_\w+)"', path.read_text(), re.M)
    }
    assert len(types) > 60
    role = f"{IAM}:role/sluice-prod-api-gateway-logs"
    logs = "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
    keys = {"iam__permissionsboundary": BOUNDARY, "iam__policyarn": logs}
    for one in sorted(types):
        if one in CALLS:
            service = one.split("_")[1]
            wanted = [f"{service}:{call}" for call in CALLS[one]]
        else:
            begins = next((name for name in SERVICES if one.startswith(f"aws_{name}")), "")
            assert begins, f"{one}: which service makes it?"
            wanted = [f"{SERVICES[begins]}:{verb}Something" for verb in ("Create", "Describe", "Delete", "Tag")]
        for action in wanted:
            assert apply.may(action, role if action.startswith("iam:") else "*", **keys), (one, action)
            if re.match(r"\w+:(Get|List|Describe)", action):
                assert plan.may(action, role if action.startswith("iam:") else "*"), (one, action)


def test_the_apply_role_attaches_no_other_policy(apply: Role) -> None:
    role, keys = f"{IAM}:role/sluice-prod-api-gateway-logs", {"iam__permissionsboundary": BOUNDARY}
    for policy in ("arn:aws:iam::aws:policy/AdministratorAccess", f"{IAM}:policy/mine"):
        assert not apply.may("iam:AttachRolePolicy", role, iam__policyarn=policy, **keys)
    for name in ("wafv2:DeleteWebACL", "wafv2:UpdateWebACL"):
        assert not apply.may(name, "*")


def test_plan_reads_settings_and_no_data(plan: Role) -> None:
    state = f"{STATE}/sluice/prod/terraform.tfstate"
    assert plan.may("s3:GetObject", state)
    assert plan.may("s3:PutObject", f"{state}.tflock")
    assert plan.may("lambda:GetFunction", "arn:aws:lambda:eu-west-1:123456789012:function:sluice-prod-ingest")
    assert plan.may("s3:GetBucketPolicy", "arn:aws:s3:::sluice-prod-bronze")
    assert plan.may("s3:GetObject", "arn:aws:s3:::sluice-prod-artifacts-1/functions/core-ingest.zip")
    for action, resource in (
        ("s3:PutObject", state),
        ("s3:GetObject", "arn:aws:s3:::sluice-prod-bronze-1/bronze/shipments/x.jsonl"),
        ("dynamodb:GetItem", "arn:aws:dynamodb:eu-west-1:123456789012:table/sluice-prod-ledger"),
        ("lambda:InvokeFunction", "arn:aws:lambda:eu-west-1:123456789012:function:sluice-prod-ingest"),
        ("sqs:ReceiveMessage", "arn:aws:sqs:eu-west-1:123456789012:sluice-prod-chunks"),
        ("iam:CreateRole", ROLE),
        ("logs:GetLogEvents", "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/sluice-prod-ingest:*"),
    ):
        assert not plan.may(action, resource, iam__permissionsboundary=BOUNDARY), action


def test_the_roles_of_the_stack_reach_no_state_and_no_deployer(planned: dict[str, dict[str, Any]]) -> None:
    boundary = statements(document(planned, "aws_iam_policy.stack_boundary"))
    assert decide(boundary, "s3:GetObject", "arn:aws:s3:::sluice-prod-bronze/x") == ALLOWED
    assert decide(boundary, "s3:GetObject", f"{STATE}/sluice/prod/terraform.tfstate") == DENIED
    assert decide(boundary, "iam:PassRole", f"{IAM}:role/sluice-prod-apply") == DENIED
    assert decide(boundary, "iam:CreateRole", ROLE) != ALLOWED
    assert decide(boundary, "sts:AssumeRole", ROLE) != ALLOWED


def test_every_call_of_the_stacks_roles_is_within_the_boundary(
    planned: dict[str, dict[str, Any]], mock_run: MockRun, mocked_resources: dict[str, dict[str, Any]]
) -> None:
    boundary = statements(document(planned, "aws_iam_policy.stack_boundary"))
    outside = set()
    for resource in mocked_resources.values():
        if resource["type"] == "aws_iam_role_policy":
            for statement in statements(resource["values"]["policy"]):
                actions = listed(statement["Action"])
                resources = listed(statement["Resource"])
                outside |= {
                    one for one in actions for arn in resources
                    if decide(boundary, one, arn) != ALLOWED and one != "iam:PassRole"
                }  # fmt: skip
    assert outside == set()


def test_every_role_of_the_stack_can_have_the_boundary() -> None:
    found = {}
    for path in sorted(INFRA.rglob("*.tf")):
        if "bootstrap" not in path.parts and ".terraform" not in path.parts:
            for name, body in re.findall(r'^resource "aws_iam_role" "(\w+)" {\n(.*?)^}', path.read_text(), re.M | re.S):
                found[f"{path.relative_to(INFRA)}: {name}"] = "permissions_boundary = var." in body
    assert len(found) >= 10
    assert [name for name, has in found.items() if not has] == []


def test_every_call_of_a_block_with_a_role_hands_the_boundary_on() -> None:
    blocks = {
        p.parent.name for p in INFRA.glob("modules/*/variables.tf") if "permissions_boundary_arn" in p.read_text()
    }
    missing = []
    for path in [*INFRA.glob("stack/*.tf"), *INFRA.glob("branches/*/*.tf")]:
        for name, body in re.findall(r'^module "(\w+)" {\n(.*?)^}', path.read_text(), re.M | re.S):
            source = re.search(r'source\s*=\s*"[./]+/modules/(\w+)"', body)
            if source and source[1] in blocks and "permissions_boundary_arn = var." not in body:
                missing.append(f"{path.relative_to(INFRA)}: {name}")
    assert missing == []


def test_the_states_bucket_is_safe(planned: dict[str, dict[str, Any]]) -> None:
    versioning = planned["aws_s3_bucket_versioning.state"]["versioning_configuration"]
    assert [one["status"] for one in versioning] == ["Enabled"]
    [rule] = planned["aws_s3_bucket_server_side_encryption_configuration.state"]["rule"]
    assert rule["apply_server_side_encryption_by_default"][0]["sse_algorithm"] == "AES256"
    block = planned["aws_s3_bucket_public_access_block.state"]
    names = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
    assert [block[name] for name in names] == [True] * 4
    assert "prevent_destroy = true" in (INFRA / "bootstrap/state.tf").read_text()


def test_policies_fit_iams_sizes(planned: dict[str, dict[str, Any]]) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
    for address, limit in (("aws_iam_policy.stack_boundary", 6144), ("aws_iam_policy.deployer_boundary", 6144),
                           ("aws_iam_role_policy.plan", 10240), ("aws_iam_role_policy.apply", 10240)):  # fmt: skip
        assert len(json.dumps(document(planned, address), separators=(",", ":"))) <= limit * 0.9, address


@pytest.mark.parametrize("env", sorted(path.stem for path in (INFRA / "envs").glob("*.tfvars")))
def test_every_environment_has_its_committed_backend(env: str) -> None:
    text = Path(INFRA, "envs", f"{env}.s3.tfbackend").read_text()
    assert re.findall(r'^key\s+= "(.*)"$', text, re.M) == [f"sluice/{env}/terraform.tfstate"]
    assert re.findall(r"^use_lockfile = true$", text, re.M)
    assert re.findall(r"^encrypt\s+= true$", text, re.M)
