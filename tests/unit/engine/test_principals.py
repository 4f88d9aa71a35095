"""What a resource's own policy decides about services and roles."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_ext.iam import principals
from sluice_ext.iam.policy import ALLOWED, DENIED, NOT_ALLOWED, listed

ACCOUNT, QUEUE = "123456789012", "arn:aws:sqs:us-east-1:123456789012:q"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/a"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/a/s"
TOPIC = "arn:aws:sns:us-east-1:123456789012:t"
SNS = principals.service("sns.amazonaws.com", ACCOUNT)
ME = principals.Caller(ACCOUNT, role=ROLE, session=SESSION)
CONTEXT = {"aws:sourcearn": TOPIC, "aws:sourceaccount": ACCOUNT, "aws:securetransport": "true"}
SEND = "sqs:SendMessage"


def statement(effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": SEND, "Resource": QUEUE} | more


def decide(caller: principals.Caller, *statements: dict[str, Any], delegated: bool = False) -> str:
    return principals.decide(statements, caller, SEND, QUEUE, CONTEXT, delegated)


@pytest.mark.parametrize(
    ("principal", "for_sns", "for_role"),
    [
        ("*", ALLOWED, ALLOWED),
        ({"AWS": "*"}, ALLOWED, ALLOWED),
        ({"Service": "sns.amazonaws.com"}, ALLOWED, NOT_ALLOWED),
        ({"Service": ["s3.amazonaws.com", "sns.amazonaws.com"]}, ALLOWED, NOT_ALLOWED),
        ({"Service": "s3.amazonaws.com"}, NOT_ALLOWED, NOT_ALLOWED),
        ({"Service": "*"}, NOT_ALLOWED, NOT_ALLOWED),
        ({"AWS": ROLE}, NOT_ALLOWED, ALLOWED),
        ({"AWS": ["x", SESSION]}, NOT_ALLOWED, ALLOWED),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:role/*"}, NOT_ALLOWED, NOT_ALLOWED),
        # The account is named: its identity policies decide.
        ({"AWS": ACCOUNT}, NOT_ALLOWED, NOT_ALLOWED),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, NOT_ALLOWED, NOT_ALLOWED),
        ({"AWS": "sns.amazonaws.com"}, NOT_ALLOWED, NOT_ALLOWED),
        ("sns.amazonaws.com", NOT_ALLOWED, NOT_ALLOWED),
        ({}, NOT_ALLOWED, NOT_ALLOWED),
    ],
)
def test_a_statement_is_about_whom_it_names(principal: Any, for_sns: str, for_role: str) -> None:
    assert decide(SNS, statement(Principal=principal)) == for_sns
    assert decide(ME, statement(Principal=principal)) == for_role


def test_the_account_is_delegated_to_and_denied_with_its_roles() -> None:
    root = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    assert decide(ME, statement(Principal=root), delegated=True) == ALLOWED
    assert decide(ME, statement("Deny", Principal=root)) == DENIED
    assert decide(SNS, statement("Deny", Principal=root), statement(Principal="*")) == ALLOWED
    assert decide(ME, statement("Deny", Principal={"AWS": "999999999999"})) == NOT_ALLOWED


def test_everyone_but_those_named_is_denied() -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html"""
    everyone = statement(Principal="*")
    both = statement("Deny", NotPrincipal={"AWS": [ROLE, f"arn:aws:iam::{ACCOUNT}:root"]})
    assert decide(ME, everyone, both) == ALLOWED
    assert decide(ME, everyone, statement("Deny", NotPrincipal={"AWS": [ROLE]})) == DENIED
    assert decide(SNS, everyone, both) == DENIED
    assert decide(SNS, everyone, statement("Deny", NotPrincipal={"Service": "sns.amazonaws.com"})) == ALLOWED


@pytest.mark.parametrize(
    ("condition", "decision"),
    [
        ({"ArnEquals": {"aws:SourceArn": TOPIC}}, ALLOWED),
        ({"ArnLike": {"AWS:SourceArn": "arn:aws:sns:*:*:t*"}}, ALLOWED),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:sns:*"}}, NOT_ALLOWED),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:*:t"}}, NOT_ALLOWED),
        ({"StringEquals": {"aws:SourceAccount": [ACCOUNT, "1"]}}, ALLOWED),
        ({"StringEquals": {"aws:SourceAccount": "1"}}, NOT_ALLOWED),
        ({"ForAnyValue:StringEquals": {"aws:SourceAccount": ACCOUNT}}, ALLOWED),
        ({"ForAllValues:StringLike": {"aws:PrincipalOrgPaths": "o-1/*"}}, ALLOWED),
        ({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-1/*"}}, NOT_ALLOWED),
        ({"StringEquals": {"aws:PrincipalOrgID": "o-1"}}, NOT_ALLOWED),
        ({"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}, ALLOWED),
        ({"DateLessThan": {"aws:CurrentTime": "2099-01-01T00:00:00Z"}}, NOT_ALLOWED),
    ],
)
def test_the_source_of_a_delivery_has_to_meet_the_condition(condition: dict[str, Any], decision: str) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html"""
    assert decide(SNS, statement(Principal={"Service": "sns.amazonaws.com"}, Condition=condition)) == decision


NAMES = st.sampled_from(["*", "sns.amazonaws.com", "s3.amazonaws.com", ROLE, SESSION, ACCOUNT, "x"])
LISTED = NAMES | st.lists(NAMES, max_size=3)
PRINCIPALS = st.just("*") | st.dictionaries(st.sampled_from(["AWS", "Service", "Federated"]), LISTED, max_size=3)
KEYS = st.sampled_from(["aws:SourceArn", "aws:SourceAccount", "aws:PrincipalOrgID", "aws:Unknown", "s3:prefix"])
OPERATORS = st.sampled_from(
    [
        "StringEquals",
        "StringNotEquals",
        "StringLike",
        "ArnLike",
        "Null",
        "Bool",
        "StringEqualsIfExists",
        "NumericLessThan",
    ]
)
VALUES = st.sampled_from([TOPIC, ACCOUNT, "*", "true", "false", "1"])
CONDITIONS = st.dictionaries(OPERATORS, st.dictionaries(KEYS, VALUES, max_size=2), max_size=2)
STATEMENTS = st.fixed_dictionaries(
    {
        "Effect": st.sampled_from(["Allow", "Deny"]),
        "Principal": PRINCIPALS,
        "Action": st.sampled_from([SEND, "sqs:*", "*", "sqs:ReceiveMessage"]),
        "Resource": st.sampled_from([QUEUE, "*", QUEUE + "x"]),
    },
    optional={"Condition": CONDITIONS},
)
POLICIES = st.lists(STATEMENTS, max_size=4)
CALLERS = st.sampled_from([SNS, ME])


@given(POLICIES, CALLERS, st.integers(0, 4))
def test_an_explicit_deny_wins_wherever_it_stands(found: list[dict[str, Any]], caller: Any, at: int) -> None:
    found.insert(min(at, len(found)), statement("Deny", Principal="*"))
    assert decide(caller, *found) == DENIED


@given(POLICIES)
def test_a_policy_that_does_not_name_the_service_lets_it_deliver_nothing(found: list[dict[str, Any]]) -> None:
    def names(principal: Any) -> bool:
        named = {"AWS": principal, "Service": []} if principal == "*" else principal
        return "*" in listed(named.get("AWS", [])) or "sns.amazonaws.com" in listed(named.get("Service", []))

    assert decide(SNS, *(one for one in found if not names(one["Principal"]))) != ALLOWED


@given(POLICIES, CALLERS)
def test_more_denies_never_allow_more(found: list[dict[str, Any]], caller: Any) -> None:
    without = [one for one in found if one["Effect"] == "Allow"]
    if decide(caller, *found) == ALLOWED:
        assert decide(caller, *without) == ALLOWED


@given(POLICIES, CALLERS, st.sampled_from(["aws:Unknown", "aws:PrincipalTag/a", "sqs:Nothing"]), OPERATORS, VALUES)
def test_an_unknown_key_never_lets_an_allow_hold(
    found: list[dict[str, Any]], caller: Any, key: str, operator: str, value: str
) -> None:
    unknown = [one | {"Condition": {operator: {key: value}}} for one in found]
    assert decide(caller, *unknown) != ALLOWED
