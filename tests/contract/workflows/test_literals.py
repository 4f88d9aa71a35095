"""What is written in a definition is JSON: its texts are what the escapes in them stand for.

https://docs.aws.amazon.com/step-functions/latest/dg/concepts-amazon-states-language.html
"""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.workflows.conftest import Runner
from tests.support.engine_harness import ROLE

TEXTS = ['"', "\\", 'a"b\\c', "/", "\n\t", "é", "\U0001f600", "\\n", "\\u0041", "a&b<c>", "it's", "\u2028", "\x01", ""]
VALUE = {"list": TEXTS, **{f"key{text}": 1 for text in TEXTS}}
JSONATA = {"QueryLanguage": "JSONata"}


def plain(definition: Any) -> str:
    return json.dumps(definition, ensure_ascii=False)


def ascii_only(definition: Any) -> str:
    return json.dumps(definition).replace("/", "\\/")


def terraform(definition: Any) -> str:
    """https://developer.hashicorp.com/terraform/language/functions/jsonencode"""
    text = json.dumps(definition, ensure_ascii=False).replace("\u2028", "\\u2028")
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def result(run: Runner, write: Callable[[Any], str], states: dict[str, Any], value: Any = None, **more: Any) -> Any:
    definition = {"StartAt": next(iter(states)), "States": states} | more
    machine = run.client.create_state_machine(
        name=f"machine-{uuid.uuid4().hex[:8]}", roleArn=ROLE, definition=write(definition)
    )["stateMachineArn"]
    ended = run.ended(run.start(machine, value))
    assert (ended.status, ended.cause) == ("SUCCEEDED", "")
    return ended


@pytest.mark.parametrize("write", [plain, ascii_only, terraform])
def test_every_text_of_a_definition_is_what_its_json_means(run: Runner, write: Callable[[Any], str]) -> None:
    last = {"Type": "Pass", "End": True}
    assign = {"Type": "Pass", "Assign": {"x": VALUE}, "Next": "Last"}
    for states, more in (
        ({"Only": last | {"Result": VALUE}}, {}),
        ({"Only": last | {"Parameters": VALUE}}, {}),
        ({"Only": last | {"Output": VALUE}}, JSONATA),
        ({"First": assign, "Last": last | {"Parameters": {"x.$": "$x"}, "OutputPath": "$.x"}}, {}),
        ({"First": assign, "Last": last | {"Output": "{% $x %}"}}, JSONATA),
    ):
        assert result(run, write, states, **more).output == VALUE, states

    names = [f"State{text}" for text in TEXTS]
    chain: dict[str, Any] = {}
    for text, name, following in zip(TEXTS, names, [*names[1:], "Last"], strict=True):
        rule = {"Variable": "$", "StringEquals": text, "Next": following}
        chain[name] = {"Type": "Choice", "Choices": [rule], "Default": f"Not{name}"}
        chain[f"Not{name}"] = {"Type": "Pass", "Result": text, "Next": name}
    ended = result(run, write, chain | {"Last": last}, "other")
    details = [event["stateEnteredEventDetails"] for event in ended.events if "stateEnteredEventDetails" in event]
    entered = [one["name"] for one in details]
    assert list(dict.fromkeys(entered)) == [each for name in names for each in (name, f"Not{name}")] + ["Last"]


@pytest.mark.parametrize("write", [plain, ascii_only, terraform])
def test_paths_and_expressions_are_read_after_their_json(run: Runner, write: Callable[[Any], str]) -> None:
    value = {"a": [{"b": 1}, {"b": 2}], "k&k": 5, 'k"q': 6, "k\\q": 7, 'k\\"': 8, "it's": 9}
    paths: dict[str, Any] = {
        "$.a[?(@.b > 1)]": [{"b": 2}],
        "$['k&k']": 5,
        "$['k\"q']": 6,
        "$['k\\\\q']": 7,
        "$['k\\\"']": 8,
        "$['it\\'s']": 9,
        "$$.Execution.Input['k&k']": 5,
        "States.Format('a&b<{}>', $['k&k'])": "a&b<5>",
    }
    asked = {f"v{number}.$": path for number, path in enumerate(paths)}
    found = result(run, write, {"Only": {"Type": "Pass", "Parameters": asked, "End": True}}, value).output
    assert dict(zip(paths, found.values(), strict=True)) == paths

    expression = "{% [$states.input.a[b > 1].b, 'a&b' & \"<c>\"] %}"
    states = {"Only": {"Type": "Pass", "Output": expression, "End": True}}
    assert result(run, write, states, value, **JSONATA).output == [2, "a&b<c>"]
