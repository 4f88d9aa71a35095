"""Queries that answer page by page, whatever the branch."""

from __future__ import annotations

from typing import Any, Protocol

import pytest

from sluice_pipeline.dynamo.pages import InvalidQuery, Page


class Query(Protocol):
    """A question; pages of its answer begin at a cursor and have at most ``limit`` rows."""

    def __call__(self, *, limit: int = ..., cursor: str = ...) -> Page: ...


class Pages(Protocol):
    """The same, with pages of one size."""

    def __call__(self, *, cursor: str) -> Page: ...


def all_pages(query: Pages) -> tuple[list[dict[str, Any]], int]:
    """All rows, and on how many pages they came."""
    found: list[dict[str, Any]] = []
    cursor, pages = "", 0
    while pages == 0 or cursor:
        page = query(cursor=cursor)
        found += page.items
        cursor, pages = page.cursor, pages + 1
    return found, pages


def assert_cursors_are_checked(one: Query, other: Query) -> None:
    """The cursor of a page of two rows, of more, is refused by another query; so is what is no cursor."""
    page = one(limit=2)
    assert (len(page.items), bool(page.cursor)) == (2, True)
    with pytest.raises(InvalidQuery, match="none of this query"):
        other(limit=2, cursor=page.cursor)
    for wrong in ("!", "bm90IGpzb24", page.cursor[:-3]):
        with pytest.raises(InvalidQuery):
            one(cursor=wrong)
