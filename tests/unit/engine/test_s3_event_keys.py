"""Keys in S3's event notifications and the filters that compare them.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html
"""

import re
from typing import Any
from urllib.parse import unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_ext.s3.event_keys import encoded, overlapping, passes

KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
NAMES = st.text("ab/", max_size=3)


@given(KEYS)
def test_a_key_is_what_unquote_plus_makes_of_its_encoding(key: str) -> None:
    assert unquote_plus(encoded(key)) == key
    assert re.fullmatch(r"(?:[A-Za-z0-9/_.*~+-]|%[0-9A-F]{2})+", encoded(key))


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("red flower.jpg", "red+flower.jpg"),  # the page's own example
        ("a+b=c&d", "a%2Bb%3Dc%26d"),
        ("100%25", "100%2525"),
        ("year=2026/東京 (1).json", "year%3D2026/%E6%9D%B1%E4%BA%AC+%281%29.json"),
        ("safe/-_.", "safe/-_."),
    ],
)
def test_a_blank_is_a_plus_and_a_slash_stays(key: str, expected: str) -> None:
    assert encoded(key) == expected


@given(KEYS, st.integers(0, 40), st.integers(0, 40))
def test_a_filter_of_an_encoded_prefix_and_suffix_passes_what_has_them(key: str, start: int, end: int) -> None:
    prefix, suffix = key[:start], key[len(key) - end :] if end else ""
    rules = [{"Name": "Prefix", "Value": encoded(prefix)}, {"Name": "suffix", "Value": encoded(suffix)}]
    assert passes(rules, key)
    assert not passes([{"Name": "prefix", "Value": encoded(key + "x")}], key)


def test_a_filter_needs_the_encoded_form_but_of_safe_characters() -> None:
    assert passes([{"Name": "prefix", "Value": "in+box/year%3d2026"}], "in box/year=2026/a")
    assert passes([{"Name": "suffix", "Value": "(1).json"}], "a(1).json")
    assert passes([{"Name": "suffix", "Value": "%281%29.json"}], "a(1).json")
    assert not passes([{"Name": "prefix", "Value": "in box/"}], "in box/a")
    assert not passes([{"Name": "prefix", "Value": "year=2026/"}], "year=2026/a")


def _configuration(prefix: str, suffix: str, event: str) -> dict[str, Any]:
    rules = [{"Name": "prefix", "Value": prefix}, {"Name": "suffix", "Value": suffix}]
    return {"Events": [f"s3:ObjectCreated:{event}"], "Filter": {"Key": {"FilterRules": rules}}}


@given(st.tuples(NAMES, NAMES), st.tuples(NAMES, NAMES), st.text("ab/", max_size=6))
def test_two_configurations_that_pass_one_key_overlap(one: Any, other: Any, key: str) -> None:
    both = [_configuration(*one, "Put"), _configuration(*other, "*")]
    passed = [passes(each["Filter"]["Key"]["FilterRules"], key) for each in both]
    if all(passed):
        assert overlapping(both)
    assert not overlapping([_configuration(*one, "Put"), _configuration(*other, "Copy")])
    assert not overlapping([_configuration("a" + one[0], one[1], "Put"), _configuration("b" + other[0], "", "Put")])
