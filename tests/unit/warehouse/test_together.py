"""load: which objects share a transaction. tests/e2e/warehouse/test_load_together.py has what becomes of them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from warehouse.load import together

SIZES = st.lists(st.tuples(st.integers(0, 2 * together.MAXIMUM_BYTES), st.integers(0, 2 * together.MAXIMUM_ROWS)))


@given(SIZES)
def test_a_group_is_within_its_bounds_and_leaves_out_only_what_would_exceed_them(sizes: list[tuple[int, int]]) -> None:
    found: Any = [(n, {}, [{"bytes": size, "rows": rows}]) for n, (size, rows) in enumerate(sizes)]
    fit = [one[0] for one in together._that_fit(found)]
    assert fit == sorted(fit)

    def total(numbers: list[int]) -> tuple[int, int]:
        return sum(sizes[n][0] for n in numbers), sum(sizes[n][1] for n in numbers)

    def is_within(numbers: list[int]) -> bool:
        size, rows = total(numbers)
        return size <= together.MAXIMUM_BYTES and rows <= together.MAXIMUM_ROWS

    assert is_within(fit)
    for n in set(range(len(sizes))) - set(fit):
        assert not is_within([*(one for one in fit if one < n), n])
