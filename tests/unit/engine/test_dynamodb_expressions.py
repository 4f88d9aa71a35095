"""DynamoDB's expressions: what they mean, and what is refused in which words.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html
"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_ext.dynamodb import values
from sluice_ext.dynamodb.errors import DynamoError
from sluice_ext.dynamodb.expressions import conditions, paths, updates

ITEM = {
    "a": {"N": "5"},
    "s": {"S": "text"},
    "l": {"L": [{"N": "1"}, {"N": "2"}, {"N": "3"}]},
    "m": {"M": {"k": {"S": "v"}, "l": {"L": [{"M": {"x": {"N": "1"}}}]}}},
    "ss": {"SS": ["u", "v"]},
}
GIVEN = {":n": {"N": "3"}, ":s": {"S": "te"}, ":ss": {"SS": ["v", "w"]}, ":l": {"L": [{"S": "z"}]}, ":five": {"N": "5"}}


def holds(text: str, item: dict[str, Any] = ITEM) -> bool:
    parsed = conditions.parse("ConditionExpression", text, ())
    conditions.check_types("ConditionExpression", parsed, GIVEN)
    return conditions.holds(parsed.tree, item, GIVEN)


def updated(text: str, item: dict[str, Any] = ITEM) -> dict[str, Any]:
    parsed = updates.parse(text, ())
    updates.check_types(parsed, GIVEN)
    return updates.apply(parsed.tree, item, GIVEN)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a > :n AND begins_with(s, :s)", True),
        ("a = :n OR NOT s = :s", True),
        ("NOT a > :n AND a > :n", False),
        ("a BETWEEN :n AND :five", True),
        ("a IN (:n, :five)", True),
        ("size(l) = :n", True),
        ("contains(ss, :s)", False),
        ("m.l[0].x < :n", True),
        ("m.l[7].x < :n", False),
        ("attribute_not_exists(m.gone)", True),
        ("gone <> :n", True),
        ("gone = :n", False),
        ("s < :n", False),  # of another type
        ("(a = :five) AND (s <> :s)", True),
    ],
)
def test_conditions(text: str, expected: bool) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("SET a = a - :n", {"a": {"N": "2"}}),
        ("SET c = (if_not_exists(c, :n) + :five)", {"c": {"N": "8"}}),
        ("SET l[1] = :n, l[9] = :five", {"l": {"L": [{"N": "1"}, {"N": "3"}, {"N": "3"}, {"N": "5"}]}}),
        ("REMOVE l[0], l[2]", {"l": {"L": [{"N": "2"}]}}),
        ("SET l = list_append(:l, l)", {"l": {"L": [{"S": "z"}, *ITEM["l"]["L"]]}}),  # type: ignore[index]
        ("ADD ss :ss", {"ss": {"SS": ["u", "v", "w"]}}),
        ("DELETE ss :ss", {"ss": {"SS": ["u"]}}),
        ("ADD new :n", {"new": {"N": "3"}}),
        ("SET m.k = a, a = :n", {"m": {"M": {**ITEM["m"]["M"], "k": {"N": "5"}}}, "a": {"N": "3"}}),  # type: ignore[dict-item]
    ],
)
def test_updates_read_the_item_as_it_was(text: str, changed: dict[str, Any]) -> None:
    before = json.dumps(ITEM)
    assert updated(text) == ITEM | changed
    assert json.dumps(ITEM) == before


def test_the_last_member_of_a_set_takes_the_attribute_with_it() -> None:
    assert updated("DELETE ss :ss", {"ss": {"SS": ["w"]}}) == {}


@pytest.mark.parametrize(
    ("call", "text", "message"),
    [
        (holds, "a = ", 'Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "="'),
        (holds, "((a = :n))", "The expression has redundant parentheses;"),
        (holds, "foo(a)", "Invalid function name; function: foo"),
        (holds, "begins_with(a)", "operator or function: begins_with, number of operands: 1"),
        (holds, "begins_with(a, :n)", "operator or function: begins_with, operand type: N"),
        (holds, "a BETWEEN :five AND :n", "upper bound to be greater than or equal to lower bound"),
        (holds, "a = a", "The first operand must be distinct from the remaining operands"),
        (holds, "size(a)", "not allowed to be used this way in an expression; function: size"),
        (updated, "SET a = :n SET s = :s", 'The "SET" section can only be used once'),
        (updated, "SET m.k = :n, m = :n", "Two document paths overlap with each other"),
        (updated, "SET m.k = :n, m[0] = :n", "Two document paths conflict with each other"),
        (updated, "SET gone.k = :n", "The document path provided in the update expression is invalid for update"),
        (updated, "SET a = gone", "refers to an attribute that does not exist in the item"),
        (updated, "SET a = s + :n", "An operand in the update expression has an incorrect data type"),
        (updated, "ADD a :s", "operator: ADD, operand type: STRING"),
        (updated, "SET a = size(l)", "The function is not allowed in an update expression; function: size"),
        (updated, " ", "Invalid UpdateExpression: The expression can not be empty;"),
    ],
)  # fmt: skip
def test_faults_are_worded_as_on_aws(call: Any, text: str, message: str) -> None:
    with pytest.raises(DynamoError) as caught:
        call(text)
    assert message in caught.value.message
    assert caught.value.code == "ValidationException"


def test_a_projection_has_only_its_paths() -> None:
    parsed = paths.parse_projection("#l[2], #l[0], m.l[0].x, gone.k", (("#l", "l"),))
    assert parsed.names == {"#l"}
    assert paths.project(ITEM, parsed.tree) == {
        "l": {"L": [{"N": "1"}, {"N": "3"}]},
        "m": {"M": {"l": {"L": [{"M": {"x": {"N": "1"}}}]}}},
    }


scalars = st.one_of(
    st.builds(lambda n: {"N": str(n)}, st.integers(-50, 50)),
    st.builds(lambda s: {"S": s}, st.text(max_size=3)),
    st.builds(lambda b: {"BOOL": b}, st.booleans()),
)
nested = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.builds(lambda found: {"L": found}, st.lists(inner, max_size=3)),
        st.builds(lambda found: {"M": found}, st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
    ),
    max_leaves=8,
)


@given(nested, nested)
def test_equal_means_equal_in_every_way_and_differs_is_its_opposite(left: Any, right: Any) -> None:
    given_ = {":v": values.normal(right)}
    item = {"x": values.normal(left)}
    equal = conditions.parse("FilterExpression", "x = :v", ()).tree
    differs = conditions.parse("FilterExpression", "x <> :v", ()).tree
    assert conditions.holds(equal, item, given_) == (left == right)
    assert conditions.holds(differs, item, given_) == (left != right)


@given(st.text(max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for parse in (
        lambda: conditions.parse("ConditionExpression", text, ()),
        lambda: updates.parse(text, ()),
        lambda: paths.parse_projection(text, ()),
    ):
        assert outcome(parse) in ("parsed", "ValidationException")


def outcome(parse: Any) -> str:
    """`parsed`, or the code of the error."""
    try:
        parse()
    except DynamoError as error:
        return error.code
    return "parsed"
