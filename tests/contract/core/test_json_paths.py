"""Paths of Step Functions: one that may have several matches gives a list.

https://docs.aws.amazon.com/step-functions/latest/dg/amazon-states-language-paths.html
"""

import json
import uuid
from typing import Any

from tests.support.engine_harness import ROLE, Engine, eventually

DATA = {
    "one": [{"n": 1, "a b*": 7}],
    "two": [{"n": 1}, {"n": 2}],
    "none": [],
    "deep": {"x": {"n": 5}},
}
EXPECTED: dict[str, Any] = {
    "$.one[*].n": [1],
    "$.one[0].n": 1,
    "$.one[0:1].n": [1],
    "$.one[?(@.n == 1)].n": [1],
    "$.one[?(@.n == 9)].n": [],
    "$.one[0]['a b*']": 7,
    "$.two[*].n": [1, 2],
    "$.two[1:].n": [2],
    "$.two[0].n": 1,
    "$.two": DATA["two"],
    "$.none[*].n": [],
    "$.none[*]": [],
    "$.deep..n": [5],
    "$.deep.x.n": 5,
}


def test_a_path_that_may_have_several_matches_gives_a_list_of_one_or_none_too(engine: Engine) -> None:
    states = engine.client("stepfunctions")
    task = {
        "Type": "Pass",
        "Parameters": {f"p{number}.$": path for number, path in enumerate(EXPECTED)},
        "End": True,
    }
    machine = states.create_state_machine(
        name=f"paths-{uuid.uuid4().hex[:8]}",
        roleArn=ROLE,
        definition=json.dumps({"StartAt": "Paths", "States": {"Paths": task}}),
    )["stateMachineArn"]
    arn = states.start_execution(stateMachineArn=machine, input=json.dumps(DATA))["executionArn"]
    eventually(lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING", 20, "the end")
    ended = states.describe_execution(executionArn=arn)
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    output = json.loads(ended["output"])
    assert {path: output[f"p{number}"] for number, path in enumerate(EXPECTED)} == EXPECTED
