"""The files of a chunk in its own item or in pages: every reader gets the same list."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_pipeline.ledger import files
from sluice_pipeline.ledger.items import Output, QuarantineFile, chunk_number, chunk_sk
from sluice_pipeline.objects.keys import quarantine_key, silver_key

SK = chunk_sk(7)


def outputs(count: int) -> list[Output]:
    keys = [silver_key("shipments", f"{2000 + day // 366:04d}-{day:06d}", "0" * 32, 7) for day in range(count)]
    return [Output(key=key, dataset="shipments", dt=key[20:30], rows=1, bytes=9_000) for key in keys]


def rejected(count: int) -> list[QuarantineFile]:
    return [QuarantineFile(key=quarantine_key(f"d{n}", "0" * 32, 7), dataset=f"d{n}", rows=1) for n in range(count)]


def chunk(run: int, pages: int) -> dict[str, Any]:
    return {"pk": "object#a", "sk": SK, "outputs": [], "quarantine": [], "files_run": run, "files_pages": pages}


def test_few_files_are_in_the_chunks_item() -> None:
    assert files.in_pages(SK, 1, outputs(900), rejected(3)) == []


@given(st.integers(0, 5000), st.integers(0, 3000), st.integers(1, 3))
def test_joined_pages_are_what_was_written_and_no_page_is_too_large(good: int, bad: int, run: int) -> None:
    pages = files.in_pages(SK, run, outputs(good), rejected(bad))
    if not pages:
        return
    assert len({page["sk"] for page in pages}) == len(pages)
    assert all(len(json.dumps(page).encode()) < 2 * files.PAGE_BYTES for page in pages)
    others = files.in_pages(SK, run + 1, outputs(5000), []) + files.in_pages(chunk_sk(8), run, outputs(5000), [])
    found = files.joined(chunk(run, len(pages)), [*others, *reversed(pages)])
    assert found is not None
    assert (found["outputs"], found["quarantine"]) == (outputs(good), rejected(bad))


def test_a_page_that_is_not_there_is_noticed() -> None:
    pages = files.in_pages(SK, 1, outputs(5000), [])
    assert files.joined(chunk(1, len(pages)), pages[1:]) is None
    assert files.joined(chunk(2, len(pages)), pages) is None


def test_more_pages_than_the_item_names_count_for_nothing() -> None:
    """A delivery of the same run that was not counted may have written more."""
    pages = files.in_pages(SK, 1, outputs(5000), [])
    found = files.joined(chunk(1, len(pages) - 1), pages)
    assert found is not None
    assert len(found["outputs"]) == 5000 - len(pages[-1]["outputs"])


@pytest.mark.parametrize(("index", "sk"), [(0, "chunk#00000"), (99_999, "chunk#99999"), (100_000, "chunk#~0000100000")])
def test_chunks_have_their_numbers(index: int, sk: str) -> None:
    assert chunk_sk(index) == sk
    assert chunk_number(sk) == index


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_chunks_sort_by_number_also_beyond_five_digits(one: int, other: int) -> None:
    assert (chunk_sk(one) < chunk_sk(other)) == (one < other)
