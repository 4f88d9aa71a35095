"""Least privilege, proven: what the roles of the stack used in this session against what their policies allow.

Runs after the other suites, for it judges what they did. The engine records every action and resource that a function,
a state machine, or Lambda in a function's name used; policies are read from IAM as they were deployed.
"""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sluice.engine.instance import Instance
from sluice.paths import SLUICE_DIR
from sluice.pipeline.stack import Stack
from sluice_ext.iam import policy
from tests.conftest import HALVES
from tests.support import thorough

E2E = Path(__file__).parents[1]

# What a role holds although no scenario uses it: end of the role's name, pattern of actions, why. Keep it short.
HELD_FOR_LATER = [
    ("", "xray:*", "sent by the X-Ray daemon of Lambda and by Step Functions; the engine has neither"),
    # https://docs.aws.amazon.com/powertools/python/latest/utilities/idempotency/#required-resources
    ("-ingest", "dynamodb:GetItem", "Powertools reads a record when a refused write did not bring it along"),
    ("-ingest", "sqs:SendMessage", "to its own queue, of a CSV of gigabytes: tests/unit/core/test_ingest_batch.py"),
    ("-replay", "dynamodb:Scan", "of a ledger to be indexed: tests/contract/core/test_ledger_indexes.py"),
    ("", "ec2:*", "Lambda connects a function to its subnets with them; the engine has no network to connect it to"),
    # https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html#cloudwatch-iam-policy
    ("-workflow", "logs:*", "AWS sets the workflow's log delivery up with them; the engine writes its log by itself"),
    # https://docs.aws.amazon.com/step-functions/latest/dg/connect-glue.html
    ("-workflow", "glue:*", "Step Functions follows and stops a job's run with them; the engine does not need all"),
    ("-quality-audit-job", "*", "Glue creates the log of a run with them; in containers no Glue job runs"),
    ("-taxi-ingest-job", "logs:*", "Glue creates the log of a run with them"),
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    ("-taxi-ingest-job", "s3:ListBucket", "S3 answers 404 and not 403 for what is not there"),
    ("-taxi-load-job", "s3:ListBucket", "the same, for a report that is not there"),
    ("-taxi-steps", "s3:ListBucket", "the same"),
    *((end, "s3:ListBucket", "the same") for end in ("-load", "-feedback", "-checkins", "-quality-audit")),
    *(
        (end, "s3:ListBucket", "the same, for a file that no run has written")
        for end in ("-transform", "-quality-publish")
    ),
    # https://docs.aws.amazon.com/redshift/latest/dg/copy-parameters-authorization.html
    ("-taxi-copy", "s3:ListBucket", "COPY asks for it on AWS; with a manifest the engine lists nothing"),
    ("-taxi-transform-job", "*", "the job runs where Java and Spark are"),
    ("-taxi-load-job", "logs:*", "Glue creates the log of a run with them"),
    ("-compaction-job", "*", "the job runs where Java and Spark are; tests/contract/lake/test_compaction_job.py"),
]


@dataclass(frozen=True)
class Role:
    """A role of the stack: its policies' statements, and (action, resource, condition keys) of all that it used."""

    name: str
    statements: list[dict[str, Any]]
    used: set[tuple[str, str, tuple[tuple[str, str], ...]]]

    def lacks(self) -> set[str]:
        """What it used and its policies do not allow."""
        tls = {"aws:securetransport": "true"}
        return {
            f"{self.name} used {action} on {resource or 'some resource'}"
            for action, resource, keys in self.used
            if policy.decide(self.statements, action, resource, tls | dict(keys)) != policy.ALLOWED
        }

    def unused(self) -> set[str]:
        """What its policies allow and it never used: an action, or a resource of an action."""
        found = set()
        for statement in self.statements:
            if statement["Effect"] != "Allow":
                continue
            for action in policy.listed(statement["Action"]):
                if self.excused(action):
                    continue
                for pattern in policy.listed(statement["Resource"]):
                    one = {"Action": action, "Resource": pattern}
                    covered = (policy.covers_action(one, a) and policy.covers_resource(one, r) for a, r, _ in self.used)
                    if not any(covered):
                        found.add(f"{self.name} holds {action} on {pattern}")
        return found

    def excused(self, action: str) -> bool:
        """Whether it is on the list of exceptions."""
        return any(self.name.endswith(end) and policy.matches(held, action) for end, held, _ in HELD_FOR_LATER)


@pytest.fixture(scope="module")
def roles(stack: Stack, instance: Instance) -> list[Role]:
    """The roles of the stack, with the engine's record of what they did."""
    info = instance.info()
    assert info is not None
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{info.port}/_sluice/roles", timeout=30) as response:
            record = json.load(response)
    except urllib.error.HTTPError:
        pytest.skip("the running engine has no record of roles; `make e2e` starts one of its own that does")
    assert record["dropped"] == 0
    iam = stack.client("iam")
    prefix = stack["ingest_function"].removesuffix("ingest")
    found = []
    for page in iam.get_paginator("list_roles").paginate():
        for role in page["Roles"]:
            if role["RoleName"].startswith(prefix):
                uses = {
                    (use["action"], use["resource"], tuple(sorted(use["keys"].items())))
                    for use in record["roles"].get(role["Arn"], [])
                }
                found.append(Role(role["RoleName"], statements(iam, role["RoleName"]), uses))
    assert {"ingest", "transform"} <= {role.name.removeprefix(prefix) for role in found}
    return found


def statements(iam: Any, role: str) -> list[dict[str, Any]]:
    """Of all its policies, inline and attached, as they are deployed."""
    documents = [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        version = iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]["DefaultVersionId"]
        answer = iam.get_policy_version(PolicyArn=attached["PolicyArn"], VersionId=version)
        documents.append(answer["PolicyVersion"]["Document"])
    return [dict(statement) for document in documents for statement in policy.statements(document)]


def ran_whole(session: pytest.Session) -> bool:
    """Whether every test of every end-to-end suite but the thorough ones ran (and passed) before this one."""
    config = session.config
    chosen = config.option.keyword or config.option.markexpr or config.option.deselect
    chosen = chosen or any("::" in argument for argument in config.invocation_params.args)
    items = (*session.items, *thorough.left_out(config))
    collected = {item.path for item in items if item.path.is_relative_to(E2E)}
    return not chosen and collected == set(E2E.rglob("test_*.py")) and not session.testsfailed


def stable(what: str) -> str:
    """Without what differs between two deployments of one stack: the end of a secret's ARN, an id."""
    what = re.sub(r"(:secret:\S+)-\w{6}\b", r"\1", what)
    return re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "ID", what)


def record_file(half: str) -> Path:
    """Where a half of this session records what its roles held and did not use."""
    return SLUICE_DIR / "cache" / "pytest" / f"unused-{os.environ['PYTEST_XDIST_TESTRUNUID']}-{half}.json"


def record(half: str, unused: set[str]) -> None:
    """In one step: a file that is there is whole."""
    record_file(half).parent.mkdir(parents=True, exist_ok=True)
    whole = record_file(half).with_suffix(".part")
    whole.write_text(json.dumps(sorted(unused)))
    whole.rename(record_file(half))


def recorded(half: str) -> set[str] | None:
    """None when that half has recorded nothing."""
    try:
        return set(json.loads(record_file(half).read_text()))
    except FileNotFoundError:
        return None


@pytest.mark.usefixtures("half")
def test_no_role_lacks_what_it_used(roles: list[Role]) -> None:
    assert sorted(what for role in roles for what in role.lacks()) == []


def test_no_role_holds_what_no_scenario_used(
    roles: list[Role], half: str, request: pytest.FixtureRequest, record_property: Any
) -> None:
    if not ran_whole(request.session):
        pytest.skip("only a whole run of tests/e2e without failures uses everything")
    unused = {stable(what) for role in roles for what in role.unused()}
    if half in HALVES:
        record(half, unused)
        found = [recorded(other) for other in HALVES]
        if None in found:
            pytest.skip("judged with the other half of the suites, which has not ended, or has failures")
        unused = set.intersection(*(one for one in found if one is not None))
    assert sorted(unused) == []
    uses = sum(len({action for action, *_ in role.used}) for role in roles)
    record_property("figure", f"privileges: {len(roles)} roles used {uses} actions, all allowed; none is held unused")


def test_the_comparison_finds_both(roles: list[Role]) -> None:
    """A right taken away, and one too many, are found in the record of this very session."""
    ingest = next(role for role in roles if role.name.endswith("ingest"))
    if not ingest.used:
        pytest.skip("nothing has run in this session")
    less = [s for s in ingest.statements if "dynamodb:PutItem" not in policy.listed(s["Action"])]
    assert Role(ingest.name, less, ingest.used).lacks()
    more = [*ingest.statements, {"Effect": "Allow", "Action": "s3:DeleteBucket", "Resource": "arn:aws:s3:::some"}]
    surplus = Role(ingest.name, more, ingest.used).unused() - ingest.unused()
    assert surplus == {f"{ingest.name} holds s3:DeleteBucket on arn:aws:s3:::some"}
