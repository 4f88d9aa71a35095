"""Intrinsic functions. https://docs.aws.amazon.com/step-functions/latest/dg/intrinsic-functions.html"""

import base64
from typing import Any

import pytest

from tests.contract.workflows.conftest import Runner

DATA: dict[str, Any] = {
    "name": "Ada {} \\ 'L'",
    "template": 'Hello {}, {"a": 1}',
    "mixed": [1, True, "1", 1.5, None, {"b": 1, "a": 2}, {"a": 2, "b": 1}, [1], [1], 1, True],
    "one": {"a": {"a1": 1, "a2": 2}, "b": 2},
    "two": {"a": {"a3": 1}, "c": 3},
    "text": "naïve ✓",
    "list": list(range(9)),
    "long": "x" * 10_000,
}
# The call as it is after JSON's own escapes are read.
CALLS: dict[str, Any] = {
    r"States.Format('it\'s \{\} \\ {}', $.name)": r"it's {} \ " + DATA["name"],
    "States.Format('line\nbreak\t\"{}\"', 'x')": 'line\nbreak\t"x"',
    "States.Format('{}', '{}')": "{}",
    "States.Format('{a} {}', 1)": "{a} 1",
    "States.Format($.template, $.name)": f'Hello {DATA["name"]}, {{"a": 1}}',
    "States.ArrayUnique($.mixed)": [1, True, "1", 1.5, None, {"b": 1, "a": 2}, [1]],
    "States.ArrayContains($.mixed, 1)": True,
    "States.ArrayContains($.list, true)": False,
    "States.ArrayContains($.mixed, $.mixed[6])": True,
    "States.ArrayGetItem($.list, 8)": 8,
    "States.ArrayPartition($.list, 4)": [[0, 1, 2, 3], [4, 5, 6, 7], [8]],
    "States.ArrayPartition($.list, 4.5)": [[0, 1, 2, 3, 4], [5, 6, 7, 8]],
    "States.ArrayRange(1, 9, 2)": [1, 3, 5, 7, 9],
    "States.ArrayLength(States.ArrayRange(1, 1000, 1))": 1000,
    "States.JsonMerge($.one, $.two, false)": {"a": {"a3": 1}, "b": 2, "c": 3},
    "States.Base64Encode($.text)": base64.b64encode(DATA["text"].encode()).decode(),
    "States.Base64Decode(States.Base64Encode($.text))": DATA["text"],
    "States.MathAdd(1, 1.5)": 3,
    "States.MathAdd(111, -1)": 110,
    "States.MathRandom(5, 6)": 5,
    "States.StringSplit('This.is+a,test=string', '.+,=')": ["This", "is", "a", "test", "string"],
    "States.StringSplit('a^b-c]d', '^-]')": ["a", "b", "c", "d"],
    "States.Hash('a', 'SHA-1')": "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8",
    "States.StringToJson(States.JsonToString($.one))": DATA["one"],
}
WRONG = (
    "States.Format('{} {}', 1)",
    "States.Format('{}', 1, 2)",
    "States.ArrayGetItem($.list, 9)",
    "States.ArrayGetItem($.list, -1)",
    "States.ArrayGetItem($.one, 0)",
    "States.ArrayPartition($.list, 0)",
    "States.ArrayPartition($.name, 2)",
    "States.ArrayRange(1, 1001, 1)",
    "States.ArrayRange(1, 9, 0)",
    "States.JsonMerge($.one, $.two, true)",
    "States.JsonMerge($.list, $.two, false)",
    "States.JsonMerge($.one, $.list, false)",
    "States.Base64Decode('no base64!')",
    "States.Base64Encode(States.Format('{}x', $.long))",
    "States.Hash('a', 'SHA-3')",
    "States.Hash(States.Format('{}x', $.long), 'MD5')",
    "States.MathAdd('1', 2)",
    "States.MathAdd(true, 2)",
    "States.MathRandom(2, 2)",
    "States.StringSplit($.list, ',')",
    "States.StringToJson('{')",
)


def state(call: str) -> dict[str, Any]:
    return {"Only": {"Type": "Pass", "Parameters": {"v.$": call}, "End": True}}


def test_each_call_gives_what_aws_gives(run: Runner) -> None:
    parameters = {f"p{number}.$": call for number, call in enumerate(CALLS)}
    ended = run({"Only": {"Type": "Pass", "Parameters": parameters, "End": True}}, DATA)
    assert (ended.status, ended.cause) == ("SUCCEEDED", "")
    found = {call: ended.output[f"p{number}"] for number, call in enumerate(CALLS)}
    assert found == CALLS
    unique = found["States.ArrayUnique($.mixed)"]
    assert [type(value) for value in unique[:2]] == [int, bool]


@pytest.mark.parametrize("call", WRONG)
def test_a_call_that_cannot_be_right_fails(run: Runner, call: str) -> None:
    ended = run(state(call), DATA)
    assert (ended.status, ended.error) == ("FAILED", "States.Runtime")
