"""What an account needs before its first deployment (infra/bootstrap): the state's bucket, and roles for CI.

The first run has its state in .states/<env>/, and stores it in the bucket at its end. Whatever ends a run, the next one
goes on: what was made and is in no state is imported, when its tags say that it is ours.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluice.console import fail
from sluice.engine import clients
from sluice.paths import AWS_DIR, INFRA_DIR, ROOT, STATES_DIR
from sluice.promotion import preflight
from sluice.terraform import Change, api, aws, identity, planned, resources, runner, settings
from sluice.terraform.settings import Workspace
from sluice.terraform.variables import Known

Report = Callable[[str], None]
ISSUER = "token.actions.githubusercontent.com"
MADE_BY = "sluice-bootstrap"
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")
_REMOTE = re.compile(r"(?:^|[@/])github\.com[:/]([^/]+/[^/]+?)(?:\.git)?/?$")


@dataclass(frozen=True)
class Bootstrapped:
    """What was changed, and the outputs: state_bucket, plan_role_arn, apply_role_arn, permissions_boundary_arn."""

    account: str
    changes: tuple[Change, ...]
    outputs: Mapping[str, Any]


def run(env: str, known: Known, repository: str | None, report: Report) -> Bootstrapped:
    """Raises SluiceError: code 2 when the repository is not known, 1 when the account is not the right one, or has
    something of ours' name that is not ours."""
    repository = checked(repository or repository_of(ROOT))
    asked = preflight.question(env, known, preflight.early_facts(known))
    preflight.require(asked, (preflight.environment, preflight.account, preflight.region))
    bucket = aws.state_bucket(known, asked.account)
    key = preflight.state_key(env).replace("terraform.tfstate", "bootstrap.tfstate")
    code = aws.owned_bucket(bucket, asked.account, known.region)
    if code not in ("", "404"):
        fail(f"the bucket name {bucket} is taken by another account (HTTP {code})", 1)
    values = {"project": known.project, "env": env, "region": known.region, "account_id": asked.account,
              "state_bucket": bucket, "repository": repository}  # fmt: skip
    there = Existing(asked.account, known, bucket)
    changes: tuple[Change, ...] = ()
    local = STATES_DIR / env / "bootstrap.tfstate"
    if not (code == "" and _exists(known.region, bucket, key)):
        local.parent.mkdir(parents=True, exist_ok=True)
        report(f"bootstrap account {asked.account}, {known.region}; the state is in {local} until the bucket is there")
        with api.opened(_space(env, bucket, (f"path={local}",), local), report) as space:
            changes = _apply(space, values, there, report)
    backend = (f"bucket={bucket}", f"key={key}", f"region={known.region}", "encrypt=true", "use_lockfile=true")
    with api.opened(_space(env, bucket, backend, None), report) as space:
        if local.exists():
            planned.store(space, local, report)
        changes += _apply(space, values, there, report)
        return Bootstrapped(asked.account, changes, api.read_outputs(space))


def _space(env: str, bucket: str, backend: tuple[str, ...], state: Path | None) -> Workspace:
    """A copy of infra/bootstrap; each place of the state has Terraform's data of its own."""
    kind = "bucket" if state is None else "local"
    home = AWS_DIR / env / "bootstrap" / kind
    code = home / "code"
    code.mkdir(parents=True, exist_ok=True)
    aws.rescue(code, f"{env}-bootstrap")
    for left in code.glob("*.tf"):
        left.unlink()
    for file in (INFRA_DIR / "bootstrap").glob("*.tf"):
        shutil.copy(file, code)
    if state is None:
        (code / aws.OVERRIDE).write_text('terraform {\n  backend "s3" {}\n}\n')
    data = home / "data" / bucket
    return Workspace(code, data, state, aws.environment(home, data), (settings.executable(),), backend)


def _apply(space: Workspace, values: Mapping[str, str], there: Existing, report: Report) -> tuple[Change, ...]:
    """Plans, and applies where something is to be changed."""
    have = {one.address for one in resources.read(api.read_state(space))}
    ours, imports = there.to_import(have)
    (space.stack / "imports.tf").write_text(imports)
    words = [f"-var={name}={value}" for name, value in values.items()]
    words.append(f"-var=create_identity_provider={'true' if ours else 'false'}")
    out = space.data / "bootstrap.tfplan"
    try:
        found = runner.execute(space, "plan", ["-detailed-exitcode", f"-out={out}", *words], report, "plan")
        if found.returncode == 0:
            return ()
        runner.execute(space, "apply", [str(out)], report, "bootstrap", planned=found)
    finally:
        out.unlink(missing_ok=True)
    return api.changes_of(found)


@dataclass(frozen=True)
class Existing:
    """What the account has under the names that the bootstrap uses."""

    account: str
    known: Known
    bucket: str

    def to_import(self, have: set[str]) -> tuple[bool, str]:
        """Whether GitHub's identity provider is this bootstrap's, and Terraform's blocks for what is there and is in no
        state. Raises SluiceError (code 1) when something of these names is not ours."""
        blocks = [(address, id) for address, id in self._ours() if address not in have]
        provider = "aws_iam_openid_connect_provider.github[0]"
        ours = provider in have
        if not ours:
            arn = f"{self._iam}:oidc-provider/{ISSUER}"
            tags = self._tags("get_open_id_connect_provider", OpenIDConnectProviderArn=arn)
            ours = tags is None or self._is_ours(tags)
            if tags is not None and ours:
                blocks.append((provider, arn))
        return ours, "".join(f'import {{\n  to = {to}\n  id = "{id}"\n}}\n' for to, id in blocks)

    def _ours(self) -> Iterator[tuple[str, str]]:
        prefix = f"{self.known.project}-{self.known.env}"
        if aws.owned_bucket(self.bucket, self.account, self.known.region) == "":
            yield "aws_s3_bucket.state", self.bucket
        for name, policy in (("stack", f"{prefix}-boundary"), ("deployer", f"{prefix}-deployer-boundary")):
            arn = f"{self._iam}:policy/{policy}"
            if self._checked(policy, self._tags("get_policy", PolicyArn=arn)):
                yield f"aws_iam_policy.{name}_boundary", arn
        for role in (f"{prefix}-plan", f"{prefix}-apply"):
            if self._checked(role, self._tags("get_role", RoleName=role)):
                yield f'aws_iam_role.deployer["{role}"]', role

    def _checked(self, name: str, tags: Mapping[str, str] | None) -> bool:
        if tags is not None and not self._is_ours(tags):
            fail(f"account {self.account} has {name} already, and its tags do not say that a bootstrap made it", 1)
        return tags is not None

    def _is_ours(self, tags: Mapping[str, str]) -> bool:
        wanted = {"project": self.known.project, "env": self.known.env, "managed-by": MADE_BY}
        return wanted.items() <= tags.items()

    def _tags(self, operation: str, **parameters: str) -> dict[str, str] | None:
        """Of what a call of IAM describes; None when it does not exist."""
        from botocore.exceptions import ClientError

        from sluice_pipeline.runtime.errors import code_of

        try:
            answer = identity.call(clients.new("iam", None, self.known.region, {}), operation, **parameters)
        except ClientError as error:
            code = code_of(error)
            if code == "NoSuchEntity":
                return None
            fail(f"what account {self.account} has cannot be read: {operation}: {code}", 1)
        found = answer.get("Role") or answer.get("Policy") or answer
        return {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}

    @property
    def _iam(self) -> str:
        return f"arn:{identity.partition_of(self.known.region)}:iam::{self.account}"


def _exists(region: str, bucket: str, key: str) -> bool:
    from botocore.exceptions import ClientError

    from sluice_pipeline.runtime.errors import code_of

    try:
        identity.call(clients.new("s3", None, region, {}), "head_object", Bucket=bucket, Key=key)
    except ClientError as error:
        if code_of(error) in ("404", "NoSuchKey"):
            return False
        fail(f"s3://{bucket}/{key} cannot be read: {code_of(error)}", 1)
    return True


def checked(repository: str) -> str:
    """Raises SluiceError (code 2) for a name that is none of GitHub's."""
    if not _REPOSITORY.fullmatch(repository):
        fail(f"--repository {repository!r}: expected <owner>/<name>, the GitHub repository whose workflows deploy")
    return repository


def repository_of(root: Path) -> str:
    """Of the checkout's remote `origin`; empty when that is not GitHub's."""
    command = ["git", "-C", str(root), "remote", "get-url", "origin"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    found = _REMOTE.search(done.stdout.strip())
    return found[1] if found else ""
