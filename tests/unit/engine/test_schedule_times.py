"""When schedules are due, against a reference that looks at every minute or every day.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

from __future__ import annotations

import calendar
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_ext.timeline import cron, expressions
from sluice_ext.timeline.cron import Malformed
from tests.support.thorough import examples

START = datetime(2026, 1, 1, tzinfo=UTC)


def due(text: str, after: str, zone: str = "UTC", count: int = 1) -> list[str]:
    moment: datetime | None = datetime.fromisoformat(after)
    found = []
    expression = expressions.parse(text, START, zone)
    for _ in range(count):
        assert moment is not None
        moment = expression.after(moment)
        if moment is None:
            break
        found.append(moment.isoformat().removesuffix(":00+00:00"))
    return found


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("cron(0 12 * * ? *)", ["2026-02-27T12:00", "2026-02-28T12:00", "2026-03-01T12:00"]),
        ("cron(15 12 L * ? *)", ["2026-02-28T12:15", "2026-03-31T12:15", "2026-04-30T12:15"]),
        ("cron(15 12 L-2 * ? *)", ["2026-03-29T12:15", "2026-04-28T12:15", "2026-05-29T12:15"]),
        ("cron(0 8 1W * ? *)", ["2026-03-02T08:00", "2026-04-01T08:00", "2026-05-01T08:00"]),
        ("cron(0 8 LW * ? *)", ["2026-02-27T08:00", "2026-03-31T08:00", "2026-04-30T08:00"]),
        ("cron(0 8 ? * 6L *)", ["2026-02-27T08:00", "2026-03-27T08:00", "2026-04-24T08:00"]),
        ("cron(0 8 ? * L *)", ["2026-02-28T08:00", "2026-03-07T08:00", "2026-03-14T08:00"]),
        ("cron(0 8 ? * 1 *)", ["2026-03-01T08:00", "2026-03-08T08:00", "2026-03-15T08:00"]),
        ("cron(0 8 ? * TUE#5 *)", ["2026-03-31T08:00", "2026-06-30T08:00", "2026-09-29T08:00"]),
        ("cron(0 8 ? * mon-fri 2026)", ["2026-02-27T08:00", "2026-03-02T08:00", "2026-03-03T08:00"]),
        ("cron(0 22-1/2 28 feb,APR ? *)", ["2026-02-28T00:00", "2026-02-28T22:00", "2026-04-28T00:00"]),
        ("cron(0/30 3 29 2 ? *)", ["2028-02-29T03:00", "2028-02-29T03:30", "2032-02-29T03:00"]),
        ("cron(0 0 29 2 ? 2026-2027)", []),
        ("cron(0 0 31 4 ? *)", []),
        ("rate(12 hours)", ["2026-02-27T12:00", "2026-02-28T00:00", "2026-02-28T12:00"]),
        ("rate(1 day)", ["2026-02-28T00:00", "2026-03-01T00:00", "2026-03-02T00:00"]),
        ("at(2026-03-01T10:00:00)", ["2026-03-01T10:00"]),
        ("at(2026-02-27T08:00:00)", []),
    ],
)
def test_examples(text: str, times: list[str]) -> None:
    moment = "2026-02-27T11:59:30+00:00" if "cron" in text and " 8 " not in text else "2026-02-27T07:59:30+00:00"
    if text.startswith("at(2026-02-27"):
        moment = "2026-02-27T08:00:00+00:00"
    assert due(text, moment, count=3) == times


@pytest.mark.parametrize(
    ("zone", "after", "times"),
    [
        # Berlin leaves out 02:00 to 03:00 on 29 March 2026, and repeats it on 25 October.
        ("Europe/Berlin", "2026-03-27T12:00:00+00:00", ["2026-03-28T01:30", "2026-03-30T00:30", "2026-03-31T00:30"]),
        ("Europe/Berlin", "2026-10-24T12:00:00+00:00", ["2026-10-25T00:30", "2026-10-26T01:30", "2026-10-27T01:30"]),
        # In the repeated half of the hour the next time is that of the next day.
        ("Europe/Berlin", "2026-10-25T01:10:00+00:00", ["2026-10-26T01:30", "2026-10-27T01:30", "2026-10-28T01:30"]),
        ("America/New_York", "2026-03-07T12:00:00+00:00", ["2026-03-09T06:30", "2026-03-10T06:30", "2026-03-11T06:30"]),
    ],
)
def test_daylight_saving_time(zone: str, after: str, times: list[str]) -> None:
    assert due("cron(30 2 * * ? *)", after, zone, 3) == times


def test_utc_needs_no_files_of_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_files(name: str) -> ZoneInfo:
        raise KeyError(name)

    monkeypatch.setattr(expressions, "ZoneInfo", no_files)
    assert due("cron(0 12 * * ? *)", "2026-01-01T00:00:00+00:00") == ["2026-01-01T12:00"]
    with pytest.raises(Malformed, match="no time zone"):
        expressions.parse("cron(0 12 * * ? *)", START, "Europe/Berlin")


def test_a_one_time_schedule_at_a_time_that_clocks_leave_out_is_never_due() -> None:
    assert due("at(2026-03-29T02:30:00)", "2026-01-01T00:00:00+00:00", "Europe/Berlin") == []
    assert due("at(2026-10-25T02:30:00)", "2026-01-01T00:00:00+00:00", "Europe/Berlin") == ["2026-10-25T00:30"]


@pytest.mark.parametrize(
    "text",
    [
        "", "cron", "cron()", "cron(* * * * *)", "cron(* * * * * *)", "cron(* * ? * ? *)", "cron(60 * * * ? *)",
        "cron(-1 * * * ? *)", "cron(* 24 * * ? *)", "cron(* * 0 * ? *)", "cron(* * 32 * ? *)", "cron(* * * 13 ? *)",
        "cron(* * ? * 0 *)", "cron(* * ? * 8 *)", "cron(* * ? * MON#0 *)", "cron(* * ? * MON#6 *)",
        "cron(* * 0W * ? *)",
        "cron(* * 32W * ? *)", "cron(* * L-31 * ? *)", "cron(* * * FOO ? *)", "cron(* * * * ? 1969)",
        "cron(* * * * ? 2200)",
        "cron(* * * * ? 2030-2029)", "cron(0/0 * * * ? *)", "cron(0/61 * * * ? *)", "cron(1, * * * ? *)",
        "cron(1-2-3 * * * ? *)",
        "cron(٣ * * * ? *)", "cron(* * * * ? *) ", " cron(* * * * ? *)", "cron(99999999999999999999 * * * ? *)",
        "rate()", "rate(5)", "rate(0 days)", "rate(05 days)", "rate(1 week)", "rate(5 days )", "rate(٣ days)",
        "at()", "at(2026-02-29T00:00:00)", "at(2026-01-01 00:00:00)", "at(2026-01-01T00:00)", "AT(2026-01-01T00:00:00)",
    ],
)  # fmt: skip
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        expressions.parse(text, START)


def test_the_end_of_time_is_no_error() -> None:
    last = datetime(9999, 12, 31, tzinfo=UTC)
    for text in ("rate(9999999999 days)", "rate(1 day)", "cron(* * * * ? *)", "at(9999-12-31T23:59:59)"):
        expressions.parse(text, START).after(last)
    assert due("at(9999-12-31T23:59:59)", "2026-01-01T00:00:00+00:00", "America/New_York") == []
    assert (
        expressions.parse("cron(59 23 31 12 ? 2199)", START).after(datetime(2199, 12, 31, 23, 59, tzinfo=UTC)) is None
    )


# -- the reference -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Field:
    """The text of a field, and what it means."""

    text: str
    holds: Callable[[int], bool]


def number(low: int, high: int) -> st.SearchStrategy[Field]:
    """``*``, numbers, ranges and steps of a field from ``low`` to ``high``."""
    values = st.integers(low, high)

    def one(value: int) -> Field:
        return Field(str(value), lambda found: found == value)

    def span(pair: tuple[int, int]) -> Field:
        first, last = pair
        if first <= last:
            return Field(f"{first}-{last}", lambda found: first <= found <= last)
        return Field(f"{first}-{last}", lambda found: found >= first or found <= last)

    def step(pair: tuple[int, int]) -> Field:
        first, width = pair
        return Field(f"{first}/{width}", lambda found: found >= first and (found - first) % width == 0)

    def every(width: int) -> Field:
        return Field(f"*/{width}", lambda found: (found - low) % width == 0)

    def several(fields: list[Field]) -> Field:
        return Field(",".join(one.text for one in fields), lambda found: any(one.holds(found) for one in fields))

    part = st.one_of(
        values.map(one), st.tuples(values, values).map(span), st.tuples(values, st.integers(1, high - low)).map(step),
        st.integers(1, high - low).map(every),
    )  # fmt: skip
    return st.one_of(st.just(Field("*", lambda _found: True)), st.lists(part, min_size=1, max_size=3).map(several))


ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns")
# Around the changes of clocks, and anywhere.
MOMENTS = st.one_of(
    st.sampled_from(["2026-03-28", "2026-10-24", "2026-03-07", "2026-10-31", "2026-04-04", "2026-10-03"]).flatmap(
        lambda day: st.integers(0, 2 * 86400).map(
            lambda seconds: datetime.fromisoformat(day + "T00:00:00+00:00") + timedelta(seconds=seconds)
        )
    ),
    st.datetimes(datetime(2020, 1, 1), datetime(2034, 1, 1), timezones=st.just(UTC)),
)


@pytest.mark.timeout(120)  # many examples, beside suites that use all processors
@settings(max_examples=30, deadline=None)
@given(number(0, 59), number(0, 23), MOMENTS, st.sampled_from(ZONES))
def test_times_are_those_of_a_clock_that_is_watched(minutes: Field, hours: Field, moment: datetime, zone: str) -> None:
    """Every minute of two days is looked at; what the clock shows a second time does not count."""
    where = ZoneInfo(zone)

    def shown(at: datetime) -> bool:
        wall = at.astimezone(where)
        return wall.fold == 0 and minutes.holds(wall.minute) and hours.holds(wall.hour)

    first = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
    end = first + timedelta(days=2)
    expected = [at for n in range(2 * 1440) if shown(at := first + timedelta(minutes=n))]
    expression = expressions.parse(f"cron({minutes.text} {hours.text} * * ? *)", START, zone)
    found = []
    at = expression.after(moment)
    while at is not None and at < end:
        found.append(at)
        at = expression.after(at)
    assert found == expected


def month_days() -> st.SearchStrategy[tuple[str, Callable[[date], bool]]]:
    def last(day: date) -> int:
        return calendar.monthrange(day.year, day.month)[1]

    def nearest(wanted: int, day: date) -> bool:
        """Whether ``day`` is the weekday of its month that is nearest to a day of it."""
        if wanted > last(day) or day.weekday() > 4:
            return False
        target = date(day.year, day.month, wanted)
        working = [n for n in range(1, last(day) + 1) if date(day.year, day.month, n).weekday() < 5]
        return day.day == min(working, key=lambda n: (abs(n - wanted), n != target.day))

    return st.one_of(
        number(1, 31).map(lambda field: (field.text, lambda day: field.holds(day.day))),
        st.just(("L", lambda day: day.day == last(day))),
        st.integers(1, 30).map(lambda back: (f"L-{back}", lambda day: day.day == last(day) - back)),
        st.integers(1, 31).map(lambda wanted: (f"{wanted}W", lambda day: nearest(wanted, day))),
        st.just(("LW", lambda day: nearest(last(day), day))),
    )


def week_days() -> st.SearchStrategy[tuple[str, Callable[[date], bool]]]:
    def of_aws(day: date) -> int:
        return day.isoweekday() % 7 + 1

    weekdays = st.integers(1, 7)
    return st.one_of(
        number(1, 7).map(lambda field: (field.text, lambda day: field.holds(of_aws(day)))),
        weekdays.map(
            lambda wanted: (
                f"{wanted}L",
                lambda day: of_aws(day) == wanted and (day + timedelta(days=7)).month != day.month,
            )
        ),
        st.tuples(weekdays, st.integers(1, 5)).map(
            lambda pair: (
                f"{pair[0]}#{pair[1]}",
                lambda day: of_aws(day) == pair[0] and (day.day - 1) // 7 + 1 == pair[1],
            )
        ),
    )


@pytest.mark.timeout(120)  # many examples, beside suites that use all processors
@settings(max_examples=examples(150), deadline=None)
@given(st.booleans(), month_days(), week_days(), number(1, 12), st.dates(date(2024, 1, 1), date(2030, 1, 1)))
def test_days_are_those_of_a_calendar(
    by_month: bool,
    month_day: tuple[str, Callable[[date], bool]],
    week_day: tuple[str, Callable[[date], bool]],
    months: Field,
    first: date,
) -> None:
    """Every day of three years is looked at."""
    holds = month_day[1] if by_month else week_day[1]
    days = (first + timedelta(days=n) for n in range(1, 3 * 365))
    expected = [day for day in days if months.holds(day.month) and holds(day)]
    fields = f"{month_day[0]} {months.text} ?" if by_month else f"? {months.text} {week_day[0]}"
    parsed = cron.parse(f"0 12 {fields} *")
    found, at = [], parsed.after(datetime(first.year, first.month, first.day, 12))
    while at is not None and at.date() < first + timedelta(days=3 * 365):
        found.append(at.date())
        at = parsed.after(at)
    assert found == expected
