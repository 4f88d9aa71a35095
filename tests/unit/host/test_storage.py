"""Work on many things at once: the results in order, and no more begun than is about to be read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sluice.pipeline.storage import AHEAD, in_parallel


def test_results_come_in_order_and_few_are_begun_before_they_are_read() -> None:
    asked: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(1_000):
            asked.append(number)
            yield number

    for read, result in enumerate(in_parallel(lambda number: number * 2, numbers())):
        assert result == read * 2
        assert len(asked) <= read + AHEAD + 1
    assert len(asked) == 1_000


def test_the_first_error_ends_it() -> None:
    done: list[int] = []

    def work(number: int) -> int:
        if number == 3:
            raise ValueError("the third")
        done.append(number)
        return number

    with pytest.raises(ValueError, match="the third"):
        list(in_parallel(work, range(1_000)))
    assert len(done) <= 2 * AHEAD
