"""Keys of several parts: distinct parts make distinct keys, and a key says which parts it was made of."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from sluice_pipeline.dynamo.keys import SORT_KEY_BYTES, former_key, index_key, is_plain, join_key, key_part, split_key

LONG = "x" * 2000
CUT = f"{'x' * 100}~{hashlib.sha256(LONG.encode()).hexdigest()}"  # what the long part becomes
# Texts full of what means something in a key, so that collisions are likely if there are any.
PIECES = st.sampled_from(["#", "\\", "(empty)", "~", "a", "b", "", CUT, "x" * 100, "\n", "é"])
PARTS = st.lists(PIECES, max_size=4).map("".join) | st.text(max_size=8)
KEYS = st.lists(PARTS, min_size=1, max_size=4).map(tuple)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a#b", "c"), ("a", "b#c")),
        (("a", "b", "c"), ("a#b", "c")),
        (("a\\", "b"), ("a\\#b",)),
        (("",), ("(empty)",)),
        (("(empty)",), ("\\(empty)",)),
        (("", ""), ("",)),
        ((LONG,), (CUT,)),
        ((LONG,), (LONG + "x",)),
    ],
)
def test_parts_that_once_made_one_key_make_two(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert join_key(*one) != join_key(*other)


@given(KEYS, KEYS)
@example(("a#b", "c"), ("a", "b#c"))
@example(("\\",), ("\\\\",))
@example((CUT,), (LONG,))
@example((CUT[:100] + "\\" + CUT[100:],), (CUT,))
def test_distinct_parts_make_distinct_keys(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assume(one != other)
    assert join_key(*one) != join_key(*other)


@given(KEYS)
def test_a_key_says_its_parts(parts: tuple[str, ...]) -> None:
    """Unless it was too long as a whole."""
    assume(len("#".join(map(key_part, (*parts, "end"))).encode()) <= SORT_KEY_BYTES)
    found = split_key(join_key(*parts))
    assert len(found) == len(parts)
    for part, again in zip(parts, found, strict=True):
        if len(key_part(part).encode()) < 512 and "~" not in key_part(part)[100:]:
            assert again == part
    assert split_key(join_key(*parts, "end"))[-1] == "end"


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="#\\")).filter(bool), min_size=1, max_size=3))
def test_a_key_without_separators_stays_as_it_was(parts: list[str]) -> None:
    assume("(empty)" not in parts)
    assert join_key(*parts) == former_key(*parts) == "#".join(map(former_key, parts))
    assert all(map(is_plain, parts)) == all(len(part.encode()) <= 512 for part in parts)


@pytest.mark.parametrize("text", ["", "#" * 300, "\\" * 512, "é" * 257, "#" * 5000, "x" * 513, "𝄞" * 200])
def test_a_part_is_never_empty_and_never_longer_than_512_bytes(text: str) -> None:
    assert 0 < len(key_part(text).encode()) <= 512
    assert 0 < len(index_key("feedback", text).encode()) <= 521


@given(st.text(min_size=100), st.text(min_size=100))
def test_long_parts_keep_apart(one: str, other: str) -> None:
    assume(one != other)
    assert key_part(one * 6) != key_part(other * 6) or one * 6 == other * 6


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)), st.timedeltas())
def test_times_sort_as_keys(at: datetime, later: timedelta) -> None:
    try:
        other = at + later
    except OverflowError:
        return
    assert (join_key(at) < join_key(other)) == (at < other)
    assert split_key(join_key("x", at)) == ("x", key_part(at))


@given(PARTS, PARTS)
def test_an_indexs_partition_is_of_one_value(one: str, other: str) -> None:
    assert (index_key("feedback", one) == index_key("feedback", other)) == (one == other)


@given(st.text(min_size=1, max_size=40))
def test_an_indexs_partition_has_separators_so_that_stored_items_are_found(value: str) -> None:
    assume("(empty)" not in value)
    assert index_key("feedback", value) == f"feedback#{value}"


def test_no_part_makes_the_empty_key() -> None:
    assert (join_key(), split_key("")) == ("", ())
    assert split_key(join_key("")) == ("",)
