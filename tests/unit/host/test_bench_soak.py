"""Whether memory grew: what is compared, and when it is a failure."""

from __future__ import annotations

import pytest

from sluice.bench import soak
from sluice.bench.soak import Sample
from sluice.console import SluiceError


def samples(engine: list[int]) -> list[Sample]:
    return [Sample(5.0 * n, 25 * n, value, 0, 2) for n, value in enumerate(engine)]


def test_the_end_is_compared_with_the_time_after_the_warm_up() -> None:
    # 20 samples: the first 4 are the warm-up, the next 4 the beginning, the last 4 the end.
    found = soak.growth(samples([1] * 4 + [100, 90, 110, 100] + [999] * 8 + [108, 110, 112, 110]))
    assert (found.first, found.last, found.objects) == (100, 110, 300)
    assert found.factor == pytest.approx(1.10)


@pytest.mark.parametrize(("last", "accepted"), [(100, True), (110, True), (111, False)])
def test_growth_of_a_tenth_is_accepted(last: int, accepted: bool) -> None:
    found = soak.growth(samples([100] * 8 + [last] * 4))
    assert found.accepted is accepted
    if accepted:
        soak.check(found)
    else:
        with pytest.raises(SluiceError, match="grew by 11 % under load, and 10 % are accepted") as failed:
            soak.check(found)
        assert failed.value.code == 1


def test_memory_that_falls_is_no_growth() -> None:
    assert soak.growth(samples([200] * 8 + [100] * 4)).factor == 0.5


def test_too_few_samples_say_nothing() -> None:
    with pytest.raises(ValueError, match="9 samples"):
        soak.growth(samples([1] * 9))
