"""Pages of S3's lists against a plain model: every key once, in the order of its bytes, whatever is asked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import RLock
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_ext.s3.pages import encoded, page
from sluice_ext.s3.sorted_keys import SortedKeys

PARTS = st.text(st.sampled_from("ab/ %é\u2603\U0001f600+~!"), min_size=1, max_size=6)
KEYS = st.lists(PARTS, max_size=12, unique=True)


def model(keys: list[str], prefix: str, delimiter: str) -> list[str]:
    """What a list shows, in order: keys, and each common prefix once.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html (CommonPrefixes)
    """
    shown: list[str] = []
    for key in sorted((key for key in keys if key.startswith(prefix)), key=str.encode):
        rest = key[len(prefix) :]
        one = prefix + rest.split(delimiter)[0] + delimiter if delimiter and delimiter in rest else key
        if one not in shown:
            shown.append(one)
    return shown


@given(
    keys=KEYS,
    gone=st.sets(st.integers(0, 11)),
    prefix=st.one_of(st.just(""), PARTS),
    delimiter=st.sampled_from(["", "/", "a", "/ "]),
    limit=st.integers(1, 4),
)
def test_all_pages_together_are_the_list(
    keys: list[str], gone: set[int], prefix: str, delimiter: str, limit: int
) -> None:
    present = {key for number, key in enumerate(keys) if number not in gone}
    options: dict[str, Any] = {"prefix": prefix, "delimiter": delimiter, "limit": limit}

    def entries_of(key: str) -> list[str]:
        return [key] if key in present else []

    shown: list[str] = []
    start: str | None = ""
    while start is not None:
        found = page(sorted(keys), entries_of, start=start, **options)
        assert found.count <= limit
        assert found.count == limit or found.following is None
        shown += sorted([*found.entries, *found.prefixes], key=str.encode)
        start = found.following
    assert shown == model(list(present), prefix, delimiter)


@given(keys=KEYS, delimiter=st.sampled_from(["", "/", "a"]), limit=st.integers(1, 4))
def test_pages_that_begin_after_the_last_thing_shown_are_the_list_too(
    keys: list[str], delimiter: str, limit: int
) -> None:
    """NextMarker and NextKeyMarker: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html"""
    shown: list[str] = []
    marker = ""
    while True:
        start = f"{marker}\0" if marker else ""
        found = page(
            sorted(keys),
            lambda key: [key],
            prefix="",
            delimiter=delimiter,
            start=start,
            limit=limit,
            shown=marker,
        )
        shown += sorted([*found.entries, *found.prefixes], key=str.encode)
        if found.following is None:
            break
        marker = found.last
    assert shown == model(keys, "", delimiter)


@given(PARTS)
def test_an_encoded_key_is_the_key_again(key: str) -> None:
    assert encoded(key, None) == key
    text = encoded(key, "url")
    assert unquote(text) == key
    assert text.isascii()
    assert " " not in text


class Store:
    """A bucket's keys, as LocalStack has them."""

    def __init__(self) -> None:
        self._store: dict[str, int] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._store


@given(st.lists(st.tuples(st.sampled_from(["set", "pop", "list"]), PARTS), max_size=40))
def test_sorted_keys_follow_every_change(changes: list[tuple[str, str]]) -> None:
    store, keys = Store(), SortedKeys(RLock())
    for what, key in changes:
        if what == "set":
            keys.adds(store, key)
            store._store[key] = 1
        elif what == "pop":
            store._store.pop(key, None)
        else:
            found = keys.of(store)
            assert found == sorted(set(found))
            assert [key for key in found if key in store] == sorted(store._store)


def test_a_first_list_beside_a_change_waits_for_it() -> None:
    """A key that is about to be set when the bucket is listed for the first time is in every later list."""
    store, keys = Store(), SortedKeys(RLock())
    with ThreadPoolExecutor(1) as other:
        with keys.lock:
            keys.adds(store, "new")
            listed = other.submit(keys.of, store)
            with pytest.raises(TimeoutError):
                listed.result(0.2)
            store._store["new"] = 1
        assert listed.result(5) == ["new"]
    assert keys.of(store) == ["new"]


def test_keys_that_are_gone_are_forgotten_when_they_are_very_many() -> None:
    store, keys = Store(), SortedKeys(RLock())
    for number in range(5000):
        keys.adds(store, f"{number:05d}")
        store._store[f"{number:05d}"] = 1
    assert len(keys.of(store)) == 5000
    for number in range(4990):
        del store._store[f"{number:05d}"]
    assert len(keys.of(store)) == 10
