"""The bootstrap is safe to repeat and to interrupt, and takes nothing that is not its own."""

from __future__ import annotations

import re
import subprocess
from itertools import combinations
from pathlib import Path

import pytest

from sluice.console import SluiceError
from sluice.engine import cleaning
from sluice.paths import ROOT
from sluice.promotion import bootstrap
from sluice.terraform import aws
from sluice.terraform.variables import Known
from tests.unit.promotion.conftest import ACCOUNT, BUCKET, OTHER, REGION, Cloud, Terraform

KNOWN = Known("sluice", "dev", REGION, (ACCOUNT,))
KEY = "sluice/dev/bootstrap.tfstate"
OURS = {"project": "sluice", "env": "dev", "managed-by": bootstrap.MADE_BY}
IAM = f"arn:aws:iam::{ACCOUNT}"
PROVIDER = f"{IAM}:oidc-provider/{bootstrap.ISSUER}"
NAMED = {
    f"{IAM}:policy/sluice-dev-boundary": "aws_iam_policy.stack_boundary",
    f"{IAM}:policy/sluice-dev-deployer-boundary": "aws_iam_policy.deployer_boundary",
    "sluice-dev-plan": 'aws_iam_role.deployer["sluice-dev-plan"]',
    "sluice-dev-apply": 'aws_iam_role.deployer["sluice-dev-apply"]',
    PROVIDER: "aws_iam_openid_connect_provider.github[0]",
}


@pytest.fixture(autouse=True)
def _own_states(tmp_path: Path, terraform: Terraform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "AWS_DIR", tmp_path / "accounts")
    monkeypatch.setattr(bootstrap, "STATES_DIR", tmp_path / "states")


def run() -> bootstrap.Bootstrapped:
    return bootstrap.run("dev", KNOWN, "acme/data", lambda _: None)


def local_state() -> Path:
    return bootstrap.STATES_DIR / "dev" / "bootstrap.tfstate"


def test_the_first_run_ends_with_its_state_in_the_bucket(cloud: Cloud, terraform: Terraform) -> None:
    cloud.buckets.clear()
    assert run().account == ACCOUNT
    inits = [line for line in terraform.calls if line.startswith("init")]
    assert f"path={local_state()}" in inits[0]
    assert f"bucket={BUCKET}" in inits[1]
    assert f"key={KEY}" in inits[1]
    assert "use_lockfile=true" in inits[1]
    assert f"state push {local_state()}" in terraform.calls
    assert terraform.state["serial"] == 7
    assert not local_state().exists()


def test_later_runs_have_the_state_of_the_bucket_alone(cloud: Cloud, terraform: Terraform) -> None:
    cloud.objects.add(KEY)
    run()
    assert [line for line in terraform.calls if "path=" in line] == []
    assert terraform.verbs.count("init") == 1
    assert not local_state().parent.exists()


def test_a_run_that_was_killed_is_continued_with_its_state(cloud: Cloud, terraform: Terraform) -> None:
    cloud.buckets.clear()
    terraform.fails("killed")
    with pytest.raises(SluiceError):
        run()
    assert local_state().exists()
    (terraform.home / "mode").unlink()
    run()
    assert terraform.state["serial"] == 7
    assert not local_state().exists()


def test_a_run_that_was_killed_after_it_stored_its_state_is_continued(cloud: Cloud, terraform: Terraform) -> None:
    terraform.has(serial=7)
    local_state().parent.mkdir(parents=True)
    local_state().write_text((terraform.home / "state.json").read_text())
    cloud.objects.add(KEY)
    run()
    assert terraform.state["serial"] == 7
    assert not local_state().exists()


def test_states_are_where_clean_removes_nothing() -> None:
    from sluice.paths import SLUICE_DIR, STATES_DIR

    assert not STATES_DIR.is_relative_to(SLUICE_DIR)
    assert (ROOT / ".gitignore").read_text().splitlines().count("/.states/") == 1
    assert STATES_DIR not in list(cleaning.made_beside_the_code(ROOT))


@pytest.mark.parametrize("there", [set(found) for size in range(6) for found in combinations(sorted(NAMED), size)])
def test_what_was_made_and_is_in_no_state_is_imported(cloud: Cloud, there: set[str]) -> None:
    cloud.tags = dict.fromkeys(there, OURS)
    ours, blocks = bootstrap.Existing(ACCOUNT, KNOWN, "nothing").to_import(set())
    assert ours
    assert dict(re.findall(r'to = (\S+)\n  id = "(\S+)"', blocks)) == {NAMED[name]: name for name in there}
    assert bootstrap.Existing(ACCOUNT, KNOWN, "nothing").to_import(set(NAMED.values())) == (True, "")


def test_the_bucket_is_imported_too(cloud: Cloud) -> None:
    _, blocks = bootstrap.Existing(ACCOUNT, KNOWN, BUCKET).to_import(set())
    assert blocks == f'import {{\n  to = aws_s3_bucket.state\n  id = "{BUCKET}"\n}}\n'


@pytest.mark.parametrize("name", [name for name in NAMED if name != PROVIDER])
@pytest.mark.parametrize("tags", [{}, {"env": "dev"}, OURS | {"env": "prod"}, OURS | {"managed-by": "terraform"}])
def test_what_is_not_ours_is_left_alone(cloud: Cloud, terraform: Terraform, name: str, tags: dict[str, str]) -> None:
    cloud.tags = {name: tags}
    with pytest.raises(SluiceError, match=f"has {name.split('/')[-1]} already, and its tags do not say"):
        run()
    assert "apply" not in terraform.verbs


def test_the_second_environment_uses_the_identity_provider_of_the_first(cloud: Cloud, terraform: Terraform) -> None:
    """An account has one: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html"""
    cloud.tags = {PROVIDER: OURS | {"env": "prod"}}
    cloud.objects.add(KEY)
    run()
    [planned] = [line for line in terraform.calls if line.startswith("plan")]
    assert "-var=create_identity_provider=false" in planned
    assert "openid" not in (aws.AWS_DIR / "dev/bootstrap/bucket/code/imports.tf").read_text()


def test_a_bucket_name_that_is_taken_ends_it_before_terraform(cloud: Cloud, terraform: Terraform) -> None:
    cloud.buckets[BUCKET] = OTHER
    with pytest.raises(SluiceError, match=f"the bucket name {BUCKET} is taken by another account"):
        run()
    assert terraform.calls == []


def test_another_account_ends_it_before_terraform(cloud: Cloud, terraform: Terraform) -> None:
    cloud.account = OTHER
    with pytest.raises(SluiceError, match=f"of account {OTHER}, allowed is {ACCOUNT}"):
        run()
    assert terraform.calls == []


@pytest.mark.parametrize("name", ["", "acme", "acme/*", "acme/data:x", "acme/data/x", "../data", "acme/data\n"])
def test_only_a_repository_of_github_is_trusted(name: str) -> None:
    with pytest.raises(SluiceError, match="expected <owner>/<name>") as raised:
        bootstrap.checked(name)
    assert raised.value.code == 2


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("git@github.com:acme/data.git", "acme/data"),
        ("https://github.com/acme/data", "acme/data"),
        ("https://github.com/acme/data.git", "acme/data"),
        ("ssh://git@github.com/acme/data.platform.git", "acme/data.platform"),
        ("https://example.com/acme/data", ""),
        ("https://notgithub.com.example.com/acme/data", ""),
        ("https://evilgithub.com/acme/data", ""),
        ("/srv/git/data", ""),
    ],
)
def test_the_repository_is_that_of_origin(tmp_path: Path, url: str, wanted: str) -> None:
    for words in (["init", "-q"], ["remote", "add", "origin", url]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    assert bootstrap.repository_of(tmp_path) == wanted
