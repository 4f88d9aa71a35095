"""Filter patterns of CloudWatch Logs.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_ext.logs.filters import InvalidFilter, compile_filter

REQUEST = '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534'


def matched(pattern: str, message: str) -> bool:
    return compile_filter(pattern)(message) is not None


@pytest.mark.parametrize(
    ("pattern", "hits", "misses"),
    [
        ("", ["", "anything"], []),
        ("ERROR", ["[ERROR 400] BAD REQUEST", "ERROR"], ["error", "ERRO R"]),
        ("ERROR ARGUMENTS", ["[ERROR 419] MISSING ARGUMENTS"], ["[ERROR 400] BAD REQUEST"]),
        ("?ERROR ?ARGUMENTS", ["ERROR", "ARGUMENTS"], ["WARN"]),
        ("ERROR -ARGUMENTS", ["[ERROR 400]"], ["[ERROR 419] MISSING ARGUMENTS", "WARN"]),
        ("-ERROR", ["INFO"], ["ERROR"]),
        ("INFO ?ERROR", ["INFO"], ["ERROR"]),  # optional terms are ignored beside others
        ('"INTERNAL SERVER ERROR"', ["[ERROR 500] INTERNAL SERVER ERROR"], ["INTERNAL ERROR"]),
        ('-"a b" c', ["c", "a c"], ["a b c"]),
        (r'"say \"no\""', ['say "no"'], ["say no"]),
        ("%AUTHORIZED%", ["UNAUTHORIZED"], ["authorized"]),
        (r"%4\d\d%", ["ERROR 401"], ["ERROR 500"]),
        ("%^ERR%", ["ERROR"], ["an ERROR"]),
        ("%colou?r|gr[ae]y%", ["color", "grey"], ["gry"]),
        ("{ $.eventType = UpdateTrail }", ['{"eventType": "UpdateTrail"}'], ['{"eventType": "UpdateTrail2"}', "x"]),
        (
            '{ $.eventType = "Update*" }',
            ['{"eventType": "UpdateTrail"}'],
            ['{"eventType": "Trail"}', '{"eventType": 1}'],
        ),
        ("{ $.ip != 123.123.* }", ['{"ip": "12.1.1.1"}'], ['{"ip": "123.123.1.1"}', "{}"]),
        ("{ $.a[0] = x }", ['{"a": ["x", "y"]}'], ['{"a": ["y", "x"]}', '{"a": []}', '{"a": "x"}']),
        ("{ $.a[*].b = 1 }", ['{"a": [{"b": 0}, {"b": 1}]}'], ['{"a": [{"b": 0}]}']),
        ("{ $.['a b'].c = 1 }", [], []),
        ("{ $['a b'].c = 1 }", ['{"a b": {"c": 1.0}}'], ['{"a b": {"c": "1"}}', '{"a b": {"c": true}}']),
        ("{ $.n >= 4e2 }", ['{"n": 400}', '{"n": 400.5}'], ['{"n": 399}', '{"n": "401"}', '{"n": null}']),
        ("{ $.n != 1 }", ['{"n": 2}', '{"n": "1"}'], ['{"n": 1.0}', "{}"]),
        ("{ $.x IS NULL }", ['{"x": null}'], ['{"x": 0}', "{}"]),
        ("{ $.x NOT EXISTS }", ["{}"], ['{"x": null}']),
        ("{ $.x IS TRUE }", ['{"x": true}'], ['{"x": "true"}', '{"x": 1}', '{"x": false}']),
        ("{ $.x IS FALSE }", ['{"x": false}'], ['{"x": null}', "{}"]),
        ("{ $.m = %4[0-9]{2}% }", ['{"m": "an 404"}'], ['{"m": "500"}', '{"m": 404}']),
        ("{ ($.a = 1 || $.b = 2) && $.c = 3 }", ['{"a": 1, "c": 3}', '{"b": 2, "c": 3}'], ['{"a": 1}', '{"c": 3}']),
        ("{ $.a = 1 || $.b = 2 && $.c = 3 }", ['{"a": 1}'], ['{"b": 2}']),
        ("[ip, user, username, timestamp, request, status_code, bytes]", [REQUEST], ["one two"]),
        ("[ip, id, user, timestamp, request = *html*, status_code = 4*, bytes > 1000]", [REQUEST], [REQUEST + " more"]),
        ("[..., status = 404 || status = 410, bytes]", [REQUEST, "410 1"], ["411 1", "404"]),
        ("[ip, ..., status = 4* && status != 404, bytes]", ["i 403 1"], [REQUEST]),
        ("[w1 = ERROR, ...]", ["ERROR", "ERROR and more"], ["an ERROR"]),
        ("[w1 = %ERR%, w2]", ["xERRx 1"], ["x 1"]),
        ('[w1 != "INFO"]', ["WARN"], ["INFO"]),
        # No page has it; recorded of AWS: PutSubscriptionFilter accepts it.
        ("[]", [REQUEST, "one", ""], []),
    ],
)
def test_a_pattern_matches_what_awss_page_says(pattern: str, hits: list[str], misses: list[str]) -> None:
    if not hits:
        with pytest.raises(InvalidFilter):
            compile_filter(pattern)
    for message in hits:
        assert matched(pattern, message), message
    for message in misses:
        assert not matched(pattern, message), message


@pytest.mark.parametrize(
    "pattern",
    [
        "a:b",
        "request-id",
        '"no end',
        'a"b"',
        "{",
        "{ }",
        "{ $.a }",
        "{ a = 1 }",
        "{ $.a = 1 } x",
        "{ $.a = 1 && }",
        "{ ($.a = 1 }",
        '{ $.a > "x" }',
        "{ $.a IS EMPTY }",
        "[a, b",
        "[a,]",
        "[,]",
        "[a, , b]",
        "[..., ...]",
        "[a = 1 || b = 2]",
        "%a(b)%",
        "{ $.a = %x% || $.b = %x% || $.c = %x% }",
        "%a!%",
        "%[%",
        "-",
        "?",
    ],
)
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidFilter):
        compile_filter(pattern)


def test_a_match_has_the_values_for_a_metric() -> None:
    found = compile_filter("[ip, ..., status, bytes]")(REQUEST)
    assert found is not None
    assert (found["$ip"], found["$status"], found["$bytes"]) == ("127.0.0.1", "404", "1534")
    of_json = compile_filter("{ $.a.b = * }")('{"a": {"b": "x", "c": [1, 2.5]}}')
    assert of_json is not None
    assert (of_json["$.a.b"], float(of_json["$.a.c[1]"]), of_json.get("$.z")) == ("x", 2.5, None)


WORDS = st.lists(
    st.tuples(st.sampled_from(["", "-", "?"]), st.sampled_from(["ab", "b", "c_1"])), min_size=1, max_size=4
)


@given(WORDS, st.text("abc_1 ", max_size=8))
def test_terms_mean_all_of_the_required_none_of_the_excluded_else_any_of_the_optional(
    terms: list[tuple[str, str]], message: str
) -> None:
    kinds = {sign: [word for found, word in terms if found == sign] for sign in ("", "-", "?")}
    others = kinds[""] or kinds["-"]
    all_of = all(word in message for word in kinds[""]) and not any(word in message for word in kinds["-"])
    expected = all_of if others else any(word in message for word in kinds["?"])
    assert matched(" ".join(sign + word for sign, word in terms), message) is expected


@given(st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), st.integers(-3, 3), st.integers(-3, 3) | st.text(max_size=2))
def test_numbers_compare_as_numbers(sign: str, wanted: int, found: int | str) -> None:
    number = isinstance(found, int)
    python = {"=": "==", "!=": "!="}.get(sign, sign)
    expected = eval(f"{found} {python} {wanted}") if number else sign == "!="
    assert matched(f"{{ $.n {sign} {wanted} }}", json.dumps({"n": found})) is expected
