"""A plan's file is applied where it was made for, once, and only while everything is as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.build.archive import file_sha256
from sluice.console import SluiceError
from sluice.engine.instance import Instance
from sluice.promotion import plans, record
from sluice.terraform import Account, api, aws, identity, variables
from sluice.terraform import settings as terraform_settings
from sluice.terraform.planned import Serial
from tests.unit.promotion.conftest import ACCOUNT, BUCKET, OTHER, REGION, Cloud, Terraform

AGAIN = "make plan TARGET=aws ENV=dev"


def quiet(_: str) -> None:
    """No report."""


def made(var_file: Path, env: str = "dev") -> record.Record:
    return plans.make(Account(env), env, var_file, {}, record.plan_file(env), quiet)[0]


def deployed(env: str = "dev") -> int:
    """Checks and applies the stored plan; returns how many resources were added."""
    plan = record.plan_file(env)
    found = plans.ready(Account(env), env, plan, AGAIN, quiet)
    return plans.apply(Account(env), found, plan, AGAIN, quiet, lambda _: "").added


def refused(code: int, said: str, env: str = "dev") -> None:
    """A deployment ends with this line, and Terraform has applied nothing."""
    with pytest.raises(SluiceError) as raised:
        deployed(env)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert raised.value.code == code


def test_a_plan_is_stored_with_what_it_was_made_for_and_from(
    cloud: Cloud, terraform: Terraform, var_file: Path
) -> None:
    terraform.has(serial=3)
    found = made(var_file)
    assert (found.env, found.account, found.region, found.address) == ("dev", ACCOUNT, REGION, "aws")
    assert found.state == Serial("x", 3)
    assert found.artifacts == {"core-ingest.zip": "aa"}
    assert found.facts == record.Facts(REGION, (ACCOUNT,), 100, False, {"sluice-dev-bronze": "create"}, ("us-east-1a",))
    assert found.changes == (("create", "aws_s3_bucket.a"), ("update", "aws_subnet.a"))
    assert record.load(record.plan_file("dev"), AGAIN) == found
    for file in (record.plan_file("dev"), record.beside(record.plan_file("dev"))):
        assert file.stat().st_mode & 0o077 == 0


def test_the_state_is_in_the_accounts_bucket_and_nothing_is_configured_again(
    cloud: Cloud, terraform: Terraform, var_file: Path
) -> None:
    made(var_file)
    [init] = [line for line in terraform.calls if line.startswith("init")]
    assert f"-backend-config=bucket={BUCKET} -backend-config=region={REGION}" in init
    assert "envs/dev.s3.tfbackend" in init
    assert "-reconfigure" not in init
    made(var_file)
    assert terraform.verbs.count("init") == 1


def test_a_plan_is_applied_once(cloud: Cloud, terraform: Terraform, var_file: Path) -> None:
    made(var_file)
    plan = record.plan_file("dev")
    assert deployed() == 1
    [applied] = [line for line in terraform.calls if line.startswith("apply")]
    assert applied == f"apply -json -input=false {plan}"
    assert list(plan.parent.glob("plan.*")) == []
    refused(2, f"there is no plan: `{AGAIN}` makes one")


def test_credentials_of_another_account_are_refused(cloud: Cloud, terraform: Terraform, var_file: Path) -> None:
    made(var_file)
    cloud.account = OTHER
    refused(2, f"this plan is for account {ACCOUNT}, and the credentials are of {OTHER}")
    with pytest.raises(SluiceError, match=f"account: the credentials are of account {OTHER}, allowed is {ACCOUNT}"):
        made(var_file)
    assert "apply" not in terraform.verbs


def test_an_account_that_was_not_bootstrapped_is_refused_before_terraform_runs(
    cloud: Cloud, terraform: Terraform, var_file: Path
) -> None:
    cloud.buckets.clear()
    with pytest.raises(SluiceError, match=f"account {ACCOUNT} has no state bucket {BUCKET} .*`sluice bootstrap"):
        made(var_file)
    cloud.buckets[BUCKET] = OTHER
    with pytest.raises(SluiceError, match="is not to be read with these credentials"):
        made(var_file)
    assert terraform.calls == []


def test_a_plan_of_another_environment_is_refused(cloud: Cloud, terraform: Terraform, var_file: Path) -> None:
    made(var_file)
    plan = record.plan_file("dev")
    with pytest.raises(SluiceError, match="for the environment dev, and --env says prod"):
        plans.ready(Account("prod"), "prod", plan, AGAIN, quiet)
    with pytest.raises(SluiceError, match="environment: the tfvars file is of dev, --env says prod"):
        made(var_file, "prod")


def test_a_plan_of_the_engine_is_refused_for_an_account_and_the_reverse(
    cloud: Cloud, terraform: Terraform, var_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = made(var_file)
    plan = record.plan_file("dev")
    with pytest.raises(SluiceError, match="for account 123456789012, and cannot be applied to the local engine"):
        plans.ready(Instance(tmp_path), "dev", plan, AGAIN, quiet)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv(identity.REHEARSAL_VARIABLE, "http://127.0.0.1:1")
    refused(2, "cannot be applied to an account at http://127.0.0.1:1")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    local = json.loads(record.beside(plan).read_text()) | {"address": record.ENGINE}
    record.beside(plan).write_text(json.dumps(local))
    refused(2, "this plan is for the local engine, and cannot be applied to an account")
    assert found.address == "aws"


def test_a_shell_of_the_engine_plans_for_no_account(
    cloud: Cloud, terraform: Terraform, var_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    with pytest.raises(SluiceError, match="set up for the local engine"):
        made(var_file)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda _, file: file.write_text(file.read_text() + "#\n"), "dev.tfvars has changed since"),
        (lambda _, file: file.unlink(), "dev.tfvars has changed since"),
        (lambda patch, _: patch.setattr(record, "artifacts", lambda: {"core-ingest.zip": "bb"}), "core-ingest.zip has"),
        (lambda patch, _: patch.setattr(record, "artifacts", dict), "core-ingest.zip has been built again"),
        (lambda patch, _: patch.setattr(record, "code_sha256", lambda: "other"), "the code in infra/ has changed"),
    ],
)
def test_a_stale_plan_is_refused(
    cloud: Cloud, terraform: Terraform, var_file: Path, monkeypatch: pytest.MonkeyPatch,
    change: Callable[[pytest.MonkeyPatch, Path], object], said: str,
) -> None:  # fmt: skip
    made(var_file)
    change(monkeypatch, var_file)
    refused(1, said)
    assert "apply" not in terraform.verbs


@given(
    before=st.tuples(st.sampled_from("ab"), st.integers(0, 3)),
    after=st.tuples(st.sampled_from("ab"), st.integers(0, 3)),
)
def test_only_the_state_that_a_plan_was_made_from_is_changed(before: tuple[str, int], after: tuple[str, int]) -> None:
    found = record.Record("dev", "", "", "aws", "", {}, "", "", "", "", Serial(*before), record.Facts(REGION), (), "")
    try:
        record.refuse_other_state(found, Serial(*after), AGAIN)
        refused = False
    except SluiceError as raised:
        refused = "stale" in str(raised)
    assert refused == (before != after)


def test_another_deployment_in_between_makes_the_plan_stale(cloud: Cloud, terraform: Terraform, var_file: Path) -> None:
    terraform.has(serial=3)
    made(var_file)
    terraform.has(serial=4)
    refused(1, "made from a state with serial 3, and there is serial 4")
    assert "apply" not in terraform.verbs


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(damage=st.sampled_from(["plan", "json"]), at=st.integers(0, 10_000), byte=st.binary(max_size=3))
def test_a_damaged_file_is_no_plan(
    cloud: Cloud, terraform: Terraform, tmp_path: Path, damage: str, at: int, byte: bytes
) -> None:
    """Whatever of the pair was changed: the plan is refused, or the record still says the same."""
    plan = tmp_path / "x.tfplan"
    plan.write_bytes(b"the plan")
    found = record.Record("dev", ACCOUNT, REGION, "aws", "", {}, "", "", "", file_sha256(plan), Serial(),
                          record.Facts(REGION), (("create", "a"),), "")  # fmt: skip
    record.save(found, plan)
    file = plan if damage == "plan" else record.beside(plan)
    content = file.read_bytes()
    at %= len(content)
    file.write_bytes(content[:at] + byte + content[at + 1 :])
    same = file.read_bytes() == content
    loaded = None
    with suppress(SluiceError):
        loaded = record.load(plan, AGAIN)
    assert loaded == found if same else damage == "json" or loaded is None
    assert loaded is None or loaded.plan_sha256 == file_sha256(plan)


def test_credentials_that_expire_half_way_lose_no_state(cloud: Cloud, terraform: Terraform, var_file: Path) -> None:
    """Terraform leaves errored.tfstate beside the code, which the next copy of the code would remove."""
    made(var_file)
    terraform.fails("expired")
    refused(1, f"token included in the request is expired); what was made is in the state: `{AGAIN}`, then deploy that")
    assert not (terraform.home / "state.json").exists()
    assert len(list((aws.STATES_DIR / "dev").glob("*.errored.tfstate"))) == 1
    (terraform.home / "mode").unlink()
    found = made(var_file)
    assert terraform.state["serial"] == 7
    assert found.state == Serial("x", 7)
    assert list(aws.waiting_states("dev")) == []
    assert deployed() == 1


def test_a_deployment_that_broke_off_is_stale_before_anything_else(
    cloud: Cloud, terraform: Terraform, var_file: Path
) -> None:
    """It has made a bucket that the old plan still wants to make: that one exists is not what the user must know."""
    made(var_file)
    terraform.has(serial=1)
    cloud.buckets["sluice-dev-bronze"] = ACCOUNT
    refused(1, "the plan is stale, it was made from a state with nothing deployed, and there is serial 1: plan again")


def test_a_killed_run_loses_no_state_either(cloud: Cloud, terraform: Terraform, var_file: Path) -> None:
    made(var_file)
    left = aws.AWS_DIR / "dev/infra/stack" / aws.ERRORED
    left.write_text(json.dumps({"serial": 9, "lineage": "x", "resources": [{}]}))
    made(var_file)
    assert terraform.state["serial"] == 9


def test_the_state_of_an_older_version_goes_to_the_bucket(cloud: Cloud, terraform: Terraform, var_file: Path) -> None:
    old = aws.AWS_DIR / "dev" / "terraform.tfstate"
    old.parent.mkdir(parents=True)
    old.write_text(json.dumps({"serial": 5, "lineage": "x", "resources": [{}]}))
    found = made(var_file)
    assert found.state == Serial("x", 5)
    assert not old.exists()


def test_a_state_that_the_bucket_refuses_stays_and_is_named(cloud: Cloud, terraform: Terraform, var_file: Path) -> None:
    terraform.has(serial=9)
    old = aws.AWS_DIR / "dev" / "terraform.tfstate"
    old.parent.mkdir(parents=True)
    old.write_text(json.dumps({"serial": 5, "lineage": "x", "resources": [{}]}))
    with pytest.raises(
        SluiceError, match="is not in the state's bucket, and cannot be stored there: Error: cannot import"
    ):
        made(var_file)
    assert old.exists()
    assert terraform.state["serial"] == 9


def test_without_credentials_a_plan_contacts_nothing_and_is_not_applicable(
    cloud: Cloud, terraform: Terraform, var_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    found = made(var_file)
    assert (found.applicable, found.account, found.state) == (False, "", Serial())
    assert cloud.asked == []
    override = aws.AWS_DIR / "dev/offline/infra/stack/offline_override.tf"
    assert "skip_requesting_account_id  = true" in override.read_text()
    refused(2, "made without credentials")


def test_drift_names_what_was_changed_and_what_was_removed(cloud: Cloud, terraform: Terraform, var_file: Path) -> None:
    found = plans.drift(Account("dev"), "dev", var_file, {}, quiet)
    assert [(one.action, one.address, names) for one, names in found] == [
        ("removed", "aws_sns_topic.gone", ()), ("changed", "aws_sqs_queue.q", ("delay",)),
    ]  # fmt: skip
    [planned] = [line for line in terraform.calls if line.startswith("plan")]
    assert "-refresh-only" in planned
    assert "apply" not in terraform.verbs


def test_only_the_named_lock_is_removed(cloud: Cloud, var_file: Path) -> None:
    cloud.lock = b'{"ID": "1-2", "Who": "ann", "Created": "then", "Operation": "OperationTypeApply"}'
    with pytest.raises(SluiceError, match="there is no lock 9: ann has locked the state since then"):
        plans.unlock("9", "dev", var_file, {})
    assert cloud.lock is not None
    assert plans.unlock("1-2", "dev", var_file, {}).who == "ann"
    assert cloud.lock is None
    with pytest.raises(SluiceError, match="there is no lock 1-2: the state is free"):
        plans.unlock("1-2", "dev", var_file, {})


@pytest.mark.parametrize(
    ("text", "extra", "shell", "wanted"),
    [
        ("", {}, {}, ("sluice", REGION, ())),
        ('region = "eu-west-1" # here\nproject="abc"', {}, {}, ("abc", "eu-west-1", ())),
        ("", {}, {"TF_VAR_region": "eu-west-1"}, ("sluice", "eu-west-1", ())),
        ('region = "eu-west-1"', {"region": "eu-west-3"}, {"TF_VAR_region": "us-west-2"}, ("sluice", "eu-west-3", ())),
        ('allowed_account_ids = [\n  "1", # a\n  "2",\n]', {}, {}, ("sluice", REGION, ("1", "2"))),
        ("", {"allowed_account_ids": '["3"]'}, {}, ("sluice", REGION, ("3",))),
        ("region = null", {}, {}, ("sluice", REGION, ())),
    ],
)
def test_where_a_deployment_goes_is_decided_as_terraform_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    text: str, extra: dict[str, str], shell: dict[str, str], wanted: tuple[str, str, tuple[str, ...]],
) -> None:  # fmt: skip
    for name, value in shell.items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "x.tfvars"
    file.write_text(f'env = "dev"\n{text}\n')
    found = variables.known(file, extra, variables.ENVS_DIR.parent / "stack")
    assert (found.project, found.region, found.allowed_accounts) == wanted


def test_a_file_that_is_no_hcl_is_wrong_use(tmp_path: Path) -> None:
    file = tmp_path / "x.tfvars"
    file.write_text("env = = 1\n")
    with pytest.raises(SluiceError, match="is no HCL") as raised:
        variables.known(file, {}, variables.ENVS_DIR.parent / "stack")
    assert raised.value.code == 2


@given(
    st.from_regex(r"[a-z][a-z0-9]{1,15}", fullmatch=True),
    st.from_regex(r"[a-z][a-z0-9]{1,11}", fullmatch=True),
    st.sampled_from(["us-east-1", "ap-southeast-1", "us-gov-west-1", "cn-northwest-1"]),
)
def test_every_state_bucket_has_a_valid_name_of_its_own(project: str, env: str, region: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""
    name = aws.state_bucket(variables.Known(project, env, region), ACCOUNT)
    assert 3 <= len(name) <= 63
    assert name.split("-")[:4] == [project, env, "state", ACCOUNT]
    assert name.endswith(region)


def test_a_plan_of_the_engine_is_applied_to_the_engine(
    terraform: Terraform, var_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No account is asked: `cloud` is not there."""
    state = tmp_path / "terraform.tfstate"
    stack = terraform_settings.copy_infra(tmp_path / "infra") / "stack"
    space = terraform_settings.Workspace(
        stack, tmp_path / "data", state, {}, (terraform_settings.executable(),), (f"path={state}",)
    )
    monkeypatch.setattr(api, "workspace", lambda _: space)
    engine, plan = Instance(tmp_path), tmp_path / "x.tfplan"
    found, _ = plans.make(engine, "dev", var_file, {}, plan, quiet)
    assert (found.address, found.account, found.applicable, found.state) == (record.ENGINE, "", True, Serial())
    ready = plans.ready(engine, "dev", plan, AGAIN, quiet)
    assert plans.apply(engine, ready, plan, AGAIN, quiet, lambda _: "").added == 1
    assert json.loads(state.read_text())["serial"] == 7
    assert not plan.exists()
    plans.make(engine, "dev", var_file, {}, plan, quiet)
    state.write_text(json.dumps({"serial": 8, "lineage": "x", "resources": [{}]}))
    again = plans.ready(engine, "dev", plan, AGAIN, quiet)
    with pytest.raises(SluiceError, match="made from a state with serial 7, and there is serial 8"):
        plans.apply(engine, again, plan, AGAIN, quiet, lambda _: "")
