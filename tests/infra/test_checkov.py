"""checkov over the plan of prod with every branch on: each finding is repaired, or has a reason here.

A reason whose check finds nothing any more is refused, so the list stays as short as it can be.
"""

import json
import os
import subprocess
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.infra.planning import ENVS, offline_plan
from tests.support import client_environments

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not os.environ.get("SCAN"),
        reason="checkov has an environment of 270 MB of its own: `make infra-test` makes it and runs this",
    ),
]

LOCK = Path(__file__).parent / "checkov.txt"


@dataclass(frozen=True)
class Unfollowed:
    """Why a check is not followed, for resources whose address fits the pattern (``*``: any characters)."""

    check: str
    reason: str
    resources: str = "*"


_OWN_KEY = (
    "data at rest is encrypted with AWS's key; `kms_key_arn` sets a key of your own for buckets, tables and database"
)
_BY_VARIABLE = "a variable sets it, because it costs money or needs something that the account has"

EXCEPTIONS = (
    # Keys of one's own
    Unfollowed("CKV_AWS_119", _OWN_KEY, "*aws_dynamodb_table.*"),
    Unfollowed("CKV_AWS_145", _OWN_KEY, "*aws_s3_bucket.this"),
    Unfollowed("CKV_AWS_149", _OWN_KEY, "*aws_secretsmanager_secret.role*"),
    Unfollowed("CKV_AWS_327", _OWN_KEY, "*aws_rds_cluster.this"),
    Unfollowed("CKV_AWS_282", _OWN_KEY, "module.taxi*aws_redshiftserverless_namespace.this"),
    Unfollowed("CKV_AWS_195", "a job writes to buckets that encrypt by default, and logs no rows", "*aws_glue_job.*"),
    Unfollowed(
        "CKV_AWS_158", "logs hold names, counts and errors, never rows; CloudWatch encrypts them", "*log_group.this"
    ),
    Unfollowed(
        "CKV_AWS_26",
        # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
        "topic_kms_key_arn sets a key of your own; alarms and rules cannot send to a topic that AWS's own encrypts",
        "module.*aws_sns_topic.this",
    ),
    # Logs
    Unfollowed(
        "CKV_AWS_338", "`log_retention_days` decides; the ledger remembers longer than logs do", "*log_group.this"
    ),
    Unfollowed(
        "CKV_AWS_18", "who read data is CloudTrail's to say, for all buckets of the account", "*aws_s3_bucket.this"
    ),
    Unfollowed("CKV_AWS_76", f"{_BY_VARIABLE}: api_access_logs", "module.api*aws_api_gateway_stage.this"),
    Unfollowed("CKV2_AWS_4", f"{_BY_VARIABLE}: api_access_logs", "module.api*aws_api_gateway_stage.this"),
    Unfollowed("CKV2_AWS_11", "no address of these networks is public; flow logs are the account's", "*aws_vpc.this"),
    Unfollowed("CKV2_AWS_27", "a log of queries would hold rows", "*aws_rds_cluster.this"),
    Unfollowed(
        "CKV_AWS_324", "load and the API log each statement that fails, without its rows", "*aws_rds_cluster.this"
    ),
    Unfollowed(
        "CKV_AWS_118", "capacity and connections have alarms; more is paid by the minute", "*aws_rds_cluster_instance.*"
    ),
    Unfollowed(
        "CKV_AWS_353", "as enhanced monitoring: for a person who looks, by choice", "*aws_rds_cluster_instance.*"
    ),
    Unfollowed(
        "CKV_AWS_284",
        "a workflow logs each step; tracing_mode is for functions and the API",
        "*sfn_state_machine.this",
    ),
    Unfollowed("CKV_AWS_73", f"{_BY_VARIABLE}: tracing_mode", "module.api*aws_api_gateway_stage.this"),
    # Functions
    Unfollowed(
        "CKV_AWS_116", "each trigger has a dead-letter queue of its own (test_plan)", "*aws_lambda_function.this"
    ),
    Unfollowed("CKV_AWS_117", "only functions that need the database are in its network", "*aws_lambda_function.this"),
    Unfollowed("CKV_AWS_272", "the plan's hashes say which code is deployed", "*aws_lambda_function.this"),
    # What the plan cannot say: the values are known after the apply. Tests on the mocked stack and policies hold them.
    Unfollowed(
        "CKV_AWS_364", "the bucket's ARN is the source (infra/tests/triggers.tftest.hcl)", "module.bronze_trigger.*"
    ),
    Unfollowed("CKV2_AWS_5", "the functions of the branch are in it", "*aws_security_group.functions"),
    Unfollowed("CKV2_AWS_61", "every bucket has one (infra/tests/bucket.tftest.hcl)", "*aws_s3_bucket.this"),
    Unfollowed(
        "CKV2_AWS_62", "bronze announces its objects; nothing reads events of the others", "*aws_s3_bucket.this"
    ),
    # Copies
    Unfollowed(
        "CKV_AWS_144",
        "silver can be made again from bronze; a second region is the owner's decision",
        "*aws_s3_bucket.this",
    ),
    Unfollowed(
        "CKV2_AWS_8",
        "the cluster has backups of its own, and silver holds every row that it has",
        "*aws_rds_cluster.this",
    ),
    # Logins
    Unfollowed(
        "CKV_AWS_162", "functions log in as two roles without rights beyond theirs, by secrets", "*aws_rds_cluster.this"
    ),
    Unfollowed(
        "CKV2_AWS_57",
        "the migration makes a new password where the secret's opens nothing",
        "*aws_secretsmanager_secret.role*",
    ),
    # The API
    Unfollowed("CKV2_AWS_29", f"{_BY_VARIABLE}: api_waf_web_acl_arn", "module.api*aws_api_gateway_stage.this"),
    Unfollowed(
        "CKV2_AWS_51", "clients have keys, or api_authorization; the integration is a function", "module.api*stage.this"
    ),
    Unfollowed(
        "CKV2_AWS_53",
        "the function checks each parameter and answers what is wrong",
        "module.api*aws_api_gateway_method.*",
    ),
    Unfollowed(
        "CKV_AWS_59",
        "health and the description are public and say nothing of the data",
        "module.api*aws_api_gateway_method.*",
    ),
    Unfollowed("CKV_AWS_120", "the function's cache is checked against what has been loaded", "module.api*stage.this"),
    Unfollowed("CKV_AWS_225", "as the stage", "module.api*aws_api_gateway_method_settings.this"),
)


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """(check, address) of everything that checkov finds in the plan of prod; no check is switched off."""
    folder = tmp_path_factory.mktemp("checkov")
    plan = folder / "prod.json"
    plan.write_text(json.dumps(offline_plan(ENVS / "prod.tfvars").document))
    python = client_environments.python_of(LOCK)
    options = ["--framework", "terraform_plan", "--skip-download", "--compact", "-o", "json"]
    done = subprocess.run(
        [python.with_name("checkov"), "-f", plan, *options],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "CKV_IGNORE_HIDDEN_DIRECTORIES": "false"},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    report = json.loads(done.stdout)
    assert report["summary"]["passed"] > 500, (report["summary"], done.stderr[-2000:])
    assert report["summary"]["parsing_errors"] == 0
    return [(found["check_id"], found["resource"]) for found in report["results"]["failed_checks"]]


def _excepted(check: str, address: str) -> bool:
    return any(one.check == check and fnmatchcase(address, one.resources) for one in EXCEPTIONS)


def test_every_finding_has_a_reason(findings: list[tuple[str, str]]) -> None:
    assert sorted(f"{check} {address}" for check, address in findings if not _excepted(check, address)) == []


def test_every_reason_has_a_finding(findings: list[tuple[str, str]]) -> None:
    unused = [
        f"{one.check} {one.resources}"
        for one in EXCEPTIONS
        if not any(check == one.check and fnmatchcase(address, one.resources) for check, address in findings)
    ]
    assert unused == []
