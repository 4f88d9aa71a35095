"""A month of trips, and the names that are made of it."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self
from zoneinfo import ZoneInfo

from sluice_pipeline.requests import InvalidRequest

PUBLISHED_AFTER: Final = 2  # months: a month's file is published about two months later
FIRST_YEAR: Final = 2009  # of the public data
_MONTH: Final = re.compile(r"([0-9]{4})-([0-9]{2})")
_BATCH: Final = re.compile(r"([0-9]{4}-[0-9]{2})-([1-9][0-9]{0,8})")


@dataclass(frozen=True, order=True, slots=True)
class Month:
    year: int
    month: int

    @classmethod
    def parse(cls, text: object) -> Self:
        """``2024-09``. Raises InvalidRequest."""
        found = _MONTH.fullmatch(text) if isinstance(text, str) else None
        if not found or not 1 <= int(found[2]) <= 12 or int(found[1]) < FIRST_YEAR:
            raise InvalidRequest(f"month {text!r} is not a month such as 2024-09, from {FIRST_YEAR} on")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def scheduled(cls, time: object, zone: str) -> Self:
        """The month that a schedule's time is for: PUBLISHED_AFTER months before it, on the calendar of ``zone``.

        Of the time that the schedule was for, not the present: a call that comes late or twice means the same month.
        """
        try:
            at = datetime.fromisoformat(str(time))
        except ValueError:
            raise InvalidRequest(f"scheduled_time {time!r} is not a time") from None
        if at.tzinfo is None:
            raise InvalidRequest(f"scheduled_time {time!r} has no time zone")
        at = at.astimezone(ZoneInfo(zone))
        return cls(at.year, at.month).plus(-PUBLISHED_AFTER)

    def plus(self, months: int) -> Self:
        index = self.year * 12 + self.month - 1 + months
        return type(self)(index // 12, index % 12 + 1)

    @property
    def first_day(self) -> str:
        """``2024-09-01``."""
        return f"{self}-01"

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"


def batch_of(month: Month, attempt: int) -> str:
    """The name of an attempt's execution and of all that it writes: ``2024-09-1``."""
    return f"{month}-{attempt}"


def attempt_of(batch: object) -> tuple[Month, int]:
    """The reverse of batch_of. Raises InvalidRequest."""
    found = _BATCH.fullmatch(batch) if isinstance(batch, str) else None
    if not found:
        raise InvalidRequest(f"batch {batch!r} is not a month and an attempt such as 2024-09-1")
    return Month.parse(found[1]), int(found[2])
