"""Stand-ins for Terraform and for AWS, so that the road to an account is walked without either."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sluice.engine import clients
from sluice.promotion import preflight, record
from sluice.terraform import aws, settings

ACCOUNT, OTHER, REGION = "123456789012", "210987654321", "us-east-1"
BUCKET = f"sluice-dev-state-{ACCOUNT}-{REGION}"

TERRAFORM = '''#!{python}
"""Writes down how it is called, and does what the files in its folder say."""
import json, os, pathlib, sys
home, words = pathlib.Path({home!r}), sys.argv[1:]
with (home / "calls").open("a") as calls:
    calls.write(" ".join(words) + "\\n")
state = home / "state.json"
if words[0] == "init":
    pathlib.Path(".terraform.lock.hcl").write_text("")
    local = [word.partition("path=")[2] for word in words if "=path=" in word]
    (home / "local").write_text(local[0] if local else "")
elif words[0] == "plan":
    out = [word[5:] for word in words if word.startswith("-out=")]
    if out:
        pathlib.Path(out[0]).write_text("plan of " + (state.read_text() if state.exists() else "nothing"))
    for address in json.loads((home / "document.json").read_text())["resource_changes"]:
        change = {{"resource": {{"addr": address["address"]}}, "action": address["change"]["actions"][0]}}
        print(json.dumps({{"type": "planned_change", "change": change}}))
    sys.exit(2 if "-detailed-exitcode" in words else 0)
elif words[:2] == ["show", "-json"]:
    document, adopted = json.loads((home / "document.json").read_text()), pathlib.Path("adopted.tf")
    imports = adopted.read_text() if adopted.exists() else ""
    there = json.loads((home / "there.json").read_text()) if imports else {{}}
    for one in document["resource_changes"]:
        if "to = " + one["address"] + "\\n" in imports:
            before = there[one["address"]]
            one["change"] |= {{"actions": ["no-op"], "before": before, "importing": {{"id": one["address"]}}}}
    print(json.dumps(document))
elif words[:2] == ["state", "pull"]:
    print(state.read_text() if state.exists() else "")
elif words[:2] == ["state", "push"]:
    pushed = json.loads(pathlib.Path(words[2]).read_text())
    old = json.loads(state.read_text()) if state.exists() else {{"serial": -1}}
    if pushed["serial"] < old["serial"]:
        sys.exit("Error: cannot import state with serial over newer state")
    state.write_text(json.dumps(pushed))
elif words[0] == "apply":
    made = json.dumps({{"serial": 7, "lineage": "x", "resources": [{{"mode": "data"}}]}})
    mode = (home / "mode").read_text() if (home / "mode").exists() else ""
    if mode == "expired":
        pathlib.Path("errored.tfstate").write_text(made)
        found = {{"severity": "error", "summary": "the security token included in the request is expired"}}
        print(json.dumps({{"type": "diagnostic", "diagnostic": found}}))
        sys.exit(1)
    local = (home / "local").read_text() if (home / "local").exists() else ""
    (pathlib.Path(local) if local else state).write_text(made)
    if mode == "killed":
        os.kill(os.getpid(), 9)
    counts = {{"add": 1, "change": 0, "remove": 0, "operation": "apply"}}
    print(json.dumps({{"type": "change_summary", "changes": counts}}))
elif words[:2] == ["output", "-json"]:
    print(json.dumps({{"region": {{"value": "us-east-1"}}}}))
'''


@dataclass
class Terraform:
    """The stand-in: its folder, what it was called with, and the state that it has."""

    home: Path

    @property
    def calls(self) -> list[str]:
        file = self.home / "calls"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def verbs(self) -> list[str]:
        return [line.split()[0] for line in self.calls]

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.home / "state.json").read_text())
        return found

    def has(self, serial: int, lineage: str = "x") -> None:
        """Another deployment has left this state."""
        text = json.dumps({"serial": serial, "lineage": lineage, "resources": [{"mode": "data"}]})
        (self.home / "state.json").write_text(text)

    def fails(self, mode: str) -> None:
        (self.home / "mode").write_text(mode)


def error(code: str, operation: str = "Call") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)


@dataclass
class Cloud:
    """An account: answers of its services, by operation. An answer may be an exception."""

    account: str = ACCOUNT
    buckets: dict[str, str] = field(default_factory=lambda: {BUCKET: ACCOUNT})
    """Names, each with its owner."""
    lock: bytes | None = None
    quota: int = 1000
    zones: tuple[str, ...] = ("us-east-1a", "us-east-1b")
    opt_in: str = "opt-in-not-required"
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of what IAM has: by the role's name, or the ARN."""
    objects: set[str] = field(default_factory=set)
    aliases: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of functions by name: FunctionVersion and Description."""
    tagged: list[str] = field(default_factory=list)
    """ARNs of what carries the stack's tags."""
    fault: Exception | None = None
    asked: list[str] = field(default_factory=list)

    def client(self, service: str, *_: Any) -> _Client:
        return _Client(self, service)

    def answer(self, operation: str, given: dict[str, Any]) -> Any:
        self.asked.append(operation)
        if self.fault is not None:
            raise self.fault
        return getattr(self, f"_{operation}")(given)

    def _get_caller_identity(self, given: dict[str, Any]) -> Any:
        return {"Account": self.account, "Arn": f"arn:aws:iam::{self.account}:user/x"}

    def _head_bucket(self, given: dict[str, Any]) -> Any:
        if given["Bucket"] not in self.buckets:
            raise error("404", "HeadBucket")
        if self.buckets[given["Bucket"]] != given["ExpectedBucketOwner"]:
            raise error("403", "HeadBucket")
        return {}

    def _head_object(self, given: dict[str, Any]) -> Any:
        if given["Key"] not in self.objects:
            raise error("404", "HeadObject")
        return {}

    def _tagged(self, name: str) -> Any:
        if name not in self.tags:
            raise error("NoSuchEntity")
        return [{"Key": key, "Value": value} for key, value in self.tags[name].items()]

    def _get_role(self, given: dict[str, Any]) -> Any:
        return {"Role": {"Tags": self._tagged(given["RoleName"])}}

    def _get_policy(self, given: dict[str, Any]) -> Any:
        return {"Policy": {"Tags": self._tagged(given["PolicyArn"])}}

    def _get_open_id_connect_provider(self, given: dict[str, Any]) -> Any:
        return {"Tags": self._tagged(given["OpenIDConnectProviderArn"])}

    def _get_object(self, given: dict[str, Any]) -> Any:
        if self.lock is None or not given["Key"].endswith(".tflock"):
            raise error("NoSuchKey", "GetObject")
        return {"Body": BytesIO(self.lock), "ETag": '"e"'}

    def _delete_object(self, given: dict[str, Any]) -> Any:
        assert given["IfMatch"] == '"e"'
        self.lock = None
        return {}

    def _describe_regions(self, given: dict[str, Any]) -> Any:
        if given["RegionNames"][0] == "xx-nowhere-1":
            raise error("InvalidParameterValue", "DescribeRegions")
        return {"Regions": [{"RegionName": given["RegionNames"][0], "OptInStatus": self.opt_in}]}

    def _describe_availability_zones(self, given: dict[str, Any]) -> Any:
        return {"AvailabilityZones": [{"ZoneName": zone} for zone in self.zones]}

    def _get_alias(self, given: dict[str, Any]) -> Any:
        if given["FunctionName"] not in self.aliases:
            raise error("ResourceNotFoundException", "GetAlias")
        return self.aliases[given["FunctionName"]]

    def _get_resources(self, given: dict[str, Any]) -> Any:
        return {"ResourceTagMappingList": [{"ResourceARN": arn} for arn in self.tagged]}

    def _get_account_settings(self, given: dict[str, Any]) -> Any:
        return {"AccountLimit": {"ConcurrentExecutions": self.quota}}


@dataclass
class _Client:
    cloud: Cloud
    service: str

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        return lambda **given: self.cloud.answer(operation, given)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """Every client leads to it; the shell has credentials and nothing else of AWS."""
    found = Cloud()
    monkeypatch.setattr(clients, "new", found.client)
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", aws.STATE_BUCKET_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return found


@pytest.fixture
def terraform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terraform:
    """Terraform, and the folders of accounts, are in a folder of the test's own."""
    home = tmp_path / "terraform"
    home.mkdir()
    script = home / "terraform"
    script.write_text(TERRAFORM.format(python=sys.executable, home=str(home)))
    script.chmod(0o755)
    (home / "document.json").write_text(json.dumps(DOCUMENT))
    monkeypatch.setattr(settings, "executable", lambda: str(script))
    monkeypatch.setattr(settings, "cli_config", lambda _: None)
    for module in (aws, record):
        monkeypatch.setattr(module, "AWS_DIR", tmp_path / "accounts")
    monkeypatch.setattr(aws, "STATES_DIR", tmp_path / "states")
    monkeypatch.setattr(record, "artifacts", lambda: {"core-ingest.zip": "aa"})
    return Terraform(home)


DOCUMENT = {
    "variables": {"region": {"value": REGION}, "account_concurrency": {"value": 100}, "env": {"value": "dev"},
                  "allowed_account_ids": {"value": [ACCOUNT]}, "deletion_protection": {"value": False}},
    "resource_changes": [
        {"address": "aws_s3_bucket.a", "type": "aws_s3_bucket", "mode": "managed",
         "change": {"actions": ["create"], "before": None, "after": {"bucket": "sluice-dev-bronze"}}},
        {"address": "aws_subnet.a", "type": "aws_subnet", "mode": "managed",
         "change": {"actions": ["update"], "before": {"tags": 1, "availability_zone": "us-east-1a"},
                    "after": {"tags": 2, "availability_zone": "us-east-1a"}}},
    ],
    "resource_drift": [
        {"address": "aws_sqs_queue.q", "type": "aws_sqs_queue", "mode": "managed",
         "change": {"actions": ["update"], "before": {"delay": 0, "arn": "a"}, "after": {"delay": 5, "arn": "a"}}},
        {"address": "aws_sqs_queue.same", "type": "aws_sqs_queue", "mode": "managed",
         "change": {"actions": ["update"], "before": {"delay": 0}, "after": {"delay": 0}}},
        {"address": "aws_sns_topic.gone", "type": "aws_sns_topic", "mode": "managed",
         "change": {"actions": ["delete"], "before": {"name": "n"}, "after": None}},
        {"address": "aws_lambda_alias.live", "type": "aws_lambda_alias", "mode": "managed",  # a shift has moved it
         "change": {"actions": ["update"], "before": {"function_version": "1", "description": "in service"},
                    "after": {"function_version": "2", "description": "2 after 1"}}},
    ],
}  # fmt: skip


@pytest.fixture
def var_file(tmp_path: Path) -> Path:
    """Variables of the environment dev, for one account."""
    file = tmp_path / "dev.tfvars"
    file.write_text(f'env = "dev"\nregion = "{REGION}"\nallowed_account_ids = ["{ACCOUNT}"]\n')
    return file


def findings_of(asked: preflight.Question) -> dict[str, str]:
    """What does not hold, by check."""
    return {one.check: one.found for one in preflight.run(asked) if not one.holds}
