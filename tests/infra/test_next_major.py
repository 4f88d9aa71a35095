"""The plan against version 6 of the provider: all that it sets is there, and all that is demanded is set.

What version 6 does with the values is not shown: it plans where a mirror has it (`terraform init -upgrade`).
https://registry.terraform.io/providers/hashicorp/aws/latest/docs/guides/version-6-upgrade
"""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.infra import next_major
from tests.infra.planning import OfflinePlan

KNOWN = json.loads(next_major.FILE.read_text())


def test_every_kind_of_the_plan_is_known(env_plan: tuple[str, OfflinePlan]) -> None:
    _, plan = env_plan
    kinds = next_major.used(plan.document)
    assert len(kinds) > 40
    again = "run `python -m tests.infra.next_major`"
    assert [kind for kind in sorted(kinds) if kind[1] not in KNOWN[kind[0]]] == [], again


def test_the_next_major_has_all_that_the_plan_sets_and_reads(env_plan: tuple[str, OfflinePlan]) -> None:
    _, plan = env_plan
    assert list(next_major.problems(plan.document, KNOWN)) == []


@pytest.mark.parametrize(
    ("kind", "name", "block", "said"),
    [
        ("aws_sqs_queue", "visibility_timeout_seconds", "", "no argument visibility_timeout_seconds"),
        ("aws_lambda_function", "function_name", "", "no argument function_name"),
        ("aws_lambda_function", "variables", "LambdaFunctionEnvironment", "no argument variables"),
        ("aws_sqs_queue", "arn", "", "no attribute arn"),
    ],
)
def test_what_the_next_major_lacks_is_found(
    env_plan: tuple[str, OfflinePlan], kind: str, name: str, block: str, said: str
) -> None:
    known: dict[str, Any] = copy.deepcopy(KNOWN)
    part = known["managed"][kind][block]
    part["arguments"].pop(name, None)
    part["attributes"] = [one for one in part["attributes"] if one != name]
    assert any(one.endswith(said) for one in next_major.problems(env_plan[1].document, known))


@pytest.mark.parametrize(
    ("kind", "name", "block"),
    [("aws_sqs_queue", "max_message_size", ""), ("aws_lambda_function", "size", "LambdaFunctionEphemeralStorage")],
)
def test_what_the_next_major_demands_is_found(
    env_plan: tuple[str, OfflinePlan], kind: str, name: str, block: str
) -> None:
    known: dict[str, Any] = copy.deepcopy(KNOWN)
    schema = known["managed"][kind]
    schema[block]["arguments"]["something_new"] = schema[block]["arguments"].get(name, {"block": ""}) | {
        "required": True
    }
    found = list(next_major.problems(env_plan[1].document, known))
    assert any(one.endswith("something_new is required") for one in found)
