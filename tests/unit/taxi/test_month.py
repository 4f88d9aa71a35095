"""A month, and the names made of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_pipeline.requests import InvalidRequest
from taxi.month import Month, attempt_of, batch_of

MONTHS = st.builds(Month, st.integers(2009, 2099), st.integers(1, 12))
NEW_YORK = "America/New_York"


@pytest.mark.parametrize(
    "text", ["", "2024", "2024-13", "2024-00", "2024-9", "1999-01", "2024-09-1", None, 202409, "２０２４-09"]
)
def test_what_is_no_month_is_refused(text: object) -> None:
    with pytest.raises(InvalidRequest):
        Month.parse(text)


@given(MONTHS, st.integers(-200, 200))
def test_months_are_counted_as_on_a_calendar(month: Month, months: int) -> None:
    later = month.plus(months)
    assert later.plus(-months) == month
    assert (later.year - month.year) * 12 + later.month - month.month == months
    assert 1 <= later.month <= 12


@given(MONTHS, st.integers(1, 999_999_999))
def test_an_attempts_name_says_month_and_number(month: Month, attempt: int) -> None:
    assert attempt_of(batch_of(month, attempt)) == (month, attempt)


@pytest.mark.parametrize("batch", ["2024-09", "2024-09-0", "2024-09-01", "2024-13-1", "2024-09-1'", None])
def test_what_is_no_attempt_is_refused(batch: object) -> None:
    with pytest.raises(InvalidRequest):
        attempt_of(batch)


@pytest.mark.parametrize(
    ("time", "month"),
    [
        ("2026-11-05T11:00:00Z", "2026-09"),
        ("2026-01-05T11:00:00Z", "2025-11"),
        ("2026-02-28T23:00:00Z", "2025-12"),
        # A time of the schedule is UTC; in New York it is still the month before.
        ("2026-11-01T03:59:00Z", "2026-08"),
        ("2026-11-01T04:00:00Z", "2026-09"),
        ("2026-12-01T04:30:00Z", "2026-09"),  # no daylight saving any more
    ],
)
def test_a_schedules_time_is_for_the_month_two_before_it_in_new_york(time: str, month: str) -> None:
    assert str(Month.scheduled(time, NEW_YORK)) == month


@pytest.mark.parametrize("time", ["", "soon", "2026-11-05", "2026-11-05T11:00:00", None])
def test_a_schedules_time_without_a_zone_is_refused(time: object) -> None:
    with pytest.raises(InvalidRequest):
        Month.scheduled(time, NEW_YORK)
