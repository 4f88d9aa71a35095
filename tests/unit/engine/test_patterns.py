"""Event patterns: every operator, what is refused, and a simple meaning that every pattern has.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_ext.patterns import EVENTBRIDGE, MAPPING, SNS, InvalidPattern, compile_pattern, loads, matches


def matched(pattern: Any, event: str, dialect: Any = EVENTBRIDGE) -> bool:
    return matches(compile_pattern(json.dumps(pattern), dialect), loads(event))


@pytest.mark.parametrize(
    ("condition", "hits", "misses"),
    [
        ("a", ['"a"', '["b", "a"]'], ['"A"', "null", '["b"]', "[]", "{}", '{"a": "a"}']),
        (300, ["300"], ["300.0", "3.0e2", '"300"', "true", "301"]),
        (300.0, ["300.0"], ["300", "3e2"]),
        (1, ["1"], ["true", "1.0", '"1"']),
        (True, ["true"], ["1", '"true"', "false"]),
        (None, ["null"], ['""', "0", "false", "[]"]),
        ("", ['""'], ["null"]),
        ({"prefix": "a"}, ['"a"', '"ab"'], ['"ba"', "5", "null", "true"]),
        ({"prefix": ""}, ['""', '"x"'], ["5", "null"]),
        ({"prefix": {"equals-ignore-case": "aB"}}, ['"Abc"'], ["5", '"b"']),
        ({"suffix": ".png"}, ['"x.png"', '".png"'], ['"x.PNG"', "5"]),
        ({"suffix": {"equals-ignore-case": ".PNG"}}, ['"x.png"'], ["5", '"png"']),
        ({"equals-ignore-case": "ALICE"}, ['"alice"'], ['"alic"', "5"]),
        (
            {"wildcard": "dir/*.png"},
            ['"dir/.png"', '"dir/a/b.png"', r'"dir/\n.png"'],
            ['"dir/png"', "5", '"xdir/.png"'],
        ),
        ({"wildcard": "a\\*b"}, ['"a*b"'], ['"axb"', '"ab"', r'"a\\*b"']),
        ({"wildcard": "a\\\\*"}, [r'"a\\"', r'"a\\bc"'], ['"a"', '"a*"']),
        ({"wildcard": "a"}, ['"a"'], ['"a\\n"', '"ab"']),
        ({"anything-but": "a"}, ['"b"', "5", "null", "true", '["a", "b"]'], ['"a"', '["a"]', "[]", "{}"]),
        ({"anything-but": 5}, ["6", '"5"', "true"], ["5", "5.0", "5e0"]),
        ({"anything-but": ["a", "b"]}, ['"c"', '"A"'], ['"a"', '"b"']),
        ({"anything-but": [1, 2]}, ["3"], ["1", "2.0"]),
        ({"anything-but": {"prefix": "a"}}, ['"ba"', "5"], ['"a"', '"ab"']),
        ({"anything-but": {"prefix": ["a", "b"]}}, ['"c"'], ['"a1"', '"b1"']),
        ({"anything-but": {"suffix": ".tmp"}}, ['"x.json"'], ['"x.tmp"']),
        ({"anything-but": {"wildcard": "*/lib/*"}}, ['"/lib"'], ['"/lib/"', '"a/lib/b"']),
        ({"anything-but": {"wildcard": ["a*", "*z"]}}, ['"b"'], ['"ab"', '"bz"']),
        ({"anything-but": {"equals-ignore-case": "A"}}, ['"b"'], ['"a"', '"A"']),
        ({"anything-but": {"equals-ignore-case": ["A", "b"]}}, ['"c"'], ['"a"', '"B"']),
        ({"numeric": ["=", 1]}, ["1", "1.0", "1e0"], ["true", '"1"', "2", "null"]),
        ({"numeric": [">", 0, "<=", 5]}, ["5", "0.000001", "5.0"], ["0", "5.000001", '"3"', "-1"]),
        ({"numeric": ["<", 10]}, ["-4999999999"], ["10", "-5000000001"]),
        ({"numeric": ["=", 0.3]}, ["0.3", "0.30"], ["0.30000001"]),
        ({"exists": True}, ['"x"', "null", "false", "[1]"], ["[]", "{}", '{"z": 1}']),
        ({"exists": False}, ["[]", "{}", '{"z": 1}'], ["null", "0", '""']),
        ({"cidr": "10.0.0.0/24"}, ['"10.0.0.5"', '"10.0.0.255"'], ['"10.0.1.0"', '"x"', "167772165", '"::a00:5"']),
        ({"cidr": "10.0.0.77/24"}, ['"10.0.0.5"'], ['"10.0.1.0"']),
        ({"cidr": "2001:db8::/32"}, ['"2001:db8::1"'], ['"2001:db9::1"', '"10.0.0.1"']),
    ],
)
def test_an_operator_matches_what_it_says_and_nothing_else(condition: Any, hits: list[str], misses: list[str]) -> None:
    for text in hits:
        assert matched({"k": [condition]}, f'{{"k": {text}}}'), text
    for text in misses:
        assert not matched({"k": [condition]}, f'{{"k": {text}}}'), text


@pytest.mark.parametrize(
    ("pattern", "event", "expected"),
    [
        ({"i": {"a": [1], "b": [2]}}, {"i": [{"a": 1, "b": 3}, {"a": 4, "b": 2}]}, False),
        ({"i": {"a": [1], "b": [2]}}, {"i": [{"a": 4, "b": 2}, {"a": 1, "b": 2}]}, True),
        ({"i": {"a": [1]}, "j": [2]}, {"i": [{"a": 0}, {"a": 1}], "j": [1, 2]}, True),
        ({"i": {"j": {"a": [1], "b": [2]}, "c": [3]}}, {"i": [{"j": [{"a": 1, "b": 2}], "c": 0}, {"c": 3}]}, False),
        ({"i": {"j": {"a": [1], "b": [2]}, "c": [3]}}, {"i": [{"c": 3, "j": [{"a": 9}, {"a": 1, "b": 2}]}]}, True),
        ({"a": {"b": [1]}}, {"a.b": 1}, True),
        ({"a.b": [1]}, {"a": {"b": 1}}, True),
        ({"a": {"b": [{"exists": False}]}}, {"a": 1}, True),
        ({"a": {"b": [{"exists": False}, 2]}}, {"a": {"b": 2}}, True),
        ({"a": {"b": [{"exists": False}, 2]}}, {"a": {"b": 1}}, False),
        ({"i": {"a": [{"exists": False}], "b": [2]}}, {"i": [{"a": 1}, {"b": 2}]}, False),
        ({"$or": [{"k": ["a"]}, {"z": [{"numeric": [">", 1]}]}]}, {"z": 2}, True),
        ({"$or": [{"k": ["a"]}, {"z": [{"numeric": [">", 1]}]}]}, {"z": 1}, False),
        ({"s": [1], "$or": [{"k": ["a"]}, {"k": ["b"]}]}, {"s": 1, "k": "b"}, True),
        ({"s": [1], "$or": [{"k": ["a"]}, {"k": ["b"]}]}, {"k": "b"}, False),
        ({"d": {"$or": [{"k": ["a"]}, {"$or": [{"l": [1]}, {"m": [2]}]}]}}, {"d": {"m": 2}}, True),
        ({"$or": ["x"]}, {"$or": "x"}, True),
    ],
)
def test_fields_nest_and_combine(pattern: Any, event: Any, expected: bool) -> None:
    assert matched(pattern, json.dumps(event)) is expected
    assert matches(compile_pattern(json.dumps(pattern)), event) is expected, "an event of Python's own numbers"


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("{", "Filter is not valid JSON"),
        ('{"k": [NaN]}', "Filter is not valid JSON"),
        ("[]", "Filter is not an object"),
        ("{}", "Empty objects are not allowed"),
        ('{"k": {}}', "Empty objects are not allowed"),
        ('{"k": []}', "Empty arrays are not allowed"),
        ('{"k": "a"}', '"k" must be an object or an array'),
        ('{"k": [["a"]]}', "Match value must be String"),
        ('{"k": [{}]}', "Match expression name not found"),
        ('{"k": [{"prefix": "a", "suffix": "b"}]}', "Only one key allowed"),
        ('{"k": [{"like": "a"}]}', "Unrecognized match type like"),
        ('{"k": [{"prefix": 5}]}', "prefix match pattern must be a string"),
        ('{"k": [{"prefix": {"wildcard": "a"}}]}', "Unsupported prefix pattern: wildcard"),
        ('{"k": [{"exists": "true"}]}', "exists match pattern must be either true or false"),
        ('{"k": [{"numeric": 5}]}', "Value of numeric must be an array"),
        ('{"k": [{"numeric": []}]}', "Invalid member in numeric match"),
        ('{"k": [{"numeric": ["="]}]}', "Value of equals must be numeric"),
        ('{"k": [{"numeric": ["=", "5"]}]}', "Value of equals must be numeric"),
        ('{"k": [{"numeric": ["!=", 5]}]}', "Unrecognized numeric range operator"),
        ('{"k": [{"numeric": ["<", 5, ">", 1]}]}', "Too many elements in numeric expression"),
        ('{"k": [{"numeric": [">", 5, "<", 5]}]}', "Bottom must be less than top"),
        ('{"k": [{"numeric": [">", 1, "<", 5, "<", 7]}]}', "Too many terms"),
        ('{"k": [{"numeric": ["=", 5000000001]}]}', "Value must be between"),
        ('{"k": [{"cidr": "10.0.0.0"}]}', "one '/' required"),
        ('{"k": [{"cidr": "10.0.0.0/x"}]}', "mask bits must be an integer"),
        ('{"k": [{"cidr": "10.0.0.0/33"}]}', "IPv4 mask bits must be < 32"),
        ('{"k": [{"cidr": "10.0.0.300/8"}]}', "Nonstandard IP address"),
        ('{"k": [{"wildcard": "a**b"}]}', "Consecutive wildcard characters at pos 2"),
        ('{"k": [{"wildcard": "a\\\\b"}]}', "Invalid escape character at pos 2"),
        ('{"k": [{"wildcard": "a*\\\\"}]}', "Invalid escape character at pos 3"),
        ('{"k": [{"anything-but": []}]}', "Empty arrays are not allowed"),
        ('{"k": [{"anything-but": ["a", 1]}]}', "mixed type is not supported"),
        ('{"k": [{"anything-but": [true]}]}', "start|null|boolean is not supported"),
        ('{"k": [{"anything-but": null}]}', "Value of anything-but must be"),
        ('{"k": [{"anything-but": {"numeric": ["=", 1]}}]}', "Unsupported anything-but pattern: numeric"),
        ('{"k": [{"anything-but": {"prefix": ""}}]}', "Null prefix/suffix not allowed"),
    ],
)
def test_what_is_no_pattern_is_refused_with_awss_reason(pattern: str, reason: str) -> None:
    with pytest.raises(InvalidPattern) as refused:
        compile_pattern(pattern)
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("dialect", "condition"),
    [
        (MAPPING, {"wildcard": "a*"}),
        (MAPPING, {"cidr": "10.0.0.0/8"}),
        (MAPPING, {"anything-but": {"prefix": "a"}}),
        (SNS, {"prefix": {"equals-ignore-case": "a"}}),
        (SNS, {"anything-but": {"equals-ignore-case": "a"}}),
        (SNS, {"anything-but": {"suffix": "a"}}),
        (SNS, {"numeric": ["<", 2e9]}),
        (SNS, {"wildcard": "a*b*c*d*"}),
    ],
)
def test_a_service_refuses_what_only_another_has(dialect: Any, condition: Any) -> None:
    compile_pattern(json.dumps({"k": [condition]}))
    with pytest.raises(InvalidPattern):
        compile_pattern(json.dumps({"k": [condition]}), dialect)


LEAVES = st.sampled_from([1, 2, "a", "b", None, True])
EVENTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=8,
)
CONDITIONS = st.lists(LEAVES | st.sampled_from([{"exists": True}, {"prefix": "a"}]), min_size=1, max_size=2)
PATTERNS = st.recursive(
    CONDITIONS, lambda inner: st.dictionaries(st.sampled_from("xyz"), inner, min_size=1, max_size=3), max_leaves=4
).filter(lambda found: isinstance(found, dict))


def choices(node: Any, path: str = "") -> Iterator[dict[str, Any]]:
    """Every way to take one element of each array: flat events without arrays."""
    if isinstance(node, dict):
        below = [list(choices(value, f"{path}.{name}".lstrip("."))) for name, value in node.items()]
        for chosen in itertools.product(*below):
            yield {name: value for one in chosen for name, value in one.items()}
    elif isinstance(node, list):
        for element in node:
            yield from choices(element, path)
        if not node:
            yield {}
    else:
        yield {path: node}


def flat(pattern: Any, path: str = "") -> dict[str, Any]:
    if isinstance(pattern, list):
        return {path: pattern}
    return {
        key: value for name, one in pattern.items() for key, value in flat(one, f"{path}.{name}".lstrip(".")).items()
    }


def satisfied(value: Any, conditions: list[Any]) -> bool:
    return any(
        (one == {"exists": True})
        or (one == {"prefix": "a"} and value == "a")
        or (type(one) is type(value) and one == value)
        for one in conditions
    )


@given(PATTERNS, st.dictionaries(st.sampled_from("xyz"), EVENTS, max_size=3))
def test_a_pattern_matches_when_one_choice_of_elements_does(pattern: Any, event: Any) -> None:
    expected = any(
        all(path in one and satisfied(one[path], conditions) for path, conditions in flat(pattern).items())
        for one in choices(event)
    )
    assert matched(pattern, json.dumps(event)) is expected


@given(st.text("ab*\\\n", max_size=6).filter(lambda text: text.count("*") < 4), st.text("ab*\\\n", max_size=6))
def test_a_wildcard_means_what_its_text_says(text: str, value: str) -> None:
    characters: list[str] = []
    at = 0
    while at < len(text):
        if text[at] == "\\" and text[at + 1 : at + 2] in ("*", "\\"):
            characters.append(text[at + 1])
            at += 1
        elif text[at] == "\\" or text[at : at + 2] == "**":
            with pytest.raises(InvalidPattern):
                compile_pattern(json.dumps({"k": [{"wildcard": text}]}))
            return
        else:
            characters.append("" if text[at] == "*" else text[at])
        at += 1

    def fits(rest: list[str], left: str) -> bool:
        if not rest:
            return not left
        if rest[0] == "":
            return any(fits(rest[1:], left[skip:]) for skip in range(len(left) + 1))
        return left[:1] == rest[0] and fits(rest[1:], left[1:])

    assert matched({"k": [{"wildcard": text}]}, json.dumps({"k": value})) is fits(characters, value)
