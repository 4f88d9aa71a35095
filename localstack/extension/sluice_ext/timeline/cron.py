"""AWS's cron expressions, in wall-clock time. Pure.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#cron-based
"""

import calendar
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final

_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_LIMITS: Final = {
    "minutes": (0, 59),
    "hours": (0, 23),
    "day-of-month": (1, 31),
    "month": (1, 12),
    "day-of-week": (1, 7),
    "year": (1970, 2199),
}


class Malformed(ValueError):
    """Not an expression that AWS takes. The message says which part of it."""


@dataclass(frozen=True)
class Cron:
    """The six fields; the days are texts, because they depend on the month."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    month_days: str
    months: frozenset[int]
    week_days: str
    years: frozenset[int]

    def after(self, moment: datetime) -> datetime | None:
        """The first time later than ``moment``, both without a zone; None when there is none any more."""
        for day in self._days(moment.date()):
            today = day == moment.date()
            for hour in self.hours[bisect_left(self.hours, moment.hour) if today else 0 :]:
                now = today and hour == moment.hour
                for minute in self.minutes[bisect_right(self.minutes, moment.minute) if now else 0 :]:
                    return datetime(day.year, day.month, day.day, hour, minute)
        return None

    def _days(self, first: date) -> Iterator[date]:
        """The days on which it runs, from ``first``."""
        for year in sorted(one for one in self.years if one >= first.year):
            for month in sorted(self.months):
                if (year, month) < (first.year, first.month):
                    continue
                for number in _days_of(self.month_days, self.week_days, year, month):
                    day = date(year, month, number)
                    if day >= first:
                        yield day


@lru_cache(maxsize=4096)
def _days_of(month_days: str, week_days: str, year: int, month: int) -> list[int]:
    last = calendar.monthrange(year, month)[1]
    if week_days == "?":
        return sorted({day for part in month_days.split(",") for day in _month_days(part, year, month, last)})
    return sorted({day for part in week_days.split(",") for day in _week_days(part, year, month, last)})


def parse(fields: str) -> Cron:
    """The content of ``cron(...)``. Raises Malformed."""
    parts = fields.split()
    if len(parts) != len(_LIMITS):
        raise Malformed(f"{fields!r} has not six fields")
    minutes, hours, month_days, months, week_days, years = (part.upper() for part in parts)
    if (month_days == "?") == (week_days == "?"):
        raise Malformed("one of day-of-month and day-of-week is a question mark")
    month_days, week_days = _named(month_days, ()), _named(week_days, _DAYS)
    for part in month_days.split(",") if month_days != "?" else ():
        _month_days(part, 2024, 1, 31)
    for part in week_days.split(",") if week_days != "?" else ():
        _week_days(part, 2024, 1, 31)
    return Cron(
        tuple(sorted(_numbers("minutes", minutes))),
        tuple(sorted(_numbers("hours", hours))),
        month_days,
        frozenset(_numbers("month", _named(months, _MONTHS))),
        week_days,
        frozenset(_numbers("year", years)),
    )


def _named(field: str, names: tuple[str, ...]) -> str:
    """The field with numbers in place of names, which count from 1."""
    return re.sub("|".join(names), lambda one: str(names.index(one[0]) + 1), field) if names else field


def _numbers(field: str, text: str) -> set[int]:
    return {number for part in text.split(",") for number in _range(field, part)}


def _range(field: str, part: str) -> set[int]:
    """One of ``*``, ``a``, ``a-b``, and each with ``/step``."""
    low, high = _LIMITS[field]
    match = re.fullmatch(r"(?:(\*)|(\d{1,4})(?:-(\d{1,4}))?)(?:/(\d{1,4}))?", part, re.ASCII)
    if match is None:
        raise Malformed(f"{part!r} is no {field}")
    every, first, last, step = match.groups()
    start = low if every else int(first)
    end = int(last) if last else high if every or step else start
    width = int(step) if step else 1
    if not (low <= start <= high and low <= end <= high and 1 <= width <= high - low + 1):
        raise Malformed(f"{part!r} is no {field}: it is {low} to {high}")
    if start <= end:
        return set(range(start, end + 1, width))
    if field == "year":
        raise Malformed(f"{part!r} is no {field}: it ends before it begins")
    # 22-2 is over midnight, FRI-MON over the weekend.
    size = high - low + 1
    return {low + (one - low) % size for one in range(start, end + size + 1, width)}


def _month_days(part: str, year: int, month: int, last: int) -> set[int]:
    """Days of one month: ``L`` the last, ``L-3`` three before it, ``15W`` the weekday nearest to the 15th."""
    if match := re.fullmatch(r"L(?:-(\d{1,2}))?", part, re.ASCII):
        back = int(match[1] or 0)
        if back > 30:
            raise Malformed(f"{part!r} is no day-of-month")
        return {last - back} if back < last else set()
    if match := re.fullmatch(r"(L|\d{1,2})W", part, re.ASCII):
        wanted = last if match[1] == "L" else int(match[1])
        if not 1 <= wanted <= 31:
            raise Malformed(f"{part!r} is no day-of-month")
        return {_nearest_weekday(year, month, wanted, last)} if wanted <= last else set()
    return {day for day in _range("day-of-month", part) if day <= last}


def _nearest_weekday(year: int, month: int, day: int, last: int) -> int:
    """Monday to Friday, in the same month."""
    weekday = date(year, month, day).weekday()
    if weekday == calendar.SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == calendar.SUNDAY:
        return day + 1 if day < last else day - 2
    return day


def _week_days(part: str, year: int, month: int, last: int) -> set[int]:
    """Days of one month: ``L`` is Saturday, ``6L`` the last Friday, ``3#2`` the second Tuesday. Sunday is 1."""
    first = date(year, month, 1)
    by_weekday: dict[int, list[int]] = {}
    for number in range(last):
        day = first + timedelta(days=number)
        by_weekday.setdefault((day.weekday() + 1) % 7 + 1, []).append(day.day)
    if part == "L":
        return set(by_weekday[7])
    if match := re.fullmatch(r"([1-7])L", part):
        return {by_weekday[int(match[1])][-1]}
    if match := re.fullmatch(r"([1-7])#([1-5])", part):
        days = by_weekday[int(match[1])]
        return {days[int(match[2]) - 1]} if int(match[2]) <= len(days) else set()
    return {day for wanted in _range("day-of-week", part) for day in by_weekday[wanted]}
