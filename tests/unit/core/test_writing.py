"""Many calls at the same time."""

import threading

import pytest

from core.transform.writing import FEW, in_order


@pytest.mark.parametrize("count", [0, 1, FEW, FEW + 1, 1000])
def test_results_come_in_the_order_of_the_items(count: int) -> None:
    assert in_order(lambda item: item * 2, iter(range(count))) == [item * 2 for item in range(count)]


def test_few_items_are_worked_on_here_and_many_by_others() -> None:
    here = threading.get_ident()
    assert set(in_order(lambda _: threading.get_ident(), range(FEW))) == {here}
    assert here not in in_order(lambda _: threading.get_ident(), range(FEW + 1))


@pytest.mark.parametrize("count", [FEW, 1000])
def test_the_first_error_ends_it(count: int) -> None:
    done = []

    def work(item: int) -> None:
        if item == 10:
            raise OSError("no")
        done.append(item)

    with pytest.raises(OSError, match="no"):
        in_order(work, range(count))
    assert len(done) < 200


def test_items_are_made_as_they_are_needed() -> None:
    made, done = [0], [0]

    def items() -> object:
        for item in range(500):
            made[0] += 1
            assert made[0] - done[0] < 120
            yield item

    def work(_: object) -> None:
        done[0] += 1

    in_order(work, items())  # type: ignore[arg-type]
    assert done == [500]
