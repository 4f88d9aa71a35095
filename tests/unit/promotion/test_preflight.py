"""Each thing that an account lacks is one line, before anything is changed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.console import SluiceError
from sluice.promotion import lock, preflight
from sluice.promotion.record import Facts
from sluice.terraform.variables import Known
from tests.unit.promotion.conftest import ACCOUNT, BUCKET, OTHER, REGION, Cloud, error, findings_of

KNOWN = Known("sluice", "dev", REGION, (ACCOUNT,))
FACTS = Facts(REGION, (ACCOUNT,), 1000, buckets={"a": "create", "b": "have", "c": "delete"}, zones=("us-east-1a",))
LOCK = {"ID": "1-2", "Operation": "OperationTypeApply", "Who": "ann@laptop", "Created": "2026-11-27T08:00:00.123456Z"}


@pytest.fixture
def asked(cloud: Cloud) -> preflight.Question:
    cloud.buckets["b"] = ACCOUNT
    return replace(preflight.question("dev", KNOWN, FACTS), shell={})


def test_an_account_that_has_everything_is_ready(asked: preflight.Question) -> None:
    assert findings_of(asked) == {}
    assert [one.check for one in preflight.require(asked)] == [
        "environment", "account", "region", "lock", "concurrency", "buckets", "zones", "boundary", "release",
    ]  # fmt: skip
    assert asked.state == (BUCKET, "sluice/dev/terraform.tfstate")


def test_credentials_of_another_account_are_refused(asked: preflight.Question) -> None:
    found = findings_of(replace(asked, account=OTHER))
    assert found["account"] == f"the credentials are of account {OTHER}, allowed is {ACCOUNT}"


def test_the_tfvars_of_another_environment_are_refused(asked: preflight.Question) -> None:
    found = findings_of(replace(asked, env="prod"))
    assert found["environment"] == "the tfvars file is of dev, --env says prod"


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_a_shell_of_another_region_is_refused(asked: preflight.Question, name: str) -> None:
    found = findings_of(replace(asked, shell={name: "eu-west-1"}))
    assert found == {"region": f"the deployment is for {REGION}, and this shell's region is eu-west-1"}


def test_a_region_that_is_none_or_not_enabled_is_refused(asked: preflight.Question, cloud: Cloud) -> None:
    elsewhere = replace(asked, facts=replace(FACTS, region="xx-nowhere-1"))
    assert findings_of(elsewhere) == {"region": "there is no region xx-nowhere-1"}
    cloud.opt_in = "not-opted-in"
    assert findings_of(asked) == {"region": f"account {ACCOUNT} has not enabled the region {REGION}"}


@given(quota=st.integers(0, 3000), wanted=st.integers(0, 3000))
def test_lambdas_quota_is_at_least_what_the_stack_counts_on(quota: int, wanted: int) -> None:
    cloud = Cloud(quota=quota)
    asked = preflight.Question("dev", KNOWN, ACCOUNT, replace(FACTS, account_concurrency=wanted), None, cloud.client)
    found = preflight.concurrency(asked)
    assert found.holds == (quota >= wanted)
    assert found.holds or f"runs {quota} functions at once here, account_concurrency is {wanted}" in found.found


@given(
    st.dictionaries(
        st.sampled_from("abcdef"),
        st.tuples(st.sampled_from(["create", "have", "delete"]), st.sampled_from([None, ACCOUNT, OTHER])),
    )
)
def test_a_new_bucket_is_free_and_an_old_one_is_ours(planned: dict[str, tuple[str, str | None]]) -> None:
    cloud = Cloud(buckets={name: owner for name, (_, owner) in planned.items() if owner})
    facts = replace(FACTS, buckets={name: action for name, (action, _) in planned.items()})
    found = preflight.buckets(preflight.Question("dev", KNOWN, ACCOUNT, facts, None, cloud.client))
    wrong = {
        name for name, (action, owner) in planned.items()
        if action != "delete" and (owner == OTHER or (owner == ACCOUNT and action == "create"))
    }  # fmt: skip
    assert found.holds == (not wrong)
    assert found.holds or any(f" {name} is " in found.found for name in wrong)


def test_a_zone_that_the_account_does_not_have_is_named(asked: preflight.Question) -> None:
    found = findings_of(replace(asked, facts=replace(FACTS, zones=("us-east-1a", "us-east-1f"))))
    assert found["zones"].startswith("there is no zone us-east-1f for this account")


def test_a_locked_state_says_who_and_since_when(asked: preflight.Question, cloud: Cloud) -> None:
    cloud.lock = json.dumps(LOCK).encode()
    assert findings_of(asked) == {
        "lock": "ann@laptop has locked the state since 2026-11-27T08:00:00Z (apply, lock 1-2);"
        " when that run is dead: `sluice unlock 1-2 --target aws --env dev`"
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*LOCK, "x"]), inner, max_size=4),
)


@given(st.binary(max_size=50) | st.builds(lambda value: json.dumps(value).encode(), JSON))
def test_a_lock_that_cannot_be_read_is_a_lock(body: bytes) -> None:
    found = lock.parse(body)
    assert all((found.id, found.who, found.operation is not None))
    assert "locked the state" in found.said


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException", "RequestExpired"])
def test_credentials_that_expire_while_it_asks_end_it_with_one_line(
    asked: preflight.Question, cloud: Cloud, code: str
) -> None:
    cloud.fault = error(code)
    with pytest.raises(SluiceError, match="^the AWS credentials have expired: get new ones") as raised:
        preflight.run(asked)
    assert raised.value.code == 2
    with pytest.raises(SluiceError, match="have expired"):
        preflight.question("dev", KNOWN, FACTS)


def test_what_a_role_may_not_ask_is_named(asked: preflight.Question, cloud: Cloud) -> None:
    cloud.fault = error("AccessDeniedException", "GetAccountSettings")
    found = findings_of(asked)
    assert found["concurrency"] == "AWS refuses the question: GetAccountSettings: AccessDeniedException"
    assert "\n" not in "".join(found.values())


def test_all_that_is_wrong_is_counted_in_one_line(asked: preflight.Question, cloud: Cloud) -> None:
    cloud.quota, cloud.zones = 10, ()
    with pytest.raises(SluiceError) as raised:
        preflight.require(asked)
    assert str(raised.value).endswith("(and 1 more: `sluice preflight`)")
    assert str(raised.value).startswith("concurrency: Lambda runs 10 functions at once here")


def test_a_check_asks_and_changes_nothing(asked: preflight.Question, cloud: Cloud) -> None:
    preflight.run(asked)
    assert {name.split("_")[0] for name in cloud.asked} == {"get", "head", "describe"}


def test_an_error_that_is_no_answer_of_aws_is_not_hidden(asked: preflight.Question, cloud: Cloud) -> None:
    cloud.fault = RuntimeError("a fault of ours")
    with pytest.raises(RuntimeError):
        preflight.run(asked)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("The version in service", None),
        ("1 after 2 (release 2026-11-27T10:00:00.000000Z)", None),
        ("3 back from 4 (release 2026-11-27T10:00:00.000000Z)", None),  # of another version: moved since
        ("1 back from 2 (release 2026-11-27T10:00:00.000000Z)", "x was put back from version 2: plan with --gradual"),
        ("1 to 2 (release 2026-11-27T10:00:00.000000Z)", "a shift of x is under way: end it, or `sluice rollback`"),
    ],
)
def test_a_plan_moves_no_function_that_was_put_back_or_is_being_shifted(
    asked: preflight.Question, cloud: Cloud, said: str, found: str | None
) -> None:
    cloud.aliases["x"] = {"FunctionVersion": "1", "Description": said}
    wrong = findings_of(replace(asked, facts=replace(FACTS, moved=("new", "x"))))
    assert wrong.get("release", "").startswith(found or "")
    assert bool(wrong) == bool(found)
    assert findings_of(replace(asked, facts=replace(FACTS, moved=("new",)))) == {}


def test_the_apply_role_needs_the_boundary_in_the_variables(asked: preflight.Question) -> None:
    role = replace(asked, arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/sluice-dev-apply/job")
    wanted = "the apply role makes no role without it: set permissions_boundary_arn"
    assert findings_of(role) == {"boundary": wanted}
    bounded = replace(FACTS, boundary=f"arn:aws:iam::{ACCOUNT}:policy/sluice-dev-boundary")
    assert findings_of(replace(role, facts=bounded)) == {}
    assert findings_of(replace(role, facts=replace(bounded, boundary=bounded.boundary.replace("dev", "prod"))))
