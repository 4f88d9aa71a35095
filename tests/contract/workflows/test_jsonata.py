"""JSONata and variables in states.

https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html
https://docs.aws.amazon.com/step-functions/latest/dg/workflow-variables.html
"""

import hashlib
import json
import time
import uuid
from typing import Any

import pytest

from tests.contract.workflows.conftest import Runner

JSONATA = {"QueryLanguage": "JSONata"}
HOSTILE = {
    "a loop": "($f := function($n){ $f($n + 1) }; $f(1))",
    "a deep recursion": "($f := function($n){ 1 + $f($n + 1) }; $f(1))",
    "a wide range": "$count([1..9000000])",
    "a long text": "$length($pad('', 2000000000))",
    "a doubled text": "$reduce([1..64], function($a, $b){ $a & $a }, 'a')",
    "a regular expression": "$match('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!', /^(a+)+$/)",
}


def one(expression: str) -> dict[str, Any]:
    return {"Only": {"Type": "Pass", "Output": {"v": f"{{% {expression} %}}"}, "End": True}}


def test_arguments_output_and_assigned_variables_are_expressions_with_quotes_and_nulls_in_them(run: Runner) -> None:
    text = 'a "quoted" \\ back\nline, $x := 1; {% no %}'
    states = {
        "First": {
            "Type": "Pass",
            "Assign": {
                "text": "{% $states.input.text %}",
                "none": "{% $states.input.none %}",
                "list": [1, "{% 1 + 1 %}"],
            },
            "Output": {"name": "{% $uppercase($states.input.name) %}"},
            "Next": "Second",
        },
        "Second": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $text = $states.context.Execution.Input.text %}", "Next": "Third"}],
            "Default": "Wrong",
        },
        "Third": {
            "Type": "Pass",
            "Output": {
                "text": "{% $text %}",
                "none": "{% $none %}",
                "type": "{% $type($none) %}",
                "sum": "{% $sum($list) %}",
                "name": "{% $states.input.name %}",
                "plain": "no expression $text",
            },
            "End": True,
        },
        "Wrong": {"Type": "Fail"},
    }
    ended = run(states, {"text": text, "none": None, "name": "ada"}, **JSONATA)
    assert (ended.status, ended.cause) == ("SUCCEEDED", "")
    assert ended.output == {
        "text": text, "none": None, "type": "null", "sum": 3, "name": "ADA", "plain": "no expression $text"
    }  # fmt: skip
    assigned = next(e["stateExitedEventDetails"] for e in ended.events if e["type"] == "PassStateExited")
    assert {name: json.loads(value) for name, value in assigned["assignedVariables"].items()} == {
        "text": text, "none": None, "list": [1, 2]
    }  # fmt: skip


def test_the_functions_of_step_functions(run: Runner) -> None:
    expressions = {
        "$partition([1, 2, 3, 4, 5], 2)": [[1, 2], [3, 4], [5]],
        "$partition([1, 2, 3], 2.9)": [[1, 2], [3]],
        "$range(0, 10, 5)": [0, 5, 10],
        "$range(3, -1, -2)": [3, 1, -1],
        "$range(-1.7, 1, 1)": [-1, 0, 1],
        "$range(7, 7, 1)": 7,
        "$hash('é', 'SHA-256')": hashlib.sha256("é".encode()).hexdigest(),
        "$hash('a', 'MD5')": "0cc175b9c0f1b6a831c399e269772661",
        "$random(7) = $random(7)": True,
        "$random() < 1": True,
        "$parse('{\"a\": [null, 1]}')": {"a": [None, 1]},
        "$parse('null')": None,
        "$length($uuid())": 36,
        "$count($distinct([$uuid(), $uuid()]))": 2,
    }
    states = one("1")
    states["Only"]["Output"] = [f"{{% {expression} %}}" for expression in expressions]
    ended = run(states, **JSONATA)
    assert (ended.status, ended.cause) == ("SUCCEEDED", "")
    assert dict(zip(expressions, ended.output, strict=True)) == expressions


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("$states.input.none.at.all", "returned nothing (undefined)."),
        ("$range(0, 4)", "returned nothing (undefined)."),
        ("$partition([1], 0)", "returned nothing (undefined)."),
        ("function($x){ $x }", "returned an unsupported result type."),
        ("1 + 'a'", "threw an error during evaluation. T2002"),
        ("$eval('1')", "threw an error during evaluation. T1006"),
        ("$hash('a', 'sha-256')", "threw an error during evaluation. "),
        ("$parse('{')", "threw an error during evaluation. "),
        ("$range('0', 4, 1)", "threw an error during evaluation. T0410"),
    ],
)
def test_an_expression_that_fails_names_its_state_its_place_and_the_reason(
    run: Runner, expression: str, reason: str
) -> None:
    ended = run(one(expression), **JSONATA)
    assert (ended.status, ended.error) == ("FAILED", "States.QueryEvaluationError")
    begin = "An error occurred while executing the state 'Only' (entered at the event id #2). "
    assert ended.cause.startswith(
        f"{begin}The JSONata expression '{expression}' specified for the field 'Output/v' {reason}"
    )
    assert ended.types == ["ExecutionStarted", "PassStateEntered", "EvaluationFailed", "ExecutionFailed"]
    details = ended.events[2]["evaluationFailedEventDetails"]
    assert (details["error"], details["location"], details["state"]) == (ended.error, "Output/v", "Only")
    assert details["cause"] == ended.cause


@pytest.mark.parametrize("expression", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_expression_ends_within_bounds_and_the_engine_lives(run: Runner, expression: str) -> None:
    began = time.monotonic()
    ended = run(one(expression), **JSONATA)
    assert (ended.status, ended.error) == ("FAILED", "States.QueryEvaluationError")
    assert time.monotonic() - began < 20
    assert run(one("1 + 1"), **JSONATA).output == {"v": 2}


SUB = {"StartAt": "In", "States": {"In": {"Type": "Pass", "End": True}}}


@pytest.mark.parametrize(
    "kind",
    [
        {"Type": "Parallel", "Branches": [SUB]},
        {"Type": "Map", "Items": [1], "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, **SUB}},
    ],
    ids=["parallel", "map"],
)
def test_a_task_whose_output_fails_is_caught_with_its_error(run: Runner, kind: dict[str, Any]) -> None:
    """Catch applies to the expressions about a result.

    https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html#transforming-error-handling
    """
    for place in ("Assign", "Output"):
        states = {
            "Try": {
                **kind,
                place: {"x": [1, "{% $states.input.nothing %}"]},
                "Catch": [
                    {"ErrorEquals": ["Other"], "Next": "Wrong"},
                    {
                        "ErrorEquals": ["States.QueryEvaluationError"],
                        "Output": "{% $states.errorOutput %}",
                        "Next": "Caught",
                    },
                ],
                "Next": "Wrong",
            },
            "Caught": {"Type": "Pass", "End": True},
            "Wrong": {"Type": "Fail"},
        }
        ended = run(states, **JSONATA)
        assert (ended.status, ended.cause) == ("SUCCEEDED", ""), place
        assert ended.output["Error"] == "States.QueryEvaluationError"
        assert f"specified for the field '{place}/x[1]' returned nothing" in ended.output["Cause"]
        assert ended.types.count("EvaluationFailed") == 1


@pytest.mark.parametrize("items", [True, None, 1.5, "text", {"foo": ["bar"]}], ids=repr)
def test_a_map_over_what_is_no_list_fails_once_with_its_value(run: Runner, items: Any) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/dg/state-map.html: Items is an array, or gives one."""
    kind = {str: "string", float: "number", bool: "boolean", dict: "object"}.get(type(items), "null")
    value = json.dumps(items, separators=(",", ":"))
    each = {"Type": "Map", "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, **SUB}, "End": True}
    wrong = f"returned an unexpected result type. Expected 'array', but was '{kind}' for value: {value}"
    field = "The JSONata expression '$states.input.list' specified for the field 'Items'"
    give = {"Type": "Pass", "Output": "{% $states.input.list %}", "Next": "Each"}
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"Each": each | {"Items": "{% $states.input.list %}"}}, f"{field} {wrong}"),
        ({"Give": give, "Each": each}, f"Map state input must be an array but was: {value}"),
    )
    for states, words in cases:
        ended = run(states, {"list": items}, **JSONATA)
        entered = ended.types.index("MapStateEntered") + 1
        cause = f"An error occurred while executing the state 'Each' (entered at the event id #{entered}). {words}"
        assert (ended.status, ended.error, ended.cause) == ("FAILED", "States.QueryEvaluationError", cause)
        assert ended.types[entered:] == ["EvaluationFailed", "MapStateFailed", "ExecutionFailed"]
        details = ended.events[entered]["evaluationFailedEventDetails"]
        assert (details["cause"], details["state"]) == (cause, "Each")
        assert details.get("location") == ("Items" if "Items" in states["Each"] else None)


def test_a_condition_that_is_no_boolean_fails_with_its_place(run: Runner) -> None:
    states = {
        "Only": {
            "Type": "Choice",
            "Choices": [
                {"Condition": "{% false %}", "Next": "End"},
                {"Condition": "{% 'yes' %}", "Next": "End"},
            ],
            "Default": "End",
        },
        "End": {"Type": "Succeed"},
    }
    ended = run(states, **JSONATA)
    assert (ended.status, ended.error) == ("FAILED", "States.QueryEvaluationError")
    assert "'Choices[1]/Condition' returned an unexpected result type" in ended.cause


def test_a_result_of_a_map_and_the_variables_outside_of_it_are_seen(run: Runner) -> None:
    states = {
        "Set": {"Type": "Pass", "Assign": {"factor": 10}, "Next": "Each"},
        "Each": {
            "Type": "Map",
            "Items": "{% $range(1, 3, 1) %}",
            "ItemProcessor": {
                "StartAt": "In",
                "States": {
                    "In": {
                        "Type": "Pass",
                        "Assign": {"own": "{% $states.input * $factor %}"},
                        "Next": "Out",
                    },
                    "Out": {"Type": "Pass", "Output": "{% $own %}", "End": True},
                },
            },
            "Output": {"all": "{% $states.result %}", "sum": "{% $sum($states.result) %}"},
            "End": True,
        },
    }
    ended = run(states, **JSONATA)
    assert (ended.status, ended.output, ended.cause) == ("SUCCEEDED", {"all": [10, 20, 30], "sum": 60}, "")


def test_variables_in_states_with_json_paths_are_paths_in_the_variable(run: Runner) -> None:
    value = {"list": [{"n": 1}, {"n": 2}], "text": 'a "b"', "none": None, "id": uuid.uuid4().hex}
    states = {
        "Set": {"Type": "Pass", "Assign": {"all.$": "$", "plain": "x"}, "Next": "Use"},
        "Use": {
            "Type": "Pass",
            "Parameters": {
                "all.$": "$all",
                "one.$": "$all.list[1].n",
                "every.$": "$all.list[*].n",
                "text.$": "$all.text",
                "none.$": "$all.none",
                "plain.$": "$plain",
                "joined.$": "States.Format('{}-{}', $plain, $all.id)",
            },
            "End": True,
        },
    }
    ended = run(states, value)
    assert (ended.status, ended.cause) == ("SUCCEEDED", "")
    assert ended.output == {
        "all": value, "one": 2, "every": [1, 2], "text": value["text"], "none": None, "plain": "x",
        "joined": f"x-{value['id']}",
    }  # fmt: skip
