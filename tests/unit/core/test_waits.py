"""The waits between two looks of a workflow."""

from hypothesis import given
from hypothesis import strategies as st

from sluice_pipeline.waits import MAX_LOOKS, next_wait


@given(st.integers(1, 604_800), st.floats(0, 5))
def test_a_run_looks_at_most_so_often_before_its_deadline_and_soon_after_it(deadline: int, each: float) -> None:
    """``each``: the seconds that a look itself takes."""
    elapsed, looks = 0.0, 0
    while elapsed <= deadline:
        looks += 1
        elapsed += each + next_wait(elapsed, deadline)
    assert looks <= MAX_LOOKS
    assert elapsed - deadline <= each + 1 + 1e-6  # sums of floats


@given(st.integers(1, 604_800), st.floats(0, 604_800))
def test_a_wait_is_at_most_a_tenth_of_what_has_passed_and_a_minute_of_six_hours(deadline: int, elapsed: float) -> None:
    wait = next_wait(elapsed, deadline)
    assert 1 <= wait <= max(1, elapsed / 10)
    assert wait <= max(60, deadline / 360)
